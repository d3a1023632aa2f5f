"""The virtual camera without a device: planes to I420, the choice of a device, what errors say, who reads."""

from __future__ import annotations

import os
import subprocess
import sys
import time
import tracemalloc
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamfilter.errors import SinkError
from streamfilter.frame import ColorSpec, Frame
from streamfilter.live.ports import LIVE_TIME_BASE, Picture
from streamfilter.sinks.virtual_camera import (
    OBS_MACOS,
    OBS_WINDOWS,
    I420Buffer,
    OutputSettings,
    VirtualCamera,
    open_output,
)
from streamfilter.sinks.watchers import CLIENT_USAGE, Watchers, readers

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="v4l2loopback is Linux's")


def _frame(width: int, height: int, seed: int = 0) -> Frame:
    noise = np.random.default_rng(seed)
    chroma = ((height + 1) // 2, (width + 1) // 2)
    planes = [noise.integers(0, 256, shape, np.uint8) for shape in ((height, width), chroma, chroma)]
    return Frame(planes[0], planes[1], planes[2], 0, LIVE_TIME_BASE, ColorSpec())


class _Recorder:
    """Takes what pyvirtualcam would be sent, and can fail as its backends on Windows and macOS do."""

    def __init__(self, failure: Exception | None = None) -> None:
        self.sent: list[bytes] = []
        self.buffers: set[int] = set()
        self.closed = 0
        self._failure = failure

    def send(self, data: np.ndarray[tuple[int], np.dtype[np.uint8]]) -> None:
        if self._failure is not None:
            raise self._failure
        assert data.flags.c_contiguous and data.ndim == 1 and data.dtype == np.uint8
        self.sent.append(data.tobytes())
        self.buffers.add(data.ctypes.data)

    def close(self) -> None:
        self.closed += 1


@given(st.integers(1, 21), st.integers(1, 21), st.booleans())
def test_the_buffer_is_the_three_planes_row_by_row(width: int, height: int, strided: bool) -> None:
    frame = _frame(width, height)
    if strided:  # planes that are parts of a larger picture, as a decoder's padded rows
        wide = [np.pad(plane, ((0, 0), (3, 5))) for plane in (frame.y, frame.u, frame.v)]
        frame = frame.with_planes(*(plane[:, 3:-5] for plane in wide))
    buffer = I420Buffer(width, height)
    buffer.fill(frame)
    assert buffer.data.tobytes() == frame.y.tobytes() + frame.u.tobytes() + frame.v.tobytes()


def test_every_frame_goes_out_of_the_same_memory() -> None:
    recorder = _Recorder()
    output = VirtualCamera("out", Picture(64, 48, 30.0), recorder, None, None)
    frames = [_frame(64, 48, seed) for seed in range(3)]
    for frame in frames:
        output.write(frame)
    assert recorder.sent == [f.y.tobytes() + f.u.tobytes() + f.v.tobytes() for f in frames]
    assert len(recorder.buffers) == 1


def test_a_frame_of_another_size_is_refused_and_not_shown() -> None:
    recorder = _Recorder()
    output = VirtualCamera("out", Picture(64, 48, 30.0), recorder, None, None)
    with pytest.raises(SinkError, match=r"frame of 48x64 .* out, .*64x48 at 30 fps; open it again"):
        output.write(_frame(48, 64))
    assert recorder.sent == []


@pytest.mark.parametrize("failure", [OSError(19, "No such device"), RuntimeError("shared memory is gone")])
def test_a_failure_to_send_says_that_the_camera_has_gone(failure: Exception) -> None:
    output = VirtualCamera("out", Picture(64, 48, 30.0), _Recorder(failure), None, None)
    with pytest.raises(SinkError, match=r"has gone .*open it again"):
        output.write(_frame(64, 48))


def test_a_closed_camera_takes_no_frame_and_closes_once() -> None:
    recorder = _Recorder()
    output = VirtualCamera("out", Picture(64, 48, 30.0), recorder, None, None)
    output.close()
    output.close()
    assert recorder.closed == 1
    assert output.watchers() is None
    with pytest.raises(SinkError, match="closed"):
        output.write(_frame(64, 48))


@pytest.mark.parametrize("size", [(641, 480), (640, 479), (0, 480), (640, -2)])
def test_odd_and_empty_sizes_are_named(size: tuple[int, int]) -> None:
    with pytest.raises(SinkError, match=f"{size[0]}x{size[1]}: width and height have to be even"):
        open_output(OutputSettings(None, *size))


@pytest.mark.skipif(Path("/sys/module/v4l2loopback").exists(), reason="v4l2loopback is loaded here")
@pytest.mark.parametrize("device", [None, "10", "/dev/video10", "physio"])
def test_without_v4l2loopback_the_command_that_loads_it_is_said(device: str | None) -> None:
    with pytest.raises(SinkError) as caught:
        open_output(OutputSettings(device))
    command = 'sudo modprobe v4l2loopback devices=1 video_nr=10 exclusive_caps=1 card_label="physio-cam"'
    assert command in str(caught.value)


@pytest.mark.parametrize(("platform", "advice"), [("win32", OBS_WINDOWS), ("darwin", OBS_MACOS)])
def test_other_systems_are_told_of_obs(platform: str, advice: str, monkeypatch: pytest.MonkeyPatch) -> None:
    pyvirtualcam = pytest.importorskip("pyvirtualcam")
    monkeypatch.setattr(sys, "platform", platform)
    monkeypatch.setattr(pyvirtualcam.camera, "BACKENDS", {})  # what a machine without any has
    with pytest.raises(SinkError) as caught:
        open_output(OutputSettings())
    assert advice in str(caught.value)


def test_the_event_is_v4l2loopbacks() -> None:
    # The number as v4l2-ctl --poll-for-event takes it (v4l2loopback issue 553).
    assert CLIENT_USAGE == 283115521


@contextmanager
def _holding(path: Path, mode: str) -> Iterator[subprocess.Popen[str]]:
    code = f"import sys; f = open({str(path)!r}, {mode!r}); print('open', flush=True); sys.stdin.read()"
    command = [sys.executable, "-S", "-c", code]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None and process.stdin is not None
        process.stdout.readline()
        yield process
        process.stdin.close()
        process.wait()


def test_processes_that_read_are_found_and_no_others(tmp_path: Path) -> None:
    path, other = tmp_path / "video10", tmp_path / "elsewhere" / "video10"
    other.parent.mkdir()
    path.touch()
    other.touch()
    link = tmp_path / "by-id"
    link.symlink_to(path)
    with path.open("rb"), _holding(path, "ab"), _holding(other, "rb"):  # this process, a writer, another file
        assert readers(path) == []
        with _holding(path, "rb") as first:
            assert readers(path) == [first.pid]
            with _holding(link, "r+b") as second:
                assert readers(link) == sorted([first.pid, second.pid])
            assert readers(path) == [first.pid]
        assert readers(path) == []


def test_a_device_that_is_not_there_has_no_readers(tmp_path: Path) -> None:
    assert readers(tmp_path / "video10") == []


def test_the_count_stands_for_half_a_second_at_least(tmp_path: Path) -> None:
    path = tmp_path / "video10"
    path.touch()
    moment = 100.0
    watchers = Watchers(path, None, now=lambda: moment)
    assert watchers.source == "processes"
    assert watchers.count() == 0
    with _holding(path, "rb"), _holding(path, "rb"):
        moment = 100.49
        assert watchers.count() == 0
        moment = 100.5
        assert watchers.count() == 2
    assert watchers.count() == 2
    moment = 101.0
    assert watchers.count() == 0


def test_looking_takes_a_fiftieth_of_the_time_at_most(tmp_path: Path) -> None:
    path = tmp_path / "video10"
    path.touch()
    looks = _slow_clock(0.1)
    watchers = Watchers(path, None, now=looks)
    watchers.count()  # takes 0.1 s by this clock: not again for 5 s
    with _holding(path, "rb"):
        counts = [watchers.count() for _ in range(60)]  # 0.1 s apart
    assert counts.index(1) in range(48, 52)


def _slow_clock(step: float) -> Callable[[], float]:
    moment = 0.0

    def now() -> float:
        nonlocal moment
        moment += step
        return moment

    return now


def test_a_descriptor_without_the_event_falls_to_looking(tmp_path: Path) -> None:
    path = tmp_path / "video10"
    path.touch()
    descriptor = os.open(path, os.O_RDWR)
    try:
        assert Watchers(path, descriptor).source == "processes"
    finally:
        os.close(descriptor)


def test_a_closed_descriptor_is_an_error(tmp_path: Path) -> None:
    path = tmp_path / "video10"
    path.touch()
    descriptor = os.open(path, os.O_RDWR)
    os.close(descriptor)
    with pytest.raises(OSError, match="Bad file descriptor"):
        Watchers(path, descriptor)


def test_a_write_of_a_720p_frame_takes_little_memory_and_time() -> None:
    output = VirtualCamera("out", Picture(1280, 720, 30.0), _Nowhere(), None, None)
    frame = _frame(1280, 720)
    output.write(frame)
    tracemalloc.start()
    try:
        output.write(frame)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 64 * 1024
    started = time.perf_counter()
    for _ in range(20):
        output.write(frame)
    assert (time.perf_counter() - started) / 20 < 0.01  # measured: 0.1 ms


class _Nowhere:
    def send(self, data: object) -> None: ...

    def close(self) -> None: ...
