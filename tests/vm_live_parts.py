"""The parts around ``physio-cam`` in the virtual machine: a webcam that is fed, a reader, the command itself.

Only the standard library is imported: an emulated machine takes long to import more, and what is recorded is
looked at outside. Times are in seconds of the machine's monotonic clock.
"""

from __future__ import annotations

import fcntl
import json
import os
import random
import signal
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
WEBCAM, OUTPUT = "/dev/video11", "/dev/video10"
WIDTH, HEIGHT = 144, 160
SIZE = WIDTH * HEIGHT * 3 // 2
PATIENCE = 40.0

_QUERYCAP, _S_FMT, _S_PARM, _STREAMON = 0x80685600, 0xC0D05605, 0xC0CC5616, 0x40045612
_OUT, _NO_FIELD = 2, 1
CAN_CAPTURE, CAN_OUTPUT = 0x1, 0x2


def say(text: str) -> None:
    print(f"[{time.monotonic():7.2f}] {text}", flush=True)


def until(done: Callable[[], bool], what: str, seconds: float = PATIENCE) -> float:
    """Wait for it; how long it took."""
    start = time.monotonic()
    while not done():
        assert time.monotonic() - start < seconds, f"waited {seconds:g} s in vain for {what}"
        time.sleep(0.02)
    return time.monotonic() - start


def capabilities(path: str) -> int:
    """What the device says that it can do now."""
    descriptor = os.open(path, os.O_RDWR | os.O_NONBLOCK)
    try:
        told = bytearray(104)
        fcntl.ioctl(descriptor, _QUERYCAP, told)
        return int.from_bytes(told[88:92], sys.byteorder)
    finally:
        os.close(descriptor)


class Webcam:
    """A loopback device that is fed with I420 pictures, or with bytes that are no JPEG, in its own thread."""

    def __init__(self, pictures: list[bytes], fps: float, pixel_format: bytes = b"YU12") -> None:
        self.mode = "face"  # or "noise", "stall"
        self.fed_at = 0.0
        self._pictures, self._fps = pictures, fps
        self._descriptor = os.open(WEBCAM, os.O_RDWR)
        form = bytearray(208)
        code = int.from_bytes(pixel_format, "little")
        struct.pack_into("=IIIIIIIII", form, 0, _OUT, 0, WIDTH, HEIGHT, code, _NO_FIELD, 0, SIZE, 0)
        fcntl.ioctl(self._descriptor, _S_FMT, form)
        told = struct.unpack_from("=IIIII", form)
        assert told[2:] == (WIDTH, HEIGHT, code), f"the driver keeps another format: {told}"
        rate = bytearray(204)
        struct.pack_into("=IIIII", rate, 0, _OUT, 0, 0, 1, round(fps))
        fcntl.ioctl(self._descriptor, _S_PARM, rate)
        # v4l2loopback 0.12 counts a writer out only through a descriptor that has streamed, closed last.
        self._hold = os.open(WEBCAM, os.O_RDWR | os.O_NONBLOCK)
        with suppress(OSError):
            fcntl.ioctl(self._hold, _STREAMON, struct.pack("=i", _OUT))
        self._ending = threading.Event()
        self._thread = threading.Thread(target=self._feed, daemon=True)
        self._thread.start()

    def close(self) -> None:
        self._ending.set()
        self._thread.join(5)
        os.close(self._descriptor)
        os.close(self._hold)

    def _feed(self) -> None:
        noise, index, due = random.Random(1), 0, time.monotonic()
        while not self._ending.wait(max(0.0, due - time.monotonic())):
            if self.mode != "stall":
                face = self.mode == "face"
                picture = self._pictures[index % len(self._pictures)] if face else noise.randbytes(SIZE)
                os.write(self._descriptor, picture)
                self.fed_at = time.monotonic()
            index += 1
            due += 1 / self._fps


class Reader:
    """Reads the virtual camera in its own thread and keeps every frame with its time of arrival."""

    def __init__(self, size: int = SIZE, luma: int = WIDTH * HEIGHT) -> None:
        self.frames: list[tuple[float, bytes]] = []
        self._size, self._luma = size, luma
        self._neutral = b"\x80" * (size - luma)
        self._descriptor = os.open(OUTPUT, os.O_RDONLY)
        self._ending = False
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    def is_card(self, frame: bytes) -> bool:
        """A card is grey."""
        return frame[self._luma :] == self._neutral

    def first_after(self, start: float, card: bool) -> float | None:
        """Arrival of the first card, or picture, after ``start``."""
        for arrived, frame in self.frames[:]:
            if arrived > start and self.is_card(frame) == card:
                return arrived
        return None

    def wait_for(self, card: bool, start: float, what: str, seconds: float = PATIENCE) -> float:
        """Wait for a card, or a picture; seconds from ``start`` to its arrival."""
        until(lambda: self.first_after(start, card) is not None, what, seconds)
        return (self.first_after(start, card) or start) - start

    def close(self) -> None:
        self._ending = True
        self._thread.join(10)
        assert not self._thread.is_alive(), "nothing came any more"

    def _read(self) -> None:
        try:
            while not self._ending:
                frame = os.read(self._descriptor, self._size)
                self.frames.append((time.monotonic(), frame))
        finally:
            os.close(self._descriptor)


class Command:
    """A running ``physio-cam``, and what it says."""

    def __init__(self, *arguments: str) -> None:
        self.lines: list[tuple[float, str]] = []
        self._process = subprocess.Popen(
            [sys.executable, "-m", "streamfilter", *arguments], cwd=ROOT, stderr=subprocess.PIPE, text=True
        )
        threading.Thread(target=self._listen, daemon=True).start()

    def said(self, word: str, after: float = 0.0) -> bool:
        return any(word in line for when, line in self.lines[:] if when > after)

    def holds(self, path: str) -> bool:
        """Whether it has this device open."""
        folder = Path(f"/proc/{self._process.pid}/fd")
        for link in folder.iterdir():
            with suppress(OSError):
                if os.readlink(link).removesuffix(" (deleted)") == path:  # noqa: PTH115  # sockets, too
                    return True
        return False

    def terminate(self) -> float:
        """SIGTERM; seconds until it has ended. It has to end in order."""
        asked = time.monotonic()
        self._process.send_signal(signal.SIGTERM)
        code = self._process.wait(PATIENCE)
        took = time.monotonic() - asked
        assert code == 0, code
        assert not self.said("Traceback"), self.lines
        return took

    def _listen(self) -> None:
        assert self._process.stderr is not None
        for line in self._process.stderr:
            self.lines.append((time.monotonic(), line.rstrip()))
            say(f"  physio-cam: {line.rstrip()}")


def pictures_of(path: Path) -> list[bytes]:
    """The clip's I420 pictures, forwards and then backwards: no seam where it starts again."""
    data = path.read_bytes()
    forwards = [data[start : start + SIZE] for start in range(0, len(data), SIZE)]
    return forwards + forwards[-2:0:-1]


def keep(folder: Path, frames: list[tuple[float, bytes]], figures: dict[str, object]) -> None:
    """Leave frames, their times and figures for the test outside."""
    (folder / "frames.yuv").write_bytes(b"".join(frame for _, frame in frames))
    (folder / "figures.json").write_text(json.dumps({"times": [when for when, _ in frames], **figures}))


def check_end(command: Command) -> float:
    """SIGTERM ends it; its virtual camera is free again, its webcam can still be read."""
    took = command.terminate()
    assert capabilities(OUTPUT) & CAN_OUTPUT, hex(capabilities(OUTPUT))
    assert capabilities(WEBCAM) & CAN_CAPTURE, hex(capabilities(WEBCAM))
    descriptor = os.open(WEBCAM, os.O_RDONLY)
    assert len(os.read(descriptor, SIZE)) == SIZE
    os.close(descriptor)
    return took
