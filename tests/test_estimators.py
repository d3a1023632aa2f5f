"""The learned estimators' process: its protocol with a real worker, and with the weights where they are."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from model.data.portrait import builtin_portrait
from model.data.settings import ClipSettings
from model.data.video import render_video
from model.estimators.client import DEFAULT_FOLDER, ENVIRONMENT, EstimatorProcess, worker_python
from model.evaluate.metrics import rgb_of
from model.rivals.physnet import published_physnet
from streamfilter.errors import UsageError

# Stands in for open-rppg, which the project's environment does not have: the mean of green is the wave. The
# worker, its protocol and the files are the real ones.
PACKAGE = '''
"""A package with one honest model, which reads a frame when its pool comes to it."""
from concurrent.futures import ThreadPoolExecutor

import numpy as np

print("noise on the standard output")


class Model:
    def __init__(self, name):
        if name != "GREEN":
            raise ValueError(f"no model {name}")
        self.state, self.fps = {"clips": 0}, 30.0

    def __enter__(self):
        print("more noise")
        self.state["clips"] += 1
        assert self.state["clips"] == 1, "an earlier clip's memory"
        self.wave, self.count = [], 0
        self.face_detection_pool = ThreadPoolExecutor(1)

    def __exit__(self, *error):
        self.face_detection_pool.shutdown()

    def update_frame(self, frame, ts):
        def look():
            assert self.count == len(self.wave), "another frame's number"
            self.wave.append(frame[..., 1].mean())

        assert self.face_detection_pool.submit(look).result() is None
        assert round(ts * self.fps) == self.count
        self.count += 1

    def hr(self):
        self.wave = np.array(self.wave)
        return {"hr": 71.5, "SQI": 0.5} if len(self.wave) > 60 else None

    def bvp(self, raw):
        return (self.wave, None) if len(self.wave) > 60 else ([], [])
'''


@pytest.fixture
def process(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> EstimatorProcess:
    (tmp_path / "rppg.py").write_text(PACKAGE)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    return EstimatorProcess(Path(sys.executable))


def clip(bpm: float, seconds: float = 10.0) -> npt.NDArray[np.uint8]:
    time = np.arange(round(seconds * 30)) / 30.0
    green = 120.0 + 30.0 * np.sin(2 * np.pi * bpm / 60.0 * time)
    return np.rint(np.broadcast_to(green[:, None, None, None], (time.size, 8, 8, 3))).astype(np.uint8)


def test_a_worker_reads_one_clip_after_another(process: EstimatorProcess) -> None:
    with process:
        reader = process.reader("GREEN")
        for bpm in (72.0, 96.0):
            reading = reader.read(clip(bpm), 30.0)
            assert abs(reading.bpm - bpm) < 1.0
            assert reading.own_bpm == 71.5
            assert reading.bvp.shape == (300,) and reading.fs == 30.0


def test_a_model_that_fails_does_not_end_the_worker(process: EstimatorProcess) -> None:
    with process:
        with pytest.raises(UsageError, match="no model nothing"):
            process.read("nothing", clip(72.0), 30.0)
        assert abs(process.read("GREEN", clip(72.0), 30.0).bpm - 72.0) < 1.0


def test_a_clip_that_gives_no_wave_has_no_rate(process: EstimatorProcess) -> None:
    with process:
        reading = process.read("GREEN", clip(72.0, seconds=1.0), 30.0)
    assert np.isnan(reading.bpm) and reading.own_bpm is None


def test_a_closed_process_says_so_and_leaves_no_files(process: EstimatorProcess) -> None:
    folder = process.file("frames.npy").parent
    process.close()
    process.close()
    assert not folder.exists()
    with pytest.raises(UsageError, match="has ended"):
        process.ask(op="read")


def test_a_worker_that_cannot_start_is_named(tmp_path: Path) -> None:
    script = tmp_path / "worker.py"
    script.write_text("raise SystemExit(7)")
    with pytest.raises(UsageError, match="code 7"):
        EstimatorProcess(Path(sys.executable), script)


def test_an_absent_environment_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="make estimators"):
        worker_python({ENVIRONMENT: str(tmp_path / "nowhere")})
    python = tmp_path / "bin" / "python"
    python.parent.mkdir()
    python.touch()
    assert worker_python({ENVIRONMENT: str(tmp_path)}) == python


@pytest.fixture
def published() -> Iterator[EstimatorProcess]:
    """The process with the published weights, where they are."""
    try:
        python = worker_python()
    except UsageError:
        pytest.skip(f"no learned estimators in {DEFAULT_FOLDER}: make estimators, or set {ENVIRONMENT}")
    with EstimatorProcess(python) as process:
        yield process


def test_physnet_answers_as_the_published_one(published: EstimatorProcess) -> None:
    published_physnet(published)  # refuses another answer


def test_a_clip_gives_the_same_wave_every_time(published: EstimatorProcess) -> None:
    """Left to the package's threads, the frames in which it looks for the face change with the load."""
    settings = ClipSettings(frames=160, fps=30.0, motion=2, hr=84.0)
    video = render_video(np.random.default_rng(4), builtin_portrait(), settings, 128)
    frames = np.stack([rgb_of(drawn.frame) for drawn in video.frames()])
    first, second = (published.read("PhysNet.rlap", frames, 30.0).bvp for _ in range(2))
    assert first.size > 0 and np.array_equal(first, second)


def test_ts_can_reads_a_rate(published: EstimatorProcess) -> None:
    """The package's own 16-bit floats give no number at all here."""
    settings = ClipSettings(frames=200, fps=30.0, motion=0, hr=84.0, strength=0.01, noise=0.5)
    video = render_video(np.random.default_rng(3), builtin_portrait(), settings, 128)
    frames = np.stack([rgb_of(drawn.frame) for drawn in video.frames()])
    assert published.read("TSCAN.rlap", frames, 30.0).bpm == pytest.approx(84.0, abs=6.0)
