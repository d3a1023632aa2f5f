from __future__ import annotations

import itertools
import threading
import time
from random import Random

import av
import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamfilter.capture.av_camera import AvCamera, DeviceInput
from streamfilter.capture.camera import CameraFormat, CameraSettings, choose_format
from streamfilter.capture.cameras import CameraInfo, list_cameras, pick
from streamfilter.capture.pixel_formats import KNOWN
from streamfilter.errors import SourceError, UsageError
from streamfilter.live.ports import LIVE_TIME_BASE, Camera, Picture

HD, VGA = (1280, 720), (640, 480)
STEPS = (5.0, 10.0, 15.0, 20.0, 24.0, 30.0)
# What the descriptors of a common USB 2 webcam say: HD at full rate as MJPG only.
WEBCAM = (
    CameraFormat("YUYV", *VGA, STEPS),
    CameraFormat("YUYV", 1920, 1080, (5.0,)),
    CameraFormat("YUYV", *HD, (5.0, 10.0)),
    CameraFormat("MJPG", *VGA, (15.0, 30.0, 60.0)),
    CameraFormat("MJPG", *HD, (15.0, 30.0, 60.0)),
    CameraFormat("MJPG", 1920, 1080, (15.0, 30.0)),
    CameraFormat("H264", 0, 0),
)


@pytest.mark.parametrize(
    ("formats", "settings", "pixel_format", "picture"),
    [
        pytest.param(WEBCAM, CameraSettings(), "MJPG", Picture(*HD, 30), id="HD at 30 as MJPG only"),
        pytest.param(WEBCAM, CameraSettings(fps=60), "MJPG", Picture(*HD, 60), id="a higher rate"),
        pytest.param(WEBCAM, CameraSettings(fps=10), "YUYV", Picture(*HD, 10), id="raw if fast enough"),
        pytest.param(
            WEBCAM, CameraSettings(width=640, height=480), "YUYV", Picture(*VGA, 30), id="raw at a small size"
        ),
        pytest.param(
            WEBCAM, CameraSettings(pixel_format="YUYV"), "YUYV", Picture(*VGA, 30),
            id="raw by wish: 10 fps is too slow, so a smaller size",
        ),
        pytest.param(
            WEBCAM, CameraSettings(width=1600, height=896), "MJPG", Picture(1920, 1080, 30), id="nearest size"
        ),
        pytest.param(
            (*WEBCAM, CameraFormat("NV12", *HD, (30.0,))), CameraSettings(), "NV12", Picture(*HD, 30),
            id="NV12",
        ),
        pytest.param(
            (CameraFormat("YUYV", *HD, (30000 / 1001,)), CameraFormat("MJPG", *HD, (30.0,))),
            CameraSettings(), "YUYV", Picture(*HD, 30000 / 1001), id="29.97 counts as 30",
        ),
        pytest.param(
            (CameraFormat("YUYV", *HD, (24.0,)), CameraFormat("YUYV", *VGA, (30.0,))), CameraSettings(),
            "YUYV", Picture(*HD, 24), id="the size before the rate, from 15 fps on",
        ),
        pytest.param(
            (CameraFormat("YUYV", *HD, (10.0,)),), CameraSettings(), "YUYV", Picture(*HD, 10), id="only one"
        ),
        pytest.param(
            (CameraFormat("YU12", *HD),), CameraSettings(fps=25), "YU12", Picture(*HD, 25), id="rates untold"
        ),
        pytest.param(
            (CameraFormat("YUYV", *VGA, (30.0,)), CameraFormat("YUYV", 640, 360, (30.0,))), CameraSettings(),
            "YUYV", Picture(640, 360, 30), id="the same shape",
        ),
    ],
)  # fmt: skip
def test_the_format_that_is_chosen(
    formats: tuple[CameraFormat, ...], settings: CameraSettings, pixel_format: str, picture: Picture
) -> None:
    choice = choose_format(formats, settings)
    assert (choice.pixel_format, choice.picture) == (pixel_format, picture)


RATES = st.lists(st.sampled_from([5.0, 10.0, 15.0, 24.0, 25.0, 29.97, 30.0, 50.0, 60.0]), max_size=5)
FORMATS = st.builds(
    CameraFormat,
    st.sampled_from([*KNOWN, "H264", "GREY"]),
    st.sampled_from([160, 320, 640, 1280, 1920]),
    st.sampled_from([120, 180, 480, 720, 1080]),
    RATES.map(lambda rates: tuple(sorted(set(rates)))),
)


@given(
    st.lists(FORMATS, min_size=1, max_size=12, unique_by=lambda it: (it.pixel_format, it.width, it.height)),
    st.sampled_from([(1280, 720), (640, 480), (800, 600)]),
    st.sampled_from([15.0, 30.0, 60.0]),
    st.randoms(use_true_random=False),
)  # fmt: skip
def test_a_choice_is_one_of_the_list_and_no_better_one_is_there(
    formats: list[CameraFormat], size: tuple[int, int], fps: float, random: Random
) -> None:
    settings = CameraSettings(width=size[0], height=size[1], fps=fps)
    readable = [each for each in formats if each.pixel_format in KNOWN]
    if not readable:
        with pytest.raises(SourceError, match="no pixel format"):
            choose_format(formats, settings)
        return
    choice = choose_format(formats, settings)
    picture = choice.picture
    listed = {(each.pixel_format, each.width, each.height): each.rates for each in readable}
    rates = listed[choice.pixel_format, picture.width, picture.height]
    assert picture.fps in rates or (not rates and picture.fps == fps)
    whole = [
        each
        for each in readable
        if (each.width, each.height) == size and max(each.rates, default=fps) >= 0.99 * fps
    ]
    if whole:
        assert (picture.width, picture.height) == size and picture.fps >= 0.99 * fps
    shuffled = list(formats)
    random.shuffle(shuffled)
    assert choose_format(shuffled, settings) == choice


def test_wishes_that_cannot_be_met() -> None:
    with pytest.raises(UsageError, match="does not give NV12; it gives YUYV, MJPG"):
        choose_format(WEBCAM, CameraSettings(pixel_format="NV12"))
    for nothing in ((), (CameraFormat("H264", 0, 0),)):
        with pytest.raises(SourceError, match="another camera"):
            choose_format(nothing, CameraSettings())
    for kind in (
        {"width": 8},
        {"height": 20000},
        {"fps": 0.5},
        {"fps": float("nan")},
        {"pixel_format": "YUY2"},
    ):
        with pytest.raises(UsageError):
            CameraSettings(**kind)


def camera(index: int, name: str, loopback: bool = False, problem: str | None = None) -> CameraInfo:
    by_id = None if loopback else f"/dev/v4l/by-id/usb-maker_{name.replace(' ', '_')}-video-index0"
    return CameraInfo(index, name, f"/dev/video{index}", by_id, is_loopback=loopback, problem=problem)


OWN = camera(0, "PhysioCam", loopback=True)
DESK = camera(2, "Desk Cam HD")
LAPTOP = camera(4, "Integrated Camera")
SECOND = camera(6, "Desk Cam 4K")
SHUT = camera(8, "Shut Away", problem="The camera Shut Away is in use by another program. Close it.")
ALL = (OWN, DESK, LAPTOP, SECOND, SHUT)


@pytest.mark.parametrize(
    ("wanted", "found"),
    [
        (None, DESK), ("2", DESK), ("4", LAPTOP), ("0", OWN), ("/dev/video6", SECOND),
        ("/dev/v4l/by-id/usb-maker_Desk_Cam_4K-video-index0", SECOND),
        ("usb-maker_Desk_Cam_4K-video-index0", SECOND),
        ("integrated camera", LAPTOP), ("INTEGRATED", LAPTOP), ("4k", SECOND), ("physio", OWN),
        ("desk cam hd", DESK),
    ],
)  # fmt: skip
def test_the_camera_that_is_meant(wanted: str | None, found: CameraInfo) -> None:
    assert pick(ALL, wanted) is found


def test_a_real_camera_goes_before_a_virtual_one_of_a_fitting_name() -> None:
    assert pick((camera(0, "Phone cam", loopback=True), LAPTOP, DESK), "cam h") is DESK
    assert pick((OWN, camera(1, "Webcam")), "cam").name == "Webcam"


@pytest.mark.parametrize(
    ("cameras", "wanted", "error", "says"),
    [
        (ALL, "desk", UsageError, "Desk Cam HD.*Desk Cam 4K.*path"),
        (ALL, "7", SourceError, "No camera '7'.*Desk Cam HD"),
        (ALL, "/dev/video5", SourceError, "Plug it in"),
        (ALL, "shut", SourceError, "in use by another program"),
        ((), None, SourceError, "No camera is there. Plug one in"),
        ((), "x", SourceError, "there are: none"),
        ((OWN,), None, SourceError, "only virtual ones"),
        ((OWN, SHUT), None, SourceError, "in use by another program"),
    ],
)
def test_no_camera_or_too_many(
    cameras: tuple[CameraInfo, ...], wanted: str | None, error: type[Exception], says: str
) -> None:
    with pytest.raises(error, match=says):
        pick(cameras, wanted)


def test_cameras_can_be_listed_where_there_are_none() -> None:
    assert all(each.path for each in list_cameras())


@given(st.one_of(st.none(), st.integers(-(2**40), 2**60)), st.integers(2**33, 2**50), st.integers(0, 2**51))
def test_capture_times_rise_and_a_stamp_of_another_clock_is_not_believed(
    stamp: int | None, arrival: int, previous: int
) -> None:
    v4l2_camera = pytest.importorskip("streamfilter.capture.v4l2_camera", exc_type=ImportError)
    moment = v4l2_camera.capture_time(stamp, arrival, previous)
    assert moment > previous
    near = stamp is not None and arrival - 10_000_000 <= stamp <= arrival + 2_000
    if previous < arrival - 20_000_000:
        assert moment == (stamp if near else arrival)


def lavfi(graph: str) -> AvCamera:
    """FFmpeg's test picture as a device, in real time."""
    return AvCamera(DeviceInput("lavfi", graph), "test card")


def test_a_device_through_ffmpeg_gives_live_frames() -> None:
    device: Camera = lavfi("testsrc=size=160x120:rate=30,format=yuyv422,realtime")
    try:
        assert (device.picture, device.pixel_format) == (Picture(160, 120, 30), "YUYV")
        frames = []
        for _ in range(5):
            frame = device.read(2)
            assert frame is not None and (frame.width, frame.height) == (160, 120)
            assert 0 <= time.monotonic() - frame.seconds < 1 and frame.time_base == LIVE_TIME_BASE
            assert not frame.color.full_range and frame.u.shape == (60, 80)
            frames.append(frame)
        assert all(one.pts < two.pts for one, two in itertools.pairwise(frames))
    finally:
        device.close()


def test_full_range_of_a_device_becomes_limited() -> None:
    device = lavfi("color=white:size=64x48:rate=30,format=yuvj420p,realtime")
    frame = device.read(2)
    device.close()
    assert frame is not None and not frame.color.full_range
    assert (frame.y == 235).all() and (frame.u == 128).all()


def test_a_device_that_ends_is_a_source_error_and_the_newest_frame_counts() -> None:
    device = lavfi("testsrc=size=64x48:rate=30:duration=0.5")  # not in real time: at once
    device._thread.join(5)
    assert device.read(1) is not None
    assert device.dropped["not read in time"] == 14
    with pytest.raises(SourceError, match="stopped"):
        device.read(1)
    device.close()


def test_close_from_another_thread_ends_the_wait() -> None:
    device = lavfi("testsrc=size=64x48:rate=1,realtime")
    while device.read(0.1) is not None:
        pass
    got: list[object] = []
    reader = threading.Thread(target=lambda: got.append(device.read(10)))
    reader.start()
    start = time.monotonic()
    device.close()
    reader.join(5)
    assert got == [None] and time.monotonic() - start < 2.5
    device.close()
    with pytest.raises(SourceError, match="closed"):
        device.read(1)
    if device._thread.is_alive():
        device._thread.join(5)
    assert not device._thread.is_alive()


def test_a_device_that_cannot_be_opened_says_what_to_do() -> None:
    with pytest.raises(SourceError, match="choose another"):
        lavfi("no_such_filter")


def test_ffmpeg_of_this_build_has_the_stand_in() -> None:
    assert "lavfi" in av.formats_available
