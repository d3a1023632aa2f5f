"""Pictures as output, and no output."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import cv2
import numpy as np
import pytest

from streamfilter.capture.synthetic import SyntheticSource
from streamfilter.errors import SinkError, UsageError
from streamfilter.frame import ColorSpec
from streamfilter.sinks import NULL_OUTPUT, check_sink, open_sink
from streamfilter.sinks.codec_settings import CodecSettings
from streamfilter.sinks.null import NullSink

CODEC = CodecSettings()


@pytest.mark.parametrize("color", [ColorSpec("bt601", False), ColorSpec("bt709", True)])
def test_pictures_show_the_frames_by_their_own_matrix_and_range(tmp_path: Path, color: ColorSpec) -> None:
    kr, kb = (0.299, 0.114) if color.matrix == "bt601" else (0.2126, 0.0722)
    with SyntheticSource(count=3, color=color) as source:
        frames = list(source.frames())
        sink = open_sink(tmp_path / "out", source.info, CODEC, overwrite=False)
    for frame in frames:
        sink.write(frame)
    assert not (tmp_path / "out").exists()
    sink.close()
    assert [p.name for p in sorted(tmp_path.glob("out/*"))] == [f"frame_{i:06d}.png" for i in range(3)]
    picture = cv2.imread(str(tmp_path / "out" / "frame_000001.png"))
    assert picture is not None
    y = frames[1].y.astype(float)
    u, v = (plane.repeat(2, 0).repeat(2, 1) - 128.0 for plane in (frames[1].u, frames[1].v))
    if not color.full_range:
        y, u, v = (y - 16) * 255 / 219, u * 255 / 224, v * 255 / 224
    red, blue = y + 2 * (1 - kr) * v, y + 2 * (1 - kb) * u
    green = (y - kr * red - kb * blue) / (1 - kr - kb)
    expected = np.clip(np.stack([blue, green, red], axis=2), 0, 255)
    # Chroma is interpolated in the picture and repeated here.
    assert np.abs(picture - expected).mean() < 3


def test_a_folder_with_foreign_files_is_never_replaced(tmp_path: Path) -> None:
    out = tmp_path / "out"
    out.mkdir()
    (out / "thesis.doc").write_text("years of work")
    with SyntheticSource() as source:
        for overwrite in (False, True):
            with pytest.raises(SinkError):
                open_sink(out, source.info, CODEC, overwrite)
    assert (out / "thesis.doc").read_text() == "years of work"


def test_pictures_of_an_earlier_run_are_replaced_only_with_overwrite(tmp_path: Path) -> None:
    out = tmp_path / "out"
    with SyntheticSource(count=5) as source:
        long, short = list(source.frames()), list(source.frames())[:2]
        info = source.info
    for frames, overwrite in ((long, False), (short, True)):
        sink = open_sink(out, info, CODEC, overwrite)
        for frame in frames:
            sink.write(frame)
        sink.close()
    assert len(list(out.iterdir())) == 2
    with pytest.raises(SinkError, match="--overwrite"):
        open_sink(out, info, CODEC, overwrite=False)


def test_abort_leaves_no_pictures(tmp_path: Path) -> None:
    with SyntheticSource() as source:
        sink = open_sink(tmp_path / "out", source.info, CODEC, overwrite=False)
        sink.write(next(iter(source.frames())))
    sink.abort()
    assert list(tmp_path.iterdir()) == []


def test_input_folder_is_refused_as_output(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="input itself"):
        check_sink(tmp_path, tmp_path, CODEC, overwrite=True)


def test_null_takes_all_and_keeps_nothing(tmp_path: Path) -> None:
    check_sink(NULL_OUTPUT, tmp_path / "in.mp4", CODEC, overwrite=False)
    with SyntheticSource(count=4, fps=Fraction(25)) as source:
        sink = open_sink(NULL_OUTPUT, source.info, CODEC, overwrite=False)
        for frame in source.frames():
            sink.write(frame)
    sink.close()
    assert isinstance(sink, NullSink)
    assert sink.count == 4
