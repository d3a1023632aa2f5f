"""The clips over processes, each with its own estimators; what is known already is not measured again."""

from __future__ import annotations

import hashlib
import json
import multiprocessing
import traceback
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from model.code_mark import code_mark, digest_of
from model.datasets.prepare import content_key
from model.datasets.protocol import DatasetClip
from model.datasets.registry import open_dataset
from model.estimators.client import EstimatorProcess, worker_python
from model.evaluate.learned.measure import Setup
from model.evaluate.paper.clips import open_dataset_clip
from model.evaluate.paper.measure import Methods, given_of, measure_input, measure_method, names_of
from model.perceptual import load_lpips
from model.rivals.physnet import published_physnet
from model.rivals.privacy_phys import PrivacyPhys
from model.rivals.protocol import Rival
from model.rivals.pulse_edit import PulseEdit
from model.rivals.reference import ReferenceRival
from model.rivals.region_edit import RegionEdit
from streamfilter.artifact import load_artifact, write_whole
from streamfilter.errors import PhysioCamError, SourceError

_SOURCES = (
    "model/evaluate/paper/[!_]*.py",
    "model/evaluate/learned/measure.py",
    "model/evaluate/*.py",
    "model/rivals/*.py",
    "model/estimators/*.py",
    "streamfilter/*.py",
    "streamfilter/face/*.py",
    "streamfilter/engine/*.py",
    "streamfilter/rppg/*.py",
)
_NOT_MEASURING = ("report.py", "table.py", "published.py")


@dataclass(frozen=True)
class Job:
    """What a process needs to measure clips of a dataset. ``models``: the learned estimators."""

    dataset: str
    folder: Path
    cache: Path
    seconds: float
    targets: tuple[float, ...]
    artifact: Path | None
    reference: Path | None
    lpips: Path | None
    models: tuple[str, ...]
    rivals: bool


def run_all(job: Job, names: Sequence[str], jobs: int) -> Iterator[dict[str, Any]]:
    """The figures of the clips as they come; or a clip's name as "skipped" or "failed", and why."""
    if jobs <= 1 or len(names) <= 1:
        yield from _share(job, names)
        return
    shares = [(job, tuple(names[k::jobs])) for k in range(jobs)]
    with multiprocessing.get_context("spawn").Pool(jobs) as pool:
        for results in pool.imap_unordered(_listed, shares):
            yield from results


def _listed(share: tuple[Job, tuple[str, ...]]) -> list[dict[str, Any]]:
    return list(_share(*share))


def _share(job: Job, names: Sequence[str]) -> Iterator[dict[str, Any]]:
    torch.set_num_threads(1)
    clips = {clip.name: clip for clip in open_dataset(job.dataset, job.folder).clips}
    with ExitStack() as held:
        methods = methods_of(job, held)
        for name in names:
            yield _figures(job, clips[name], methods)


def _figures(job: Job, clip: DatasetClip, methods: Methods) -> dict[str, Any]:
    try:
        return _measured(job, clip, methods)
    except SourceError as error:
        return {"skipped": clip.name, "why": str(error)}
    except PhysioCamError:
        raise  # a setting of ours: every other clip would fail alike
    except Exception as error:  # noqa: BLE001 - whatever it is, the other clips' hours must not be lost
        traceback.print_exc()
        return {"failed": clip.name, "why": f"{type(error).__name__}: {error}"}


def _measured(job: Job, clip: DatasetClip, methods: Methods) -> dict[str, Any]:
    """Each method's figures, from an earlier run where nothing that they follow from has changed."""
    made = open_dataset_clip(clip, job.seconds, job.cache / "clips")
    base, given = _base(job, clip), None
    parts: dict[str, Any] = {}
    for name in ("input", *names_of(made, methods)):
        mark = hashlib.sha256(f"{base} {name} {_weights(job, name)}".encode()).hexdigest()[:16]
        kept = job.cache / "results" / f"{clip.name.replace('/', '_')}--{name}-{mark}.json"
        if kept.is_file():
            parts[name] = json.loads(kept.read_text())
            continue
        given = given or given_of(made)
        parts[name] = (
            measure_input(made, given, methods)
            if name == "input"
            else measure_method(name, made, given, methods, job.targets)
        )
        kept.parent.mkdir(parents=True, exist_ok=True)
        write_whole(kept, json.dumps(parts[name]))
    first, last = made.read
    return {
        "name": clip.name,
        "subject": clip.subject,
        "attributes": dict(clip.attributes),
        "true": None if made.true_bpm is None else round(made.true_bpm, 2),
        "seconds": round(float(made.times[last - 1] - made.times[first]), 2),
        "input": parts.pop("input"),
        "methods": parts,
    }


def methods_of(job: Job, held: ExitStack) -> Methods:
    """What is compared; processes that it starts end with ``held``. Raises UsageError, ArtifactError."""
    direction = load_artifact(job.artifact).manifest.pulse_direction
    rivals: dict[str, Rival] = {}
    if job.rivals:
        rivals |= {"pulse-edit": PulseEdit(), "region-edit": RegionEdit(direction)}
    readers = {}
    if job.models:
        process = held.enter_context(EstimatorProcess(worker_python()))
        readers = {name: process.reader(name) for name in job.models}
        if job.rivals:
            rivals["privacy-phys"] = PrivacyPhys(published_physnet(process))
    if job.reference is not None:
        rivals["reference"] = ReferenceRival.load(job.reference)
    lpips = None if job.lpips is None else load_lpips(job.lpips)
    return Methods(Setup(rivals, readers, job.artifact, direction), lpips=lpips)


def _base(job: Job, clip: DatasetClip) -> str:
    """Of what every method's figures follow from: the clip's bytes, the settings, the readers, the code."""
    lpips = "" if job.lpips is None else digest_of(job.lpips)
    about = json.dumps([job.seconds, job.targets, job.models, lpips])
    return content_key(clip, about, code_mark(_SOURCES, _NOT_MEASURING))


def _weights(job: Job, name: str) -> str:
    """Of the weights that a method runs with; the wanted pulse's colour is the artifact's for all."""
    files = load_artifact(job.artifact).manifest.files
    own = digest_of(job.reference) if name == "reference" and job.reference is not None else ""
    return own or files["step.onnx"]
