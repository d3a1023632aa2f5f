"""The parts of the loopback call that need no browser: frame numbers, and one whole pass of a looped clip."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from scripts.call_reading import CELLS, read_pulse
from scripts.webcam_clip import BITS, BLOCK, STRIP, Clip, frame_number, mark_frame, write_webcam
from scripts.webrtc_call import READ_BY, one_pass
from streamfilter.errors import SourceError

FPS, COUNT = 30.0, 300
CLIP = Clip(Path("unused.y4m"), 320, 240, FPS, COUNT, {"left": 0.0, "right": 1.0, "top": 0.0, "bottom": 1.0})


def bits_of(number: int) -> list[int]:
    packed = np.full((360, 320), 128, np.uint8)
    mark_frame(packed, number)
    return [int(packed[BLOCK // 2, bit * BLOCK + BLOCK // 2] > 128) for bit in range(STRIP)]


def received(start: int, count: int, *, keep: float = 1.0, bpm: float = 90.0) -> list[dict[str, Any]]:
    """What the page returns of a clip that loops, with a pulse of ``bpm``, some frames dropped."""
    rng = np.random.default_rng(0)
    frames = []
    for i in range(count):
        if rng.random() > keep:
            continue
        number = (start + i) % COUNT
        pulse = np.sin(2 * np.pi * bpm / 60 * number / FPS)
        levels = (120 + 0.8 * pulse, 110 - 0.5 * pulse, 150 - 0.5 * pulse)
        means = [[level] * (CELLS * CELLS) for level in levels]
        frames.append(
            {
                "time": i / FPS,
                "mark": bits_of(number),
                "means": means,
                "matrix": "smpte170m",
                "fullRange": False,
            }
        )
    return frames


def test_numbers_come_back_and_neighbours_differ_in_one_block() -> None:
    marks = [bits_of(number) for number in range(2**BITS)]
    assert [frame_number(mark) for mark in marks] == list(range(2**BITS))
    assert all(sum(np.not_equal(a, b)) == 1 for a, b in pairwise(marks))


@pytest.mark.parametrize("start", [0, 137, 299])
@pytest.mark.parametrize("keep", [1.0, 0.8])
def test_one_pass_reads_the_rate_across_dropped_frames(start: int, keep: float) -> None:
    rgb = one_pass(received(start, 900, keep=keep), CLIP, warm_up=5.0, settle=1.5)
    assert rgb.shape == (COUNT - 45, 3)
    assert all(
        reading.shown == pytest.approx(90.0, abs=1.0) for reading in read_pulse(rgb, FPS, 120.0, READ_BY)
    )


def test_no_whole_pass_is_an_error() -> None:
    with pytest.raises(SourceError, match="no whole pass"):
        one_pass(received(100, 350), CLIP, warm_up=5.0, settle=1.5)


def test_half_the_frames_missing_is_an_error() -> None:
    with pytest.raises(SourceError, match="arrived"):
        one_pass(received(0, 900, keep=0.3), CLIP, warm_up=5.0, settle=1.5)


def test_a_missing_clip_is_named(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match=r"absent\.mkv"):
        write_webcam(tmp_path / "absent.mkv", tmp_path / "out.y4m", 10.0)
