"""``python -m model.evaluate.fidelity``: what the edit's parts cost; writes docs/evaluation/fidelity.md.

Two tables: the editor with its shown pulse and its masking noise weakened or off, on the same clips, and what
a removal without delay must cost at best (`depth`).
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from model.evaluate.__main__ import commit_of
from model.evaluate.fidelity.depth import best_causal, depth, front_end
from model.evaluate.fidelity.vary import Figures, measure, names_of
from model.evaluate.learned.__main__ import add_options, opened, specs_of
from model.evaluate.program import name_of, run_program
from model.evaluate.report import table, write_page
from streamfilter.artifact import load_artifact
from streamfilter.errors import SourceError, UsageError

WEIGHTS_DB = (20.0, 30.0, 40.0, 50.0)
INTRO = """Written by `{command}` at {commit}; artifact {artifact}. {count} clips: {names}.

A pixel of an 8-bit plane moves by whole levels, so that an edit of a fraction of a level costs its mean size:
half the edit is 3 dB, not 6. Which part of the edit is it? The removal stays whole in every row; *found* is
the share of POS, CHROM, GREEN, PCA that read the true rate (± 3 bpm) once the shown one is notched out. The
last columns say where the power of the luma edit, averaged over the face, lies: below, in and above the band
that a pulse is looked for in (0.65 to 4 Hz).
"""
BOUND = """## What no causal filter can save

To take a band out without delay turns the phase of what lies below it, and there the edit moves slow light
although it is no pulse: the deeper, the further. The drift here is a random walk (power 1 / f²); *moved* is
the rms of the edit outside the band (0.68 to 3.3 Hz) over the drift's own, *depth* the rms attenuation in it.
The best causal filter is the Wiener filter for that drift with more or less weight on the depth
(`model/evaluate/fidelity/depth.py`).
"""


def parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m model.evaluate.fidelity", description=__doc__)
    add_options(parser, synthetic=6, seconds=15.0)
    return parser.parse_args(arguments)


def evaluate(options: argparse.Namespace, command: str) -> int:
    artifact = load_artifact(None if options.artifact == "default" else Path(options.artifact))
    results: dict[str, dict[str, Figures]] = {}
    for spec in specs_of(options):
        try:
            results[spec.name] = measure(opened(spec, options.cache), artifact)
        except SourceError as error:
            print(f"{spec.name}: {error}", file=sys.stderr)
            continue
        print(spec.name, flush=True)
    if not results:
        raise UsageError("no clip could be measured: check --clips, --faces, --real and --synthetic")
    meta = {"command": command, "commit": commit_of(), "artifact": name_of(artifact.manifest)}
    page = write_page(options.out, "fidelity", markdown(results, meta), meta | {"clips": results})
    print(f"wrote {page}")
    return 0


def markdown(results: Mapping[str, Mapping[str, Figures]], meta: Mapping[str, str]) -> str:
    head = ["edit", "PSNR YUV (dB)", "PSNR RGB (dB)", "error to target (bpm)", "coherence face", "patches"]
    head += ["found", "below", "in", "above"]
    clips = list(results.values())
    rows = []
    for name in names_of(clips):
        own = [one[name] for one in clips if name in one]
        hits = [one["hits"] for one in own if one["hits"] is not None]
        cells = [_mean(own, key, form) for key, form in _FORMS]
        cells.append(f"{sum(hits) / (4 * len(hits)):.0%}" if hits else "–")
        cells += [f"{np.mean([one['shares'][key] for one in own]):.0%}" for key in ("below", "in", "above")]
        rows.append([name, *cells])
    intro = INTRO.format(count=len(results), names=", ".join(results), **meta)
    filters = [("the band-stop, one pass", front_end()), ("two passes", front_end(2))]
    filters += [(f"best causal, weight {weight:g} dB", best_causal(weight)) for weight in WEIGHTS_DB]
    found = [(name, depth(response)) for name, response in filters]
    bound = [[name, f"{d.band_db:.0f}", f"{d.worst_db:.0f}", f"{d.moved:.2f}"] for name, d in found]
    return "\n".join(
        [
            "# Where the picture's decibels go",
            "",
            intro,
            table(head, rows),
            BOUND,
            table(("filter", "depth (dB)", "least depth (dB)", "moved"), bound),
        ]
    )


_FORMS = (
    ("psnr_planes", "{:.1f}"),
    ("psnr", "{:.1f}"),
    ("error", "{:.2f}"),
    ("face", "{:.3f}"),
    ("patches", "{:.3f}"),
)


def _mean(figures: Sequence[Figures], key: str, form: str) -> str:
    known: list[Any] = [one[key] for one in figures if one[key] is not None]
    return form.format(float(np.mean(known))) if known else "–"


def main(arguments: Sequence[str] | None = None) -> int:
    return run_program("python -m model.evaluate.fidelity", parse, evaluate, arguments)


if __name__ == "__main__":
    sys.exit(main())
