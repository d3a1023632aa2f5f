"""(g) Non-skin as a reference: hair, wall and clothes have no pulse, so what moves there is the filter's own.

Read alone it gives away a removal that reaches past the skin; held against the skin it takes the shown pulse
and the noise away and leaves what is left of the true one. The skin's rim, where an edit that ends softly
does less, is tried in the same two ways. ``python -m model.attackers.off_skin`` tries it on a few scenes, for
whoever works on the filter.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from model.attackers.beside import explained_away
from model.attackers.calls import CALLS, PLANES, after, call_names
from model.attackers.gather import gather_with
from model.attackers.layout import Recording, Version, load
from model.attackers.off_skin_report import section
from model.attackers.reading import Tally, can_be_found, rate_of, readable_scenes
from model.attackers.record import filter_of, record_versions, recordings_mark
from model.attackers.regions import REGIONS
from model.attackers.scenes import FPS, SECONDS, Scene
from model.code_mark import ROOT
from model.evaluate.metrics import ATTACKERS
from model.evaluate.program import name_of, run_program
from streamfilter.artifact import load_artifact
from streamfilter.errors import UsageError
from streamfilter.rppg.estimators import ESTIMATORS
from streamfilter.rppg.filters import band_pass

Array64 = npt.NDArray[np.float64]

WAYS = ("fit", "null", "ratio")
NULL_BPM = 6.0  # the band around the shown rate in which "null" makes non-skin cancel the skin
KINDS = (("out", "out_free"), ("raw", "free"))  # a version, and the same without a pulse on the skin


def off_skin(tests: Sequence[Recording], call: str = PLANES) -> dict[str, Any]:
    """Each attack's figures by region beside the face: ``out`` filtered, ``raw`` what there was to be found.

    Rows without a clip (no such region) have 0 ``clips``. Non-skin's ``raw`` read alone is chance by
    construction; the rim's is not.
    """
    figures = {}
    for name in REGIONS[1:]:
        for of, free in KINDS:
            alone, against = Tally(), Tally()
            for one in tests:
                versions = [one.versions[after(kind, call)] for kind in (of, free)]
                if not can_be_found(one, one.targets[:1]) or not all(_has(v, name) for v in versions):
                    continue
                target = one.targets[0]
                alone.add(one, *(alone_rates(region(v, name), target) for v in versions))
                pairs = [(region(v, "skin"), region(v, name)) for v in versions]
                against.add(one, *(against_rates(skin, other, target) for skin, other in pairs))
            figures[f"{name} alone, {of}"] = alone.figures()
            figures[f"skin less {name}, {of}"] = against.figures()
    return figures


def region(version: Version, name: str) -> Array64:
    """R, G, B (T, 3) of one of the `REGIONS`."""
    return version.regions[:, REGIONS.index(name)]


def _has(version: Version, name: str) -> bool:
    return bool(np.isfinite(version.regions[:, [0, REGIONS.index(name)]]).all())


def alone_rates(other: Array64, target: float) -> dict[str, float]:
    """The rate (bpm) beside ``target`` that each estimator reads from non-skin, R, G, B (T, 3)."""
    return {name: rate_of(ESTIMATORS[name](other, FPS), FPS, (target,)) for name in ATTACKERS}


def against_rates(skin: Array64, other: Array64, target: float) -> dict[str, float]:
    """The rate (bpm) beside ``target`` of the skin with non-skin taken away, R, G, B (T, 3) each.

    "fit": each estimator's wave of the skin less its best fit by that of non-skin; "null": in each channel
    as much of non-skin as cancels the shown pulse's band; "ratio": skin over non-skin, as it is.
    """
    traces = {"null": nulled(skin, other, target), "ratio": skin / other * other.mean(axis=0)}
    found: dict[str, float] = {}
    for name in ATTACKERS:
        waves = {way: ESTIMATORS[name](trace, FPS) for way, trace in traces.items()}
        waves["fit"] = explained_away(ESTIMATORS[name](skin, FPS), ESTIMATORS[name](other, FPS))
        found |= {f"{name}, {way}": rate_of(waves[way], FPS, (target,)) for way in WAYS}
    return found


def nulled(skin: Array64, other: Array64, target: float) -> Array64:
    """``skin`` (T, 3) over that power of ``other`` which cancels the band around ``target`` best."""
    logs = [np.log(trace) - np.log(trace).mean(axis=0) for trace in (skin, other)]
    band = ((target - NULL_BPM) / 60.0, (target + NULL_BPM) / 60.0)
    near_skin, near_other = (band_pass(log, FPS, *band) for log in logs)
    power = (near_skin * near_other).sum(axis=0) / np.maximum((near_other**2).sum(axis=0), 1e-20)
    return np.asarray(skin * np.exp(-power * logs[1]))


def _record(scene: Scene, folder: Path, artifact: Path | None, calls: Sequence[str]) -> Path:
    versions = [version for kind in KINDS for version in kind]
    return record_versions(
        scene, folder, versions, lambda name, finder: filter_of(scene, name, artifact, finder), calls, False
    )


def parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    shared = Path(os.environ.get("PHYSIOCAM_SHARED", ROOT.parent / "shared"))
    parser = argparse.ArgumentParser(prog="python -m model.attackers.off_skin", description=__doc__)
    parser.add_argument("--artifact", default="default", help="folder of the artifact, or 'default'")
    parser.add_argument("--faces", type=Path, default=shared / "data" / "faces", help="folder of stills")
    parser.add_argument("--cache", type=Path, default=ROOT / "runs" / "off-skin", help="recorded scenes")
    parser.add_argument("--scenes", type=int, default=20, help="whose true rate is clear of the shown one")
    parser.add_argument("--seconds", type=float, default=SECONDS, help="read of each, default %(default)g")
    parser.add_argument("--codecs", default=PLANES, help=f"of {PLANES}, {', '.join(CALLS)}: %(default)s")
    parser.add_argument("--jobs", type=int, default=2, help="processes")
    options = parser.parse_args(arguments)
    if options.scenes < 1 or options.jobs < 1:
        parser.error("give 1 scene and 1 job or more")
    return options


def attack(options: argparse.Namespace, command: str) -> int:
    """Gathers the scenes that are missing and prints the attack's table."""
    calls = call_names(options.codecs)
    artifact = None if options.artifact == "default" else Path(options.artifact)
    manifest = load_artifact(artifact).manifest
    faces = options.faces if options.faces.is_dir() else None
    if faces is None:
        print(f"{options.faces} is not there: the built-in portrait stands in for all faces", file=sys.stderr)
    scenes = readable_scenes(faces, options.scenes, options.seconds)
    about = (sorted(manifest.files.items()), manifest.masking, KINDS, [(c, CALLS.get(c)) for c in calls])
    cache = options.cache / recordings_mark("off_skin", *about)
    refused = gather_with(partial(_record, artifact=artifact, calls=calls), scenes, cache, options.jobs)
    if len(refused) == len(scenes):
        raise UsageError("no scene could be recorded: give more --scenes")
    print(f"{command}: {name_of(manifest)}, {cache}")
    for call in calls:
        names = [after(name, call) for kind in KINDS for name in kind]
        recordings = [load(one, cache, names) for one in scenes if one.key() not in refused]
        print(f"\n{section(off_skin(recordings, call), call)}")
    return 0


def main(arguments: Sequence[str] | None = None) -> int:
    return run_program("python -m model.attackers.off_skin", parse, attack, arguments)


if __name__ == "__main__":
    sys.exit(main())
