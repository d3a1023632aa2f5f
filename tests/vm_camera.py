"""Runs inside the virtual machine of test_camera_vm.py, as root: real Video4Linux devices.

/dev/video0 is the kernel's test webcam ``vivid``, /dev/video11 a v4l2loopback device that is fed here.
"""

from __future__ import annotations

import os
import subprocess
import threading
import time
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from linuxpy.video import device as v4l2

from streamfilter.capture.camera import CameraSettings, FormatChoice, open_camera
from streamfilter.capture.cameras import CameraInfo, find_camera, list_cameras
from streamfilter.capture.v4l2_camera import DAMAGED, FLAGGED, V4l2Camera
from streamfilter.errors import SourceError
from streamfilter.frame import Frame
from streamfilter.live.ports import Picture

VIVID, LOOP = "/dev/video0", "/dev/video11"
UNBIND = Path("/sys/bus/platform/drivers/vivid/unbind")


def message(call: Callable[[], object]) -> str:
    """What the SourceError of a call says."""
    try:
        call()
    except SourceError as error:
        return str(error)
    raise AssertionError("no SourceError")


def until_error(camera: V4l2Camera, seconds: float) -> str:
    """The error that ends the stream; fails where none comes within ``seconds``."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        try:
            camera.read(0.2)
        except SourceError as error:
            return str(error)
    raise AssertionError(f"no SourceError within {seconds} s")


def opened(
    width: int = 320, height: int = 180, fps: float = 25, pixel_format: str | None = None
) -> V4l2Camera:
    camera = open_camera(CameraSettings(VIVID, width, height, fps, pixel_format))
    assert isinstance(camera, V4l2Camera)
    return camera


def next_frame(camera: V4l2Camera) -> Frame:
    frame = camera.read(5)
    assert frame is not None
    return frame


def press(path: str, name: str, value: int = 1) -> None:
    """Push one of vivid's buttons that inject a fault, or set another of its controls."""
    with open(path, "rb+", buffering=0) as node:  # noqa: PTH123  # a device, unbuffered
        for control in v4l2.iter_read_controls(node.fileno()):
            if control.name.decode() == name:
                v4l2.set_control(node.fileno(), control.id, value)
                return
    raise AssertionError(f"vivid has no control {name!r}")


def check_listing() -> None:
    cameras = {each.path: each for each in list_cameras()}
    vivid = cameras[VIVID]
    assert vivid.name == "vivid" and vivid.index == 0 and not vivid.is_loopback and vivid.problem is None
    sizes = {(each.pixel_format, each.width, each.height): each.rates for each in vivid.formats}
    assert 25 in sizes["YUYV", 640, 480] and 12.5 in sizes["NV12", 1280, 720]
    assert LOOP not in cameras  # nobody feeds it
    for wanted in (None, "0", VIVID, "VIVID", "ivi"):
        assert find_camera(wanted) == vivid, wanted


def check_refusals() -> None:
    assert "no program feeds" in message(lambda: find_camera("10"))
    assert "not a video device" in message(lambda: find_camera("/dev/null"))
    assert "not a camera" in message(lambda: find_camera("/etc/passwd"))
    assert "is not there" in message(lambda: find_camera("/dev/video99"))
    assert "vivid" in message(lambda: find_camera("no such camera"))
    first = opened()
    next_frame(first)
    assert "in use" in message(opened)
    first.close()
    opened().close()


def check_permission() -> None:
    child = os.fork()
    if not child:
        os.setuid(65534)
        said = message(lambda: find_camera(None))
        os._exit(0 if "group video" in said else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


def check_frames() -> None:
    bars = {}
    for name in ("YUYV", "UYVY", "NV12", "YU12"):
        width, height = 640, 360
        camera = opened(width, height, 10, name)
        assert (camera.pixel_format, camera.picture) == (name, Picture(width, height, 10)), camera.picture
        frames, lags = [], []
        for _ in range(30 if name == "YUYV" else 5):
            frame = next_frame(camera)
            lags.append(time.monotonic() - frame.seconds)
            frames.append(frame)
        camera.close()
        assert all((each.width, each.height) == (width, height) for each in frames)
        steps = np.diff([each.seconds for each in frames])
        assert (steps > 0).all()
        # the machine is emulated, at times on a busy host: the median and the least show the driver's clock
        assert abs(np.median(steps) - 0.1) < 0.02, steps
        assert -0.002 < min(lags) < 0.2, lags
        frame = frames[-1]
        assert frame.y.min() >= 15 and frame.y.max() <= 236
        # vivid draws eight bars; near the bottom no text lies over them
        bars[name] = np.array(
            [
                plane[-plane.shape[0] // 8 :].mean(0).reshape(8, -1)[:, 5:-5].mean(1)
                for plane in (frame.y, frame.u, frame.v)
            ]
        )
        print(
            f"    {name}: lag {np.median(lags) * 1e3:.1f} ms (least {min(lags) * 1e3:.1f}), {camera.dropped}"
        )
    assert np.ptp(bars["YUYV"]) > 50  # a picture with colour in it, the same in every format
    for name, bar in bars.items():
        assert np.abs(bar - bars["YUYV"]).max() < 2, (name, bar, bars["YUYV"])


def check_close() -> None:
    camera = opened(fps=1)
    got: list[object] = []
    reader = threading.Thread(target=lambda: got.append(camera.read(10)))
    while camera.read(0.01) is not None:
        pass
    reader.start()
    time.sleep(0.1)
    start = time.monotonic()
    camera.close()
    reader.join(5)
    assert not reader.is_alive() and got == [None] and time.monotonic() - start < 0.5
    camera.close()
    assert "closed" in message(lambda: camera.read(1))


def check_many() -> None:
    opened().close()
    before = sorted(Path("/proc/self/fd").iterdir())
    for _ in range(20):
        camera = opened()
        next_frame(camera)
        camera.close()
    assert sorted(Path("/proc/self/fd").iterdir()) == before
    assert threading.active_count() == 1


def check_faults() -> None:
    camera = opened()
    next_frame(camera)
    press(VIVID, "Inject V4L2_BUF_FLAG_ERROR")
    for _ in range(6):
        next_frame(camera)
    assert camera.dropped[FLAGGED] == 1, camera.dropped
    press(VIVID, "Inject Fatal Streaming Error")
    start = time.monotonic()
    assert "has gone" in until_error(camera, 2) and time.monotonic() - start < 1
    camera.close()


def check_unplug() -> None:
    camera = opened()
    next_frame(camera)
    errors: list[str] = []
    reader = threading.Thread(target=lambda: errors.append(until_error(camera, 10)))
    reader.start()
    start = time.monotonic()
    UNBIND.write_text("vivid.0")
    reader.join(5)
    took = time.monotonic() - start
    print(f"    unplugged: said after {took:.2f} s: {errors[0]}")
    assert not reader.is_alive() and "has gone" in errors[0] and took < 2
    camera.close()
    assert "No " in message(lambda: find_camera(None))
    UNBIND.with_name("bind").write_text("vivid.0")
    again = open_camera(CameraSettings(None, 320, 180, 25))
    assert again.read(5) is not None
    again.close()


def feed(descriptor: int, name: str, width: int, height: int) -> None:
    told = v4l2.set_format(descriptor, v4l2.BufferType.VIDEO_OUTPUT, width, height, name)
    assert (told.fmt.pix.width, told.fmt.pix.height) == (width, height)


def jpeg(width: int, height: int, level: int) -> bytes:
    codec = av.CodecContext.create("mjpeg", "w")
    assert isinstance(codec, av.VideoCodecContext)
    codec.width, codec.height, codec.pix_fmt, codec.framerate = width, height, "yuvj422p", Fraction(30)
    picture = av.VideoFrame.from_ndarray(np.full((height, width), level, np.uint8), "gray").reformat(
        format="yuvj422p"
    )
    return b"".join(bytes(each) for each in (*codec.encode(picture), *codec.encode(None)))


def check_jpeg() -> None:
    """A virtual webcam of MJPG: good, damaged, and damaged for good."""
    writer = os.open(LOOP, os.O_RDWR)
    feed(writer, "MJPG", 320, 240)
    good = jpeg(320, 240, 200)
    os.write(writer, good)
    time.sleep(0.1)
    info: CameraInfo = find_camera(LOOP)
    assert info.is_loopback and info.formats[0].pixel_format == "MJPG", info
    assert find_camera(None).path == VIVID and find_camera("webcam").path == LOOP
    camera = V4l2Camera(LOOP, info.name, FormatChoice("MJPG", Picture(320, 240, 30)))
    sent = (good, good[: len(good) // 2], good[:200], good)
    arrived = []
    for each in sent:
        os.write(writer, each)
        arrived.append(camera.read(0.5))
    assert sum(each is not None for each in arrived) >= 2 and camera.dropped[DAMAGED] == 2, camera.dropped
    last = arrived[-1]
    assert last is not None and abs(float(last.y.mean()) - (16 + 200 * 219 / 255)) < 1.5
    assert camera.read(0.1) is None  # the feed has paused

    def starve() -> None:
        while True:
            os.write(writer, good[:-40])
            camera.read(0.2)

    assert "damaged pictures in a row" in message(starve)
    camera.close()
    os.close(writer)


def check_size_change() -> None:
    """vivid as an HDMI input, whose signal changes; it takes any size of a range and tells no rates."""
    subprocess.run(["modprobe", "-r", "vivid"], check=True)
    hdmi = ("n_devs=1", "vid_cap_nr=0", "node_types=0x1", "num_inputs=1", "input_types=3")
    subprocess.run(["modprobe", "vivid", *hdmi], check=True)
    assert ("YUYV", 640, 360) in [
        (each.pixel_format, each.width, each.height) for each in find_camera("0").formats
    ]
    camera = opened(640, 360)
    frame = next_frame(camera)
    assert (frame.width, frame.height) == (camera.picture.width, camera.picture.height)
    press(VIVID, "DV Timings Signal Mode")  # 1: no signal
    assert "changed its picture" in until_error(camera, 3)
    camera.close()


def main() -> None:
    for check in (
        check_listing, check_refusals, check_permission, check_frames, check_close, check_many, check_faults,
        check_unplug, check_jpeg, check_size_change,
    ):  # fmt: skip
        start = time.monotonic()
        check()
        print(f"{check.__name__}: {time.monotonic() - start:.1f} s", flush=True)
    print("every check passed")


if __name__ == "__main__":
    main()
