"""physio-cam devices: what it prints of cameras and virtual cameras."""

from __future__ import annotations

import json

import pytest

from streamfilter.capture.camera import CameraFormat
from streamfilter.capture.cameras import CameraInfo
from streamfilter.cli.devices_command import VirtualInfo, as_json, as_text, format_lines, run
from streamfilter.errors import UsageError

FORMATS = (
    CameraFormat("MJPG", 1920, 1080, (15.0, 30.0)),
    CameraFormat("MJPG", 1280, 720, (15.0, 30.0)),
    CameraFormat("YUYV", 640, 480, (30.0,)),
    CameraFormat("YUYV", 1280, 720, (7.5, 10.0)),
    CameraFormat("YUYV", 320, 240),
    CameraFormat("H264", 0, 0),
)
BY_ID = "/dev/v4l/by-id/usb-046d_HD_Webcam-video-index0"
CAMERA = CameraInfo(0, "HD Webcam", "/dev/video0", BY_ID, FORMATS)
SHUT = CameraInfo(2, "Other", "/dev/video2", problem="The camera Other is in use by another program.")
OUTPUT = VirtualInfo("physio-cam", "/dev/video10", "free", True)


def test_sizes_that_share_their_rates_stand_together() -> None:
    assert format_lines(FORMATS) == [
        "MJPG  1920x1080 1280x720 at 30, 15 fps",
        "YUYV  640x480 at 30 fps; 1280x720 at 10, 7.5 fps; 320x240",
        "cannot be read: H264",
    ]
    assert format_lines([CameraFormat("MJPG", 2, 2, (29.97003, 30000 / 1001))]) == ["MJPG  2x2 at 29.97 fps"]
    assert format_lines([]) == []


def test_many_formats_and_rates_stay_short() -> None:
    rates = tuple(map(float, range(5, 65, 5)))
    readable = [CameraFormat(name, 640, 480, rates) for name in ("YUYV", "UYVY", "NV12")]
    unreadable = [CameraFormat(f"X{number:03}", 0, 0) for number in range(20)]
    assert format_lines([*readable, *unreadable]) == [
        "YUYV UYVY NV12  640x480 at 5 to 60 fps",
        "cannot be read: X000 X001 X002 X003 X004 X005 X006 X007 and 12 more",
    ]


def test_the_list_for_people() -> None:
    lines = as_text([CAMERA, SHUT], [OUTPUT, VirtualInfo("cam", "/dev/video11", "busy", False)]).splitlines()
    assert lines[0] == "cameras"
    assert "  0  HD Webcam  /dev/video0" in lines
    assert "     usb-046d_HD_Webcam-video-index0" in lines
    assert "     MJPG  1920x1080 1280x720 at 30, 15 fps" in lines
    assert "     The camera Other is in use by another program." in lines
    assert "  physio-cam  /dev/video10  free" in lines
    assert "  cam  /dev/video11  busy  not listed by browsers" in lines


def test_no_device_names_the_doctor() -> None:
    assert as_text([], []).count("physio-cam doctor") == 2


def test_a_devices_name_cannot_steer_the_terminal() -> None:
    said = as_text([CameraInfo(0, "evil\x1b]0;x\x07\n  9  fake", "/dev/video0")], [])
    assert "\x1b" not in said and "\x07" not in said
    assert not any(text.startswith("  9") for text in said.splitlines())


def test_the_list_for_programs() -> None:
    found = json.loads(as_json([CAMERA], [OUTPUT]))
    (camera,) = found["cameras"]
    assert (camera["index"], camera["name"], camera["by_id"]) == (0, "HD Webcam", BY_ID)
    assert camera["formats"][0] == {
        "pixel_format": "MJPG",
        "width": 1920,
        "height": 1080,
        "rates": [15.0, 30.0],
    }
    assert found["virtual_cameras"] == [
        {"name": "physio-cam", "path": "/dev/video10", "state": "free", "exclusive": True}
    ]


def test_the_command_on_this_machine(capsys: pytest.CaptureFixture[str]) -> None:
    assert run([]) == 0
    assert "virtual cameras" in capsys.readouterr().out
    assert run(["--json"]) == 0
    assert json.loads(capsys.readouterr().out).keys() == {"cameras", "virtual_cameras"}


def test_an_unknown_option_is_an_error_of_usage() -> None:
    with pytest.raises(UsageError, match="--all"):
        run(["--all"])
