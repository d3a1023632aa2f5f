"""The learned estimators' process, seen from here: frames in, heart rate and waveform out."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Protocol, Self

import numpy as np
import numpy.typing as npt

from model.code_mark import ROOT
from streamfilter.errors import UsageError
from streamfilter.rppg.heart_rate import heart_rate

Frames = npt.NDArray[np.uint8]
Array64 = npt.NDArray[np.float64]

ENVIRONMENT = "PHYSIOCAM_ESTIMATORS"  # folder of the estimators' virtual environment
DEFAULT_FOLDER = ROOT / "runs" / "estimators"
WORKER = Path(__file__).with_name("worker.py")
LEARNED = ("FacePhys.rlap", "PhysNet.rlap", "EfficientPhys.pure")


@dataclass(frozen=True)
class Reading:
    """What an estimator makes of a clip.

    ``bvp`` (N,) at ``fs`` Hz, as the network gives it. ``bpm``: its spectral peak, read as for the classical
    estimators (`streamfilter.rppg.heart_rate`), NaN where there is none; ``own_bpm`` is the package's own.
    """

    bpm: float
    own_bpm: float | None
    bvp: Array64
    fs: float


class Reader(Protocol):
    """An estimator: (T, H, W, 3) uint8 R, G, B at ``fps``."""

    def read(self, frames: Frames, fps: float) -> Reading: ...


def worker_python(environ: Mapping[str, str] = os.environ) -> Path:
    """The Python of the estimators' environment. Raises UsageError where it is not there."""
    folder = Path(environ.get(ENVIRONMENT) or DEFAULT_FOLDER)
    python = folder / "bin" / "python"
    if not python.is_file():
        raise UsageError(
            f"no environment with learned estimators in {folder}: run `make estimators`, "
            f"or name one with {ENVIRONMENT}"
        )
    return python


class EstimatorProcess:
    """A worker that lives until `close`; a context manager. Its models are loaded at their first use.

    ``python`` runs ``script``. Raises UsageError where the worker does not start.
    """

    def __init__(self, python: Path, script: Path = WORKER) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="physiocam-estimators-")
        self._process = subprocess.Popen(
            [str(python), str(script)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        try:
            self._answer()
        except BaseException:
            self.close()
            raise

    def reader(self, name: str) -> Reader:
        return _Named(self, name)

    def read(self, name: str, frames: Frames, fps: float) -> Reading:
        """Raises UsageError where the model fails on these frames, or the worker has ended."""
        given, out = self.file("frames.npy"), self.file("wave.npz")
        np.save(given, frames)
        answer = self.ask(op="read", model=name, frames=str(given), fps=fps, out=str(out))
        with np.load(out) as data:
            bvp, fs = np.asarray(data["bvp"], np.float64), float(data["fs"])
        rate = heart_rate(bvp, fs) if bvp.size > fs and np.isfinite(bvp).all() else float("nan")
        return Reading(rate, answer["bpm"], bvp, fs)

    def file(self, name: str) -> Path:
        """A place for a file that is passed to or from the worker; gone with it."""
        return Path(self._folder.name) / name

    def ask(self, **request: Any) -> dict[str, Any]:
        """One request of the worker's protocol (`worker.py`) and its answer."""
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(json.dumps(request) + "\n")
            self._process.stdin.flush()
        except (BrokenPipeError, ValueError) as error:
            raise UsageError("the estimators' process has ended: start it again") from error
        return self._answer()

    def _answer(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            code = self._process.wait()
            raise UsageError(
                f"the estimators' process ended with code {code}: run `make estimators` to make it anew"
            )
        answer: dict[str, Any] = json.loads(line)
        if "error" in answer:
            raise UsageError(f"the estimator failed: {answer['error']}")
        return answer

    def close(self) -> None:
        if self._process.stdin is not None and not self._process.stdin.closed:
            with contextlib.suppress(BrokenPipeError):  # it has ended already
                self._process.stdin.close()
        try:
            self._process.wait(timeout=10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        if self._process.stdout is not None:
            self._process.stdout.close()
        self._folder.cleanup()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


@dataclass(frozen=True)
class _Named:
    process: EstimatorProcess
    name: str

    def read(self, frames: Frames, fps: float) -> Reading:
        return self.process.read(self.name, frames, fps)
