"""The whole command between two real loopback devices; test_live_vm runs it in a virtual machine.

Marked frames (see live_simulation) are fed into /dev/video11 as the webcam; physio-cam takes the mark out and
shows the rest on /dev/video10; a reader looks at every frame there. An emulated machine is many times too
slow for the network, so that a plain filter stands in for it, and the deadlines are longer: what is tested is
that devices, faults and the end go as they should, and that no mark leaves.
"""

from __future__ import annotations

import queue
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import av
import numpy as np
import numpy.typing as npt

from streamfilter.frame import ColorSpec, Frame
from streamfilter.live.ports import LIVE_TIME_BASE
from streamfilter.sinks.v4l2loopback import DeviceState, loopback_devices
from tests.live_simulation import is_card, shows_mark

ROOT = Path(__file__).resolve().parent.parent
CAMERA, OUTPUT = "/dev/video11", "/dev/video10"
WIDTH, HEIGHT = 320, 240
PATIENCE = 200.0  # seconds for anything that has to start a Python

FEEDER = """
import sys, time
import numpy as np
from streamfilter.sinks.virtual_camera import OutputSettings, open_output
from tests.live_simulation import marked
device, kind = sys.argv[1:]
output = open_output(OutputSettings(device, 320, 240, 10.0))
rng = np.random.default_rng(1)
while True:
    frame = marked(0.0, 320, 240)
    if kind == "garbage":
        frame = frame.with_planes(*(rng.integers(0, 256, plane.shape, np.uint8)
                                    for plane in (frame.y, frame.u, frame.v)))
    output.write(frame)
    time.sleep(0.1)
"""
COMMAND = """
import sys
import streamfilter.face_filter
from streamfilter.live import capturing, publisher
from tests.live_simulation import MarkFilter, shows_mark

class Marks(MarkFilter):
    engine = type("Engine", (), {"name": "test"})

    def process(self, frame):
        self.faces = int(shows_mark(frame))
        return super().process(frame)

streamfilter.face_filter.build_filter = lambda settings: Marks()
publisher.STALL = capturing.STALL = 3.0
capturing.GIVE_UP = capturing.FIRST_FRAME = 10.0
from streamfilter.cli.main import main
sys.exit(main(sys.argv[1:]))
"""


def run(code: str, *arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-u", "-c", code, *arguments],
        cwd=ROOT,
        env={"PYTHONPATH": str(ROOT), "PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "OMP_NUM_THREADS": "1"},
        stderr=subprocess.PIPE,
        text=True,
    )


class Said:
    """What a process writes to its standard error."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.lines: list[str] = []
        self._stream = process.stderr
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self) -> None:
        assert self._stream is not None
        for line in self._stream:
            self.lines.append(line.rstrip())
            print("physio-cam said:", line.rstrip(), flush=True)

    def last(self, word: str) -> int:
        """Where it said this last; -1 where it never did."""
        return max((index for index, line in enumerate(self.lines) if word in line), default=-1)


class Reader:
    """Reads the virtual camera in a thread of its own; each frame is a card, an edit or a leak."""

    def __init__(self) -> None:
        self.kinds: queue.Queue[str] = queue.Queue()
        self.count = {"card": 0, "edit": 0, "leak": 0}
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    def _read(self) -> None:
        with av.open(OUTPUT, format="v4l2") as camera:
            for frame in camera.decode(video=0):
                if self._stop.is_set():
                    return
                kind = self._kind(frame.to_ndarray().astype(np.uint8))
                self.count[kind] += 1
                self.kinds.put(kind)

    def _kind(self, planes: npt.NDArray[np.uint8]) -> str:
        chroma = planes[HEIGHT:].reshape(2, HEIGHT // 2, WIDTH // 2)
        frame = Frame(planes[:HEIGHT], chroma[0], chroma[1], 0, LIVE_TIME_BASE, ColorSpec())
        return "card" if is_card(frame) else "leak" if shows_mark(frame) else "edit"

    def until(self, kind: str, number: int = 3) -> None:
        """Wait for so many frames of this kind in a row; a leak ends everything."""
        row, end = 0, time.monotonic() + PATIENCE
        while row < number:
            seen = self.kinds.get(timeout=max(0.1, end - time.monotonic()))
            assert seen != "leak", "a mark left"
            row = row + 1 if seen == kind else 0

    def close(self) -> None:
        self._stop.set()
        self._thread.join(30)


def until(done: Callable[[], bool], what: str) -> None:
    end = time.monotonic() + PATIENCE
    while not done():
        assert time.monotonic() < end, f"waited in vain for {what}"
        time.sleep(0.1)


def holds(what: str) -> None:
    print(f"{what} holds ({time.monotonic():.0f} s)", flush=True)


@contextmanager
def feeding(kind: str = "marks") -> Iterator[None]:
    process = run(FEEDER, CAMERA, kind)
    try:
        yield
    finally:
        process.kill()
        process.wait()


def state(path: str) -> DeviceState:
    return next(device.state for device in loopback_devices() if str(device.path) == path)


def main() -> int:
    with feeding():
        until(lambda: state(CAMERA) is not DeviceState.FREE, "the fed webcam")
        process = run(
            COMMAND,
            *("--camera", CAMERA, "--output", OUTPUT, "--size", "320x240", "--fps", "10"),
            *("--hr", "90", "--settle", "0.5"),
        )
        said = Said(process)
        until(lambda: said.last("virtual camera:") >= 0, "the command's start")
        reader = Reader()
        reader.until("edit")
        holds("a reader gets edited frames")
        reader.close()
        until(lambda: said.last("waiting") > said.last("filtering"), "the camera's rest")
        holds("nobody watches, the camera is closed")
        reader = Reader()
        reader.until("edit")
        holds("a new reader wakes the camera")
    reader.until("card")
    holds("the camera's feed ends, cards are shown")
    with feeding("garbage"):
        until(lambda: said.last("no face") > said.last("the camera"), "garbage to be read")
        reader.until("card")
        holds("garbage is shown as cards")
    with feeding():
        reader.until("edit")
        holds("the camera's feed is back, edited frames are back")
        process.send_signal(signal.SIGTERM)
        assert process.wait(60) == 0, process.returncode
    assert state(OUTPUT) is DeviceState.FREE, state(OUTPUT)
    assert reader.count["leak"] == 0 and reader.count["edit"] > 5, reader.count
    holds("SIGTERM ends it in order, the device is free")
    return 0


if __name__ == "__main__":
    sys.exit(main())
