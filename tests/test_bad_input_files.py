"""Bad inputs and outputs: a clear error with its exit code, or right output; nothing is overwritten."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import av
import numpy as np
import pytest
from av.audio.frame import AudioFrame
from av.audio.stream import AudioStream

from streamfilter.errors import PhysioCamError, SinkError, SourceError, UsageError
from streamfilter.file_pipeline import FileSettings, RunReport, filter_file
from streamfilter.sinks.codec_settings import CodecSettings
from tests.media_clips import video_times, write_clip
from tests.plain_filters import Recorder

LONG = list(range(60))


def run(source: Path, output: Path, **settings: object) -> RunReport:
    made = FileSettings(source, output, **settings)  # type: ignore[arg-type]
    return filter_file(made, Recorder, lambda progress: None, lambda: False)


def cut(path: Path, share: float) -> Path:
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * share)])
    return path


def sound_only(path: Path) -> Path:
    with av.open(str(path), "w", format="mp4") as container:
        stream = container.add_stream("aac", rate=48000, layout="mono")
        assert isinstance(stream, AudioStream)
        frame = AudioFrame.from_ndarray(np.zeros((1, 4800), np.int16), format="s16", layout="mono")
        frame.sample_rate = 48000
        container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


def empty_track(path: Path) -> Path:
    """A file whose index promises frames that it does not hold."""
    write_clip(path, pts=LONG, container_options={"movflags": "faststart"})
    data = path.read_bytes()
    path.write_bytes(data[: data.index(b"mdat") + 4])
    return path


def cover_only(path: Path) -> Path:
    """Sound with a cover picture, which is no video."""
    sound = sound_only(path.with_name("plain.m4a"))
    still = write_clip(path.with_name("still.mkv"), codec="mjpeg", pix_fmt="yuvj420p", pts=[0])
    with av.open(str(sound)) as a, av.open(str(still)) as v, av.open(str(path), "w", format="mp4") as out:
        tracks = {
            kind: out.add_stream_from_template(s) for kind, s in (("a", a.streams[0]), ("v", v.streams[0]))
        }
        tracks["v"].disposition = av.stream.Disposition.attached_pic
        for kind, container in (("v", v), ("a", a)):
            for packet in container.demux():
                if packet.size:
                    packet.stream = tracks[kind]
                    out.mux(packet)
    return path


BAD_INPUTS: dict[str, tuple[Callable[[Path], Path], str]] = {
    "missing": (lambda p: p / "no.mp4", "does not exist"),
    "empty file": (lambda p: _written(p / "a.mp4", b""), "cannot be opened"),
    "random bytes": (
        lambda p: _written(p / "a.mp4", np.random.default_rng(3).bytes(9000)),
        "cannot be opened",
    ),
    "text": (lambda p: _written(p / "a.txt", b"hello " * 99), "text"),
    "sound only": (lambda p: sound_only(p / "a.m4a"), "no video stream"),
    "cover picture only": (lambda p: cover_only(p / "a.m4a"), "no video stream"),
    "no frames": (lambda p: empty_track(p / "a.mp4"), "0 frames"),
    "cut before the index": (lambda p: cut(write_clip(p / "a.mp4", pts=LONG), 0.6), "cut off"),
    "8x8 pixels": (lambda p: write_clip(p / "a.mkv", codec="ffv1", width=8, height=8), "16x16"),
    "16x8 pixels": (lambda p: write_clip(p / "a.mkv", codec="ffv1", width=16, height=8), "16x16"),
    "empty folder": (lambda p: _folder(p / "empty"), "no pictures"),
}


def _written(path: Path, data: bytes) -> Path:
    path.write_bytes(data)
    return path


def _folder(path: Path) -> Path:
    path.mkdir()
    return path


@pytest.mark.parametrize("kind", BAD_INPUTS)
def test_an_input_without_video_is_refused_and_nothing_written(tmp_path: Path, kind: str) -> None:
    make, said = BAD_INPUTS[kind]
    source = make(tmp_path)
    before = sorted(tmp_path.iterdir())
    with pytest.raises(SourceError, match=said) as raised:
        run(source, tmp_path / "out.mp4")
    assert raised.value.exit_code == 3
    assert sorted(tmp_path.iterdir()) == before


def test_a_file_that_may_not_be_read(tmp_path: Path) -> None:
    source = write_clip(tmp_path / "a.mp4")
    source.chmod(0)
    if os.access(source, os.R_OK):
        pytest.skip("this user may read everything (root)")
    with pytest.raises(SourceError, match="permissions"):
        run(source, tmp_path / "out.mp4")


@pytest.mark.parametrize("name", ["a.mp4", "a.mkv", "a.avi"])
def test_a_truncated_file_gives_what_it_holds_and_says_how_much(tmp_path: Path, name: str) -> None:
    options = {"movflags": "faststart"} if name == "a.mp4" else {}
    source = write_clip(tmp_path / name, pts=LONG, width=320, height=240, container_options=options)
    report = run(cut(source, 0.6), tmp_path / "out.mp4")
    assert 10 < report.frames < 60
    assert any(f"{report.frames}" in note and "cut off" in note for note in report.notes)
    assert len(video_times(tmp_path / "out.mp4")) == report.frames


def test_a_whole_file_gets_no_warning(tmp_path: Path) -> None:
    for name in ("a.mp4", "a.mkv", "a.avi", "a.webm"):
        codec = "libvpx" if name == "a.webm" else "libx264"
        assert run(write_clip(tmp_path / name, pts=LONG, codec=codec), tmp_path / f"{name}.mkv").notes == ()


def test_damage_in_the_middle_costs_pictures_not_the_run(tmp_path: Path) -> None:
    source = write_clip(tmp_path / "a.mkv", pts=LONG, codec="ffv1", options={"slicecrc": "1"})
    data = bytearray(source.read_bytes())
    middle = len(data) // 2
    data[middle : middle + 4000] = bytes(4000)
    source.write_bytes(bytes(data))
    report = run(source, tmp_path / "out.mp4")
    assert 30 < report.frames <= 60
    assert len(video_times(tmp_path / "out.mp4")) == report.frames


@pytest.mark.parametrize(
    ("clip", "size"),
    [
        ({"width": 65, "height": 47, "codec": "ffv1"}, (66, 48)),
        ({"pix_fmt": "yuv420p10le", "codec": "ffv1"}, (64, 48)),
        ({"pix_fmt": "yuv422p10le", "codec": "ffv1"}, (64, 48)),
        ({"codec": "ffv1", "width": 16, "height": 16}, (16, 16)),
    ],
)
def test_unusual_pictures_give_right_output_and_a_note(
    tmp_path: Path, clip: dict[str, object], size: tuple[int, int]
) -> None:
    source = write_clip(tmp_path / "a.mkv", **clip)  # type: ignore[arg-type]
    report = run(source, tmp_path / "out.mp4")
    assert report.frames == 10
    assert (len(report.notes) == 1) == (size != (16, 16))
    with av.open(str(tmp_path / "out.mp4")) as container:
        stream = container.streams.video[0]
        assert (stream.width, stream.height, stream.pix_fmt) == (*size, "yuv420p")


def test_a_rotated_video_comes_out_upright(tmp_path: Path) -> None:
    run(write_clip(tmp_path / "a.mp4", rotation=90), tmp_path / "out.mp4")
    with av.open(str(tmp_path / "out.mp4")) as container:
        picture = next(container.decode(video=0))
    assert (picture.width, picture.height, picture.rotation) == (48, 64, 0)


@pytest.mark.parametrize(
    ("name", "error"),
    [("a.mp4", UsageError), ("link.mp4", UsageError), ("old.mp4", SinkError), ("dir.mp4", SinkError)],
)
def test_existing_outputs_stay_as_they_are(tmp_path: Path, name: str, error: type[PhysioCamError]) -> None:
    source = write_clip(tmp_path / "a.mp4")
    (tmp_path / "old.mp4").write_bytes(b"old")
    (tmp_path / "link.mp4").symlink_to(source)
    _folder(tmp_path / "dir.mp4")
    _written(tmp_path / "dir.mp4" / "mine", b"mine")
    before = source.read_bytes()
    for overwrite in (False, True) if name != "old.mp4" else (False,):
        with pytest.raises(error):
            run(source, tmp_path / name, overwrite=overwrite)
    assert source.read_bytes() == before
    assert (tmp_path / "old.mp4").read_bytes() == b"old"
    assert (tmp_path / "dir.mp4" / "mine").read_bytes() == b"mine"
    assert not list(tmp_path.glob(".*"))


def test_a_device_is_never_replaced(tmp_path: Path) -> None:
    with pytest.raises((SinkError, UsageError)):
        run(write_clip(tmp_path / "a.mp4"), Path(os.devnull), overwrite=True)
    assert not Path(os.devnull).is_file()


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 96 KiB."""
    place = _folder(tmp_path / "disk")
    try:
        mounted = subprocess.run(
            ["mount", "-t", "tmpfs", "-o", "size=96k", "none", str(place)], capture_output=True, check=False
        )
    except FileNotFoundError:
        pytest.skip("no mount command on this system")
    if mounted.returncode:
        pytest.skip("mounting a small file system needs root on Linux")
    yield place
    subprocess.run(["umount", str(place)], check=True)


@pytest.mark.parametrize("name", ["out.mp4", "out.mkv", "pictures"])
def test_a_full_disk_is_said_and_the_old_output_stays(tmp_path: Path, small_disk: Path, name: str) -> None:
    source = write_clip(tmp_path / "a.mkv", codec="ffv1", pts=LONG, width=320, height=240)
    output = small_disk / name
    if output.suffix:
        output.write_bytes(b"old")
    with pytest.raises(SinkError, match="disk is full") as raised:
        run(source, output, overwrite=True, codec=CodecSettings(lossless=name == "out.mkv"))
    assert raised.value.exit_code == 4
    if output.suffix:
        assert output.read_bytes() == b"old"
    assert len(list(small_disk.iterdir())) == bool(output.suffix)


def test_a_full_disk_at_the_very_end_is_said_too(tmp_path: Path, small_disk: Path) -> None:
    source = write_clip(tmp_path / "a.mp4", pts=LONG)
    whole = tmp_path / "whole.mp4"
    run(source, whole)
    # Whole pages, so that all but the last of the output fits.
    filling = 96 * 1024 - (whole.stat().st_size - 1) // 4096 * 4096
    (small_disk / "filler").write_bytes(bytes(filling))
    with pytest.raises(SinkError, match="disk is full"):
        run(source, small_disk / "out.mp4")
    assert [entry.name for entry in small_disk.iterdir()] == ["filler"]
