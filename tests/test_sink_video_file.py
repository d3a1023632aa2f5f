"""Video output: pixels, times, colours and sound as they were; whole or absent."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from streamfilter.capture import open_source
from streamfilter.capture.source import ColorTags, SourceInfo
from streamfilter.errors import SinkError, UsageError
from streamfilter.frame import ColorSpec, Frame
from streamfilter.sinks.codec_settings import CodecSettings
from streamfilter.sinks.video_file import VideoFileSink
from tests.media_clips import noise_frames, packets, video_times, write_clip

LOSSLESS = CodecSettings(lossless=True)
AAC_FRAME = 1024 / 48000  # seconds


def info_of(frames: Sequence[Frame], **changes: object) -> SourceInfo:
    values: dict[str, object] = {
        "width": frames[0].width,
        "height": frames[0].height,
        "fps": Fraction(30),
        "frames": len(frames),
        "color": ColorSpec(),
        "has_audio": False,
        "description": "test",
        "time_base": frames[0].time_base,
    }
    return SourceInfo(**{**values, **changes})  # type: ignore[arg-type]


def write(path: Path, frames: Sequence[Frame], codec: CodecSettings, **changes: object) -> VideoFileSink:
    sink = VideoFileSink(path, info_of(frames, **changes), codec)
    for frame in frames:
        sink.write(frame)
    sink.close()
    return sink


def read(path: Path) -> list[Frame]:
    with open_source(path) as source:
        return list(source.frames())


def copy(source_path: Path, output: Path, codec: CodecSettings | None = None) -> VideoFileSink:
    with open_source(source_path) as source:
        sink = VideoFileSink(output, source.info, codec or CodecSettings())
        for frame in source.frames():
            sink.write(frame)
        sink.close()
    return sink


@given(width=st.integers(16, 70), height=st.integers(16, 50), seed=st.integers(0, 9999))
@settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_lossless_returns_the_very_pixels_also_of_odd_sizes(
    tmp_path: Path, width: int, height: int, seed: int
) -> None:
    frames = noise_frames(width, height, [0, 1, 2], seed=seed)
    path = tmp_path / f"{width}x{height}-{seed}.mkv"
    path.unlink(missing_ok=True)
    sink = write(path, frames, LOSSLESS)
    assert sink.notes == ()
    for ours, given_frame in zip(read(path), frames, strict=True):
        for mine, reference in ((ours.y, given_frame.y), (ours.u, given_frame.u), (ours.v, given_frame.v)):
            np.testing.assert_array_equal(mine, reference)


@pytest.mark.parametrize("name", ["a.mp4", "a.mov", "a.m4v", "a.mkv", "a.webm"])
def test_lossy_output_stays_close_by_default(tmp_path: Path, name: str) -> None:
    source = write_clip(tmp_path / "in.mkv", codec="ffv1", width=96, height=80)
    copy(source, tmp_path / name)
    for ours, reference in zip(read(tmp_path / name), read(source), strict=True):
        error = ours.y.astype(float) - reference.y
        assert np.mean(error**2) < 4  # above 42 dB
        for mine, theirs in ((ours.u, reference.u), (ours.v, reference.v)):
            assert abs(mine.mean() - theirs.mean()) < 0.3


@pytest.mark.parametrize("time_base", [Fraction(1, 90000), Fraction(1001, 30000), Fraction(1, 1000)])
@pytest.mark.parametrize("name", ["a.mp4", "a.mov"])
def test_variable_times_are_kept_exactly(tmp_path: Path, name: str, time_base: Fraction) -> None:
    pts = [7, 8, 12, 13, 20, 350, 361, 1000]
    frames = noise_frames(pts=pts, time_base=time_base)
    write(tmp_path / name, frames, CodecSettings())
    assert video_times(tmp_path / name) == [stamp * time_base for stamp in pts]


@pytest.mark.parametrize(
    ("name", "codec"), [("a.mkv", LOSSLESS), ("a.mkv", CodecSettings()), ("a.webm", CodecSettings())]
)
def test_matroska_keeps_times_to_its_millisecond(tmp_path: Path, name: str, codec: CodecSettings) -> None:
    pts = [7, 8, 12, 13, 20, 350]
    write(tmp_path / name, noise_frames(pts=pts), codec)
    written = np.array([float(t) for t in video_times(tmp_path / name)])
    np.testing.assert_allclose(written, np.array(pts) / 30, atol=0.00051)


@pytest.mark.parametrize("name", ["a.mp4", "a.mkv", "a.webm"])
@pytest.mark.parametrize(
    ("tags", "color"),
    [
        (ColorTags(1, 1, 1, 1), ColorSpec("bt709", False)),
        (ColorTags(6, 6, 6, 1), ColorSpec("bt601", False)),
        (ColorTags(1, 1, 1, 2), ColorSpec("bt709", True)),
    ],
)
def test_colour_description_is_written(tmp_path: Path, name: str, tags: ColorTags, color: ColorSpec) -> None:
    write(tmp_path / name, noise_frames(), CodecSettings(), tags=tags, color=color)
    with open_source(tmp_path / name) as source:
        assert source.info.color == color
        assert source.info.tags.video_range == tags.video_range


def test_an_untagged_input_stays_untagged(tmp_path: Path) -> None:
    copy(write_clip(tmp_path / "in.mp4"), tmp_path / "out.mp4")
    with open_source(tmp_path / "out.mp4") as source:
        assert source.info.tags == ColorTags()


def test_pixel_aspect_is_kept(tmp_path: Path) -> None:
    write(tmp_path / "a.mp4", noise_frames(), CodecSettings(), pixel_aspect=Fraction(16, 11))
    with open_source(tmp_path / "a.mp4") as source:
        assert source.info.pixel_aspect == Fraction(16, 11)


def test_odd_size_is_grown_by_its_edge_for_h264_and_said(tmp_path: Path) -> None:
    source = write_clip(tmp_path / "in.mkv", codec="ffv1", width=65, height=47)
    sink = copy(source, tmp_path / "out.mp4", CodecSettings(crf=0))
    assert any("66x48" in note for note in sink.notes)
    for ours, reference in zip(read(tmp_path / "out.mp4"), read(source), strict=True):
        assert ours.y.shape == (48, 66)
        np.testing.assert_array_equal(ours.y[:47, :65], reference.y)
        np.testing.assert_array_equal(ours.y[47, :65], reference.y[46])
        np.testing.assert_array_equal(ours.u, reference.u)


@pytest.mark.parametrize("name", ["out.mp4", "out.mov", "out.mkv"])
def test_sound_packets_are_copied_bit_for_bit_and_in_step(tmp_path: Path, name: str) -> None:
    source = write_clip(tmp_path / "in.mp4", audio="aac", pts=list(range(20)))
    sink = copy(source, tmp_path / name)
    before, after = packets(source, "audio"), packets(tmp_path / name, "audio")
    assert sink.notes == ()
    assert [data for _, data in after] == [data for _, data in before]
    shift = [float(b - a) for (a, _), (b, _) in zip(before, after, strict=True)]
    assert max(map(abs, shift)) <= 0.00051
    pictures = np.array([float(t) for t in video_times(tmp_path / name)])
    np.testing.assert_allclose(pictures, np.arange(20) / 30, atol=0.00051)


def test_every_sound_track_is_copied(tmp_path: Path) -> None:
    source = tmp_path / "in.mkv"
    one = write_clip(tmp_path / "one.mkv", audio="aac")
    with av.open(str(one)) as given_file, av.open(str(source), "w") as container:
        video = container.add_stream_from_template(given_file.streams.video[0])
        tracks = [container.add_stream_from_template(given_file.streams.audio[0]) for _ in range(2)]
        for packet in given_file.demux():
            if packet.size:
                data, kind = bytes(packet), packet.stream.type
                for target in [video] if kind == "video" else tracks:
                    clone = av.Packet(data)
                    clone.pts, clone.dts, clone.time_base = packet.pts, packet.dts, packet.time_base
                    clone.is_keyframe = packet.is_keyframe
                    clone.stream = target
                    container.mux(clone)
    copy(source, tmp_path / "out.mp4")
    with av.open(str(tmp_path / "out.mp4")) as container:
        assert len(container.streams.audio) == 2


def test_sound_that_the_container_does_not_take_is_encoded_anew_and_said(tmp_path: Path) -> None:
    source = write_clip(tmp_path / "in.mp4", audio="aac", pts=list(range(30)))
    sink = copy(source, tmp_path / "out.webm")
    assert any("Opus" in note for note in sink.notes)
    with av.open(str(tmp_path / "out.webm")) as container:
        seconds = [f.samples / f.sample_rate for f in container.decode(audio=0)]
    assert sum(seconds) == pytest.approx(1.0, abs=0.1)


def test_finishing_early_cuts_the_sound_with_the_pictures(tmp_path: Path) -> None:
    source = write_clip(tmp_path / "in.mp4", audio="aac", pts=list(range(60)))
    with open_source(source) as opened:
        sink = VideoFileSink(tmp_path / "out.mp4", opened.info, CodecSettings())
        for frame, _ in zip(opened.frames(), range(15), strict=False):
            sink.write(frame)
        sink.finish_early()
    assert len(video_times(tmp_path / "out.mp4")) == 15
    last_sound = packets(tmp_path / "out.mp4", "audio")[-1][0]
    assert float(last_sound) == pytest.approx(14 / 30, abs=2 * AAC_FRAME)


def test_nothing_of_the_inputs_metadata_leaves(tmp_path: Path) -> None:
    source = tmp_path / "in.mp4"
    with av.open(str(source), "w", options={"movflags": "use_metadata_tags"}) as container:
        container.metadata["location"] = "+48.2000+016.3667/"
        stream = container.add_stream("libx264", rate=30)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        container.mux(stream.encode(av.VideoFrame(64, 48, "yuv420p")))
        container.mux(stream.encode(None))
    copy(source, tmp_path / "out.mp4")
    assert b"+48.2000" in source.read_bytes()
    assert b"+48.2000" not in (tmp_path / "out.mp4").read_bytes()


def test_nothing_stands_at_the_output_before_it_is_whole_and_no_scrap_after(tmp_path: Path) -> None:
    frames = noise_frames()
    path = tmp_path / "a.mp4"
    sink = VideoFileSink(path, info_of(frames), CodecSettings())
    for frame in frames:
        sink.write(frame)
        assert not path.exists()
    sink.close()
    assert [entry.name for entry in tmp_path.iterdir()] == ["a.mp4"]


def test_abort_leaves_the_old_output_and_no_scrap(tmp_path: Path) -> None:
    path = tmp_path / "a.mp4"
    path.write_bytes(b"old")
    sink = VideoFileSink(path, info_of(noise_frames()), CodecSettings(), overwrite=True)
    sink.write(noise_frames()[0])
    sink.abort()
    assert path.read_bytes() == b"old"
    assert len(list(tmp_path.iterdir())) == 1


def test_overwrite_replaces_the_old_output(tmp_path: Path) -> None:
    path = tmp_path / "a.mp4"
    path.write_bytes(b"old")
    sink = VideoFileSink(path, info_of(noise_frames()), CodecSettings(), overwrite=True)
    sink.write(noise_frames()[0])
    sink.close()
    assert len(read(path)) == 1


def test_a_frame_of_another_size_is_refused(tmp_path: Path) -> None:
    sink = VideoFileSink(tmp_path / "a.mp4", info_of(noise_frames()), CodecSettings())
    with pytest.raises(SinkError, match="32x32"):
        sink.write(noise_frames(32, 32)[0])
    sink.abort()


@pytest.mark.parametrize(
    ("name", "codec"),
    [
        ("a.xyz", CodecSettings()),
        ("a.avi", CodecSettings()),
        ("a.mp4", LOSSLESS),
        ("a.mkv", CodecSettings(lossless=True, crf=3)),
        ("a.mp4", CodecSettings(crf=52)),
        ("a.webm", CodecSettings(crf=-1)),
    ],
)
def test_settings_that_cannot_be_are_refused_before_anything_is_written(
    tmp_path: Path, name: str, codec: CodecSettings
) -> None:
    with pytest.raises(UsageError):
        VideoFileSink(tmp_path / name, info_of(noise_frames()), codec)
    assert list(tmp_path.iterdir()) == []
