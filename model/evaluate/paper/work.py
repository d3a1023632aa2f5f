"""The clips over processes, each with its own estimators; what is known already is not measured again."""

from __future__ import annotations

import hashlib
import json
import multiprocessing
import traceback
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch

from model.datasets.prepare import content_key
from model.datasets.protocol import DatasetClip
from model.datasets.registry import open_dataset
from model.estimators.client import EstimatorProcess, worker_python
from model.evaluate.learned.measure import Setup
from model.evaluate.paper.clips import open_dataset_clip
from model.evaluate.paper.measure import Methods, measure_clip
from model.perceptual import load_lpips
from model.rivals.physnet import published_physnet
from model.rivals.privacy_phys import PrivacyPhys
from model.rivals.protocol import Rival
from model.rivals.pulse_edit import PulseEdit
from model.rivals.reference import ReferenceRival
from model.rivals.region_edit import RegionEdit
from streamfilter.artifact import load_artifact
from streamfilter.errors import PhysioCamError, SourceError

ROOT = Path(__file__).resolve().parents[3]
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
        methods: Methods | None = None
        for name in names:
            kept = job.cache / "results" / f"{name.replace('/', '_')}-{_mark(job, clips[name])}.json"
            if kept.is_file():
                yield json.loads(kept.read_text())
                continue
            methods = methods or methods_of(job, held)
            yield _figures(job, clips[name], methods, kept)


def _figures(job: Job, clip: DatasetClip, methods: Methods, kept: Path) -> dict[str, Any]:
    try:
        made = open_dataset_clip(clip, job.seconds, job.cache / "clips")
        result = measure_clip(made, methods, job.targets)
    except SourceError as error:
        return {"skipped": clip.name, "why": str(error)}
    except PhysioCamError:
        raise  # a setting of ours: every other clip would fail alike
    except Exception as error:  # noqa: BLE001 - whatever it is, the other clips' hours must not be lost
        traceback.print_exc()
        return {"failed": clip.name, "why": f"{type(error).__name__}: {error}"}
    result |= {"subject": clip.subject, "attributes": dict(clip.attributes)}
    kept.parent.mkdir(parents=True, exist_ok=True)
    part = kept.with_suffix(".part")
    part.write_text(json.dumps(result))
    part.replace(kept)
    return result


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


def _mark(job: Job, clip: DatasetClip) -> str:
    """Of all that the figures follow from: the clip's bytes, the settings, the weights, the code."""
    about = {key: str(value) for key, value in asdict(job).items() if key not in ("folder", "cache")}
    for key in ("reference", "lpips"):
        path: Path | None = getattr(job, key)
        about[key] = "" if path is None else hashlib.sha256(path.read_bytes()).hexdigest()
    about["artifact"] = load_artifact(job.artifact).manifest.files["step.onnx"]
    paths = sorted({path for pattern in _SOURCES for path in ROOT.glob(pattern)})
    code = hashlib.sha256(b"".join(p.read_bytes() for p in paths if p.name not in _NOT_MEASURING)).hexdigest()
    return content_key(clip, json.dumps(about, sort_keys=True), code)
