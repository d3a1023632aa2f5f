"""What the virtual camera does on a real v4l2loopback; test_virtual_camera_vm runs it in a virtual machine.

Needs /dev/video10 "PhysioCam" and /dev/video11 "Webcam" with exclusive_caps=1, and to be root: it unloads the
module. Runs with v4l2loopback 0.12.7 (Debian 12) and 0.15.0 (Debian 13). Prints a line for every check that
holds; a failed one ends the run with a traceback. Arguments: the checks to run, all without any.
"""

from __future__ import annotations

import hashlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from streamfilter.errors import SinkError
from streamfilter.frame import ColorSpec, Frame
from streamfilter.live.ports import LIVE_TIME_BASE
from streamfilter.sinks.v4l2loopback import DeviceState, loopback_devices
from streamfilter.sinks.virtual_camera import OutputSettings, VirtualCamera, open_output

OURS, OTHER = "/dev/video10", "/dev/video11"
REOPENINGS = 50
VERSION = Path("/sys/module/v4l2loopback/version")  # 0.15 has it, 0.12.7 has not
PATIENCE = 60.0  # seconds: Python and FFmpeg start slowly in an emulated machine

# Prints a line for every frame: its size, pixel format, and a digest of its three planes.
READER = """
import hashlib, sys, av
with av.open(sys.argv[1], format="v4l2") as camera:
    rate = camera.streams.video[0].base_rate
    for frame in camera.decode(video=0):
        digest = hashlib.sha256(frame.to_ndarray().tobytes()).hexdigest()
        print(frame.width, frame.height, frame.format.name, rate, digest, flush=True)
"""
HOLDER = "import sys; f = open(sys.argv[1], 'r+b', 0); print('open', flush=True); sys.stdin.read()"
KILLED = """
import os, signal, sys
sys.path.insert(0, sys.argv[2])
from tests.vm_output import frame, opened
output = opened(sys.argv[1])
output.write(frame(0))
os.kill(os.getpid(), signal.SIGKILL)
"""


def frame(seed: int, width: int = 320, height: int = 240) -> Frame:
    noise = np.random.default_rng(seed)
    chroma = (height // 2, width // 2)
    planes = [noise.integers(0, 256, shape, np.uint8) for shape in ((height, width), chroma, chroma)]
    return Frame(planes[0], planes[1], planes[2], 0, LIVE_TIME_BASE, ColorSpec())


def digest(picture: Frame) -> str:
    planes = (picture.y, picture.u, picture.v)
    return hashlib.sha256(b"".join(plane.tobytes() for plane in planes)).hexdigest()


def opened(
    device: str | None = OURS, width: int = 320, height: int = 240, fps: float = 30.0
) -> VirtualCamera:
    output = open_output(OutputSettings(device, width, height, fps))
    assert isinstance(output, VirtualCamera)
    return output


def state_of(path: str) -> DeviceState:
    return next(device.state for device in loopback_devices() if str(device.path) == path)


def tells_usage() -> bool:
    """Whether the driver is one with the client-usage event."""
    return VERSION.exists()


def refused(device: str | None, width: int = 320, height: int = 240) -> str:
    with pytest.raises(SinkError) as caught:
        open_output(OutputSettings(device, width, height)).close()
    return str(caught.value)


@contextmanager
def program(code: str, path: str) -> Iterator[subprocess.Popen[str]]:
    command = [sys.executable, "-c", code, path]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        try:
            yield process
        finally:
            process.kill()


class Reader:
    """Lines of a running READER, without waiting for ever."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        assert process.stdout is not None
        self._descriptor = process.stdout.fileno()
        os.set_blocking(self._descriptor, False)
        self._rest = b""
        self.lines: list[str] = []

    def poll(self) -> int:
        with suppress(BlockingIOError):
            self._rest += os.read(self._descriptor, 1 << 16)
        *whole, self._rest = self._rest.split(b"\n")
        self.lines += [line.decode() for line in whole]
        return len(self.lines)


def show_until_seen(output: VirtualCamera, picture: Frame, reader: Reader, again: float) -> str:
    """Writes the picture, every ``again`` seconds, until the reader's newest line is another one."""
    before, started, last = reader.poll(), time.monotonic(), -again
    while reader.poll() == before:
        now = time.monotonic()
        assert now - started < PATIENCE, "the reader got no frame"
        if now - last >= again:
            output.write(picture)
            last = now
        time.sleep(0.002)
    return reader.lines[-1]


def eventually(watched: Callable[[], int | None], wanted: int) -> None:
    started = time.monotonic()
    while watched() != wanted:
        assert time.monotonic() - started < PATIENCE, f"{watched()} watchers, not {wanted}"
        time.sleep(0.1)


def check_names() -> None:
    labels = {
        str(device.path): (device.label, device.state, device.exclusive) for device in loopback_devices()
    }
    assert labels == {
        OURS: ("PhysioCam", DeviceState.FREE, True),
        OTHER: ("Webcam", DeviceState.FREE, True),
    }
    for name in (None, "physio", "10", OURS):
        output = opened(name)
        assert output.name == "PhysioCam (/dev/video10)"
        output.write(frame(0))
        assert state_of(OURS) is DeviceState.BUSY  # announces capture: programs list it as a camera
        output.close()
        assert state_of(OURS) is DeviceState.FREE


def check_planes_and_watchers() -> None:
    output = opened("physio")
    eventually(output.watchers, 0)
    if tells_usage():
        output.write(frame(0))  # that driver turns readers away until there is a frame
    with program(READER, OURS) as process:  # opened before the first frame
        eventually(output.watchers, 1)
        reader = Reader(process)
        show_until_seen(output, frame(0), reader, 0.5)
        pictures = [frame(seed) for seed in range(1, 31)]
        for picture in pictures:
            show_until_seen(output, picture, reader, PATIENCE)
            while not reader.lines[-1].endswith(digest(picture)):  # frame 0, that was waiting
                assert reader.lines[-1].endswith(digest(frame(0))), "not a frame that was written"
                show_until_seen(output, picture, reader, 0.5)
        seen = list(dict.fromkeys(reader.lines))
        assert seen == [f"320 240 yuv420p 30 {digest(p)}" for p in [frame(0), *pictures]], seen
        with program(HOLDER, OURS):
            # The driver that tells lets one program read at a time, and counts no one who merely opens it.
            eventually(output.watchers, 1 if tells_usage() else 2)
            show_until_seen(output, frame(99), reader, 0.5)
        eventually(output.watchers, 1)
        # The output goes and comes back while the reader stays.
        output.close()
        assert "stays at 320x240, not 640x480" in refused(OURS, 640, 480)
        output = opened(OURS)
        assert digest(frame(50)) in show_until_seen(output, frame(50), reader, 0.5)
    eventually(output.watchers, 0)
    output.close()
    assert state_of(OURS) is DeviceState.FREE


def check_sizes() -> None:
    for width, height, fps in ((1280, 720, 25.0), (322, 242, 15.0)):
        output = opened(OURS, width, height, fps)
        picture = frame(3, width, height)
        with program(READER, OURS) as process:
            line = show_until_seen(output, picture, Reader(process), 0.5)
            assert line == f"{width} {height} yuv420p {fps:.0f} {digest(picture)}", line
        eventually(output.watchers, 0)
        output.close()
    assert "even" in refused(OURS, 321, 240)


def check_reopening() -> None:
    descriptors = Path("/proc/self/fd")
    before = sorted(descriptors.iterdir())
    for number in range(REOPENINGS):
        output = opened()
        if number % 3:  # the driver's trouble depends on whether a frame was written
            output.write(frame(0))
        output.close()
    for _ in range(10):  # refusals leave nothing open: a device takes ten openers in all
        refused(OURS, 321, 240)
        refused("/dev/video0")
    assert sorted(descriptors.iterdir()) == before
    assert state_of(OURS) is DeviceState.FREE


def check_writers_that_left() -> None:
    import pyvirtualcam

    camera = pyvirtualcam.Camera(320, 240, 30, fmt=pyvirtualcam.PixelFormat.I420, device=OURS)
    camera.send(np.zeros(320 * 240 * 3 // 2, np.uint8))
    camera.close()
    assert state_of(OURS) is (DeviceState.FREE if tells_usage() else DeviceState.STUCK)
    opened(OURS).close()
    assert state_of(OURS) is DeviceState.FREE
    root = str(Path(__file__).resolve().parent.parent)
    killed = subprocess.run([sys.executable, "-c", KILLED, OURS, root], check=False)
    assert killed.returncode == -signal.SIGKILL
    opened(None).close()


def check_refusals() -> None:
    output = opened(OURS)
    assert "in use" in refused(OURS)
    output.write(frame(0))
    with_none = opened(None)  # takes the other one
    assert with_none.name == "Webcam (/dev/video11)"
    with_none.write(frame(0))
    assert "in use" in refused(None)
    with_none.close()
    with pytest.raises(SinkError, match="opened with 320x240 at 30 fps"):
        output.write(frame(0, 322, 240))
    output.write(frame(0))
    output.close()
    child = os.fork()
    if child == 0:
        os.setuid(65534)
        os._exit(0 if "usermod -a -G video" in refused(None) else 1)
    assert os.waitpid(child, 0)[1] == 0


def check_unloaded_module() -> None:
    output = opened(OURS)
    unload = ["modprobe", "-r", "v4l2loopback"]
    assert subprocess.run(unload, check=False, capture_output=True).returncode != 0  # not while it is open
    output.write(frame(0))
    output.close()
    subprocess.run(unload, check=True)
    assert "sudo modprobe v4l2loopback devices=1 video_nr=10" in refused(OURS)
    options = ["devices=1", "video_nr=10", "exclusive_caps=1", 'card_label="physio-cam"']
    subprocess.run(["modprobe", "v4l2loopback", *options], check=True)
    output = opened(None)
    assert output.name == "physio-cam (/dev/video10)"
    output.write(frame(0))
    output.close()


def measure() -> None:
    output = opened(OURS, 1280, 720)
    picture = frame(0, 1280, 720)
    started = time.monotonic()
    for _ in range(50):
        output.write(picture)
    written = time.monotonic()
    output.close()
    print(f"720p write: {(written - started) * 20:.2f} ms in here")


def main() -> None:
    checks = (
        check_names,
        check_planes_and_watchers,
        check_sizes,
        check_reopening,
        check_writers_that_left,
        check_refusals,
        measure,
        check_unloaded_module,
    )
    for check in checks:
        if sys.argv[1:] and check.__name__ not in sys.argv[1:]:
            continue
        started = time.monotonic()
        check()
        print(f"{check.__name__} holds ({time.monotonic() - started:.1f} s)", flush=True)


if __name__ == "__main__":
    main()
