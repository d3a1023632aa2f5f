"""physio-bench for real: a small picture, the packaged artifact, seconds."""

from __future__ import annotations

import importlib
import subprocess
import sys
import tomllib
from pathlib import Path

import cv2
import numpy as np
import pytest

from streamfilter.artifact import load_artifact
from streamfilter.bench.allocations import LIMIT, allocations
from streamfilter.bench.chain import STAGES, Chain
from streamfilter.bench.cli import main
from streamfilter.bench.footage import FORMATS, SIZES, Size, footage, frame_of
from streamfilter.bench.gpu import ABSENT, Gpu
from streamfilter.bench.machine import memory_mb
from streamfilter.bench.results import load_results
from streamfilter.bench.streams import (
    BATCH,
    ENGINE,
    FILTER,
    THREADS,
    Job,
    ProcessCrew,
    ThreadCrew,
    Trial,
    most_streams,
)
from streamfilter.config import FilterSettings
from streamfilter.errors import EngineError
from streamfilter.face.finder import FaceFinder

ROOT = Path(__file__).resolve().parents[2]
SMALL = Size("320x180", 320, 180)
PARTS = ["--parts", "frames,steps,starts,allocations", "--engines", "onnxruntime", "--sizes", "320x180"]


def test_a_quick_run_measures_everything_but_streams(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "bench"
    assert main(["--quick", *PARTS, "--out", str(out)]) == 0
    said = capsys.readouterr()
    results = load_results(out / "results.json")
    ours = [one for one in results.frames if one.kind == "engine"]
    assert [(one.name, one.faces, one.outcome.faces) for one in ours] == [("onnxruntime", 1, 1)]
    assert results.command == "physio-bench --quick " + " ".join(
        ["--sizes", "320x180", "--engines", "onnxruntime", "--parts", "frames,steps,starts,allocations"]
    )
    outcome = ours[0].outcome
    assert tuple(outcome.stages) == STAGES
    assert sum(part.mean for part in outcome.stages.values()) == pytest.approx(outcome.whole.mean, rel=1e-3)
    assert outcome.filter.mean < outcome.whole.mean and outcome.filter.p50 <= outcome.filter.p99
    assert outcome.cpu.mean > 0
    assert {one.name for one in results.frames} >= {"onnxruntime", "band-stop"}
    assert [step.name for step in results.steps] == ["onnxruntime", "onnxruntime, plain"]
    assert results.artifact.sha256 == load_artifact().manifest.files["step.onnx"]
    assert all(0.05 < one.start.first_frame[0] < 60 for one in results.starts)
    assert all(one.start.resident_mb is None or one.start.resident_mb > 50 for one in results.starts)
    # MediaPipe is no dependency: that it is absent is said, in the page and at the end.
    if "background-blur" not in {one.name for one in results.frames}:
        assert "rival background-blur not measured: no MediaPipe" in said.err
        assert "rival background-blur not measured" in (out / "README.md").read_text(encoding="utf-8")
    for picture in ("rate.png", "stages.png", "rivals.png"):
        assert np.asarray(cv2.imread(str(out / picture))).shape[2] == 3
    assert not list(out.glob("*.part*"))
    before = (out / "results.json").read_bytes()
    assert main(["--quick", *PARTS, "--out", str(out)]) == 4
    assert "--overwrite" in capsys.readouterr().err and (out / "results.json").read_bytes() == before


def test_the_command_is_installed_by_its_name() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    module, _, function = project["scripts"]["physio-bench"].partition(":")
    assert getattr(importlib.import_module(module), function) is main
    assert {"matplotlib", "nvidia-ml-py"} == {
        line.partition(">")[0] for line in project["optional-dependencies"]["bench"]
    }


def test_a_processs_peak_is_its_own_not_that_of_who_started_it() -> None:
    here = memory_mb()
    if here is None:
        pytest.skip("this system does not say")
    ballast = np.ones(40_000_000)  # 320 MB
    code = "from streamfilter.bench.machine import memory_mb; print(*memory_mb())"
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    now, peak = map(float, said.stdout.split())
    assert now <= peak < ballast.nbytes / 1e6


def test_stages_of_every_frame_add_up_to_the_whole() -> None:
    shown = footage(SMALL, 2, "yu12")
    chain = Chain(load_artifact(), "onnxruntime", FilterSettings(seed=1), shown)
    try:
        taken = [chain.take(index) for index in range(8)]
    finally:
        chain.close()
    for one in taken:
        assert sum(one.stages.values()) == pytest.approx(one.whole, rel=1e-6)
        inside = sum(one.stages[stage] for stage in ("detect", "crop", "step", "composite"))
        assert inside == pytest.approx(one.filter, rel=1e-6) and one.filter < one.whole


@pytest.mark.parametrize("faces", [1, 2, 3, 4])
def test_the_footage_shows_as_many_faces_as_it_should(faces: int) -> None:
    finder = FaceFinder()
    for frame in footage(SIZES["360p"], faces, "yu12").frames()[:6]:
        assert len(finder.find(frame)) == faces


@pytest.mark.parametrize("camera", FORMATS)
def test_every_camera_format_carries_the_same_picture(camera: str) -> None:
    exact = footage(SMALL, 1, "yu12").frames()[3]
    shown = footage(SMALL, 1, camera)
    frame = frame_of(shown.decoder().decode(shown.buffer(3)), 3)
    allowed = 4 if camera == "mjpg" else 0
    for ours, theirs in ((frame.y, exact.y), (frame.u, exact.u), (frame.v, exact.v)):
        assert ours.shape == theirs.shape
        assert np.abs(ours.astype(int) - theirs).mean() <= allowed


def test_a_clip_is_fitted_and_shown_there_and_back(tmp_path: Path) -> None:
    for index in range(3):
        grey = np.full((90, 160, 3), 60 + 40 * index, np.uint8)
        cv2.imwrite(str(tmp_path / f"{index}.png"), grey)
    shown = footage(SMALL, 1, "yu12", tmp_path)
    levels = [int(shown.decoder().decode(shown.buffer(k)).y.mean()) for k in range(5)]
    assert levels[0] < levels[1] < levels[2] and levels[3:] == [levels[1], levels[0]]


@pytest.mark.parametrize(
    ("flags", "code", "said"),
    [
        (["--sizes", "17p"], 2, "17p"),
        (["--sizes", "321x180"], 2, "even"),
        (["--sizes", ","], 2, "empty"),
        (["--faces", "5"], 2, "'5'"),
        (["--engines", "abacus"], 2, "abacus"),
        (["--parts", "frames,lunch"], 2, "lunch"),
        (["--rivals", "nobody"], 2, "nobody"),
        (["--camera", "film"], 2, "film"),
        (["--threads", "0"], 2, "--threads"),
        (["--nonsense"], 2, "nonsense"),
        (["--input", "absent.mp4", *PARTS], 3, "absent.mp4"),
        (["--compare", "absent.json", "absent.json"], 3, "absent.json"),
        (["--artifact", "absent"], 5, "absent"),
    ],
)
def test_bad_input_ends_with_the_documented_code(
    flags: list[str], code: int, said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["--quick", "--out", str(tmp_path / "out"), *flags]) == code
    assert said in capsys.readouterr().err
    assert not (tmp_path / "out" / "results.json").exists()


def test_a_file_in_the_folders_place_is_said_before_anything_is_measured(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "taken").write_text("mine", encoding="utf-8")
    assert main(["--quick", "--out", str(tmp_path / "taken")]) == 4
    assert "cannot be written" in capsys.readouterr().err


def test_allocations_are_seen_however_soon_they_are_freed() -> None:
    large, small = LIMIT // 8 * 2, LIMIT // 8 // 4
    kept = np.zeros(large)

    def work(index: int) -> float:
        passing = kept + 1.0  # seen
        np.add(kept, 1.0, out=passing)
        return float(np.ones(small).sum()) + float((kept * 2.0)[0])  # the second is seen, and freed at once

    found = allocations(work, 4)
    assert sum(place.per_frame for place in found) == 2.0
    assert all(place.largest == pytest.approx(8 * large, rel=0.02) for place in found)
    assert all(
        place.where.endswith("(work)") for place in found
    )  # no code of this package: its name is given
    assert allocations(lambda index: kept.sum(), 3) == []


def test_a_gpu_is_sampled_and_its_absence_is_said() -> None:
    def absent() -> object:
        raise ImportError

    assert Gpu(absent).note == ABSENT

    class NVMLError(Exception):
        pass

    class Library:
        """As much of the driver's library as is used; no GPU is here."""

        def __init__(self, cards: int) -> None:
            self.NVMLError = NVMLError
            self._cards, self._busy = cards, 0

        def nvmlInit(self) -> None:  # noqa: N802
            if not self._cards:
                raise NVMLError("no driver")

        def nvmlDeviceGetHandleByIndex(self, index: int) -> int:  # noqa: N802
            return index

        def nvmlDeviceGetName(self, handle: int) -> str:  # noqa: N802
            return "Card"

        def nvmlSystemGetDriverVersion(self) -> str:  # noqa: N802
            return "1"

        def nvmlDeviceGetUtilizationRates(self, handle: int) -> object:  # noqa: N802
            self._busy += 20
            return type("Rates", (), {"gpu": self._busy})()

        def nvmlDeviceGetMemoryInfo(self, handle: int) -> object:  # noqa: N802
            return type("Memory", (), {"used": self._busy * 1_000_000})()

    none = Gpu(lambda: Library(0))
    none.sample()
    assert none.note is not None and "no driver" in none.note and none.use() is None
    card = Gpu(lambda: Library(1))
    card.sample()
    card.sample()
    used = card.use()
    assert used is not None and (used.utilisation, used.memory_mb) == (30.0, 40.0)
    assert card.name == "Card" and card.note is None and card.use() is None


class Crowd:
    """A crew that serves up to ``room`` streams, and fails its first trial of each number by bad luck."""

    def __init__(self, room: int, unlucky: bool) -> None:
        self._room, self._unlucky, self._seen = room, unlucky, set[int]()

    def trial(self, shares: list[int], seconds: float) -> list[list[float]]:
        streams = sum(shares)
        first = streams not in self._seen
        self._seen.add(streams)
        late = float("inf") if streams > self._room or (first and self._unlucky) else 0.01
        return [[late] * share for share in shares]


@pytest.mark.parametrize("room", [0, 1, 2, 7, 30, 31])
@pytest.mark.parametrize("guess", [1, 8, 100])
@pytest.mark.parametrize("unlucky", [False, True])
def test_the_number_of_streams_is_found_from_any_guess(room: int, guess: int, unlucky: bool) -> None:
    found, trials = most_streams(Crowd(room, unlucky), 2, 1.0, guess)  # type: ignore[arg-type]
    assert found == room
    assert Trial(room + 1, 0.0, None) in trials


@pytest.mark.parametrize("crew", [ThreadCrew, ProcessCrew])
def test_workers_serve_the_real_filter(crew: type[ThreadCrew] | type[ProcessCrew]) -> None:
    workers = crew(Job(FILTER, "onnxruntime", None, SMALL, "yu12"), 2)
    try:
        late = workers.trial([1, 2], 0.2)
        assert [len(part) for part in late] == [6, 12]
        assert all(one > 0 for part in late for one in part)
        assert [len(part) for part in workers.trial([0, 1], 0.1)] == [0, 3]
    finally:
        workers.close()


def test_batches_are_filled_one_after_the_other() -> None:
    crew = ThreadCrew(Job(ENGINE, "onnxruntime", None, SMALL, "yu12", batched=True), 2)
    try:
        late = crew.trial([1, BATCH + 2], 0.1)
        assert [len(part) for part in late] == [3, 3 * (BATCH + 2)]
        assert len(set(late[1])) == 6  # a batch's streams are done at once
    finally:
        crew.close()


def test_a_worker_that_cannot_start_is_an_error() -> None:
    job = Job(FILTER, "onnxruntime", Path("absent"), SMALL, "yu12")
    with pytest.raises(EngineError, match="absent"):
        ProcessCrew(job, 1)
    assert THREADS == "threads"
