"""The parts of the call through the relay that need no browser: what is read, counted and written of it."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from scripts.call_reading import CELLS, Reading
from scripts.relay_call import main
from scripts.relay_call_report import BAR_BY, Call, FailedCall, call_of, pictures_of, row, write_page
from scripts.relay_process import RelayCounts, read_counts
from scripts.webcam_clip import BLOCK, STRIP, Clip, mark_frame
from streamfilter.errors import SourceError
from streamfilter.relay.ports import MediaFacts, MediaState, Role
from streamfilter.relay.prometheus import RelayMetrics

FPS, COUNT = 15.0, 180
CLIP = Clip(Path("unused.y4m"), 320, 240, FPS, COUNT, {"left": 0.0, "right": 1.0, "top": 0.0, "bottom": 1.0})
CARD = [0] * STRIP
OPENED = 1000.0


def strip(number: int) -> list[int]:
    packed = np.full((360, 320), 128, np.uint8)
    mark_frame(packed, number)
    return [int(packed[BLOCK // 2, bit * BLOCK + BLOCK // 2] > 128) for bit in range(STRIP)]


def frame(mark: list[int], seconds: float, level: float = 0.0, rtp: int | None = None) -> dict[str, Any]:
    means = [
        [base + level * share] * (CELLS * CELLS) for base, share in ((120, 0.8), (110, -0.5), (150, -0.5))
    ]
    return {
        "time": seconds,
        "rtp": rtp,
        "at": OPENED + seconds,
        "mark": mark,
        "means": means,
        "width": 320,
        "height": 240,
        "matrix": "smpte170m",
        "fullRange": False,
    }


def recorded(bpm: float, *, speed: float = 1.0, cards: int = 20) -> dict[str, Any]:
    """Cards, then a clip played ``speed`` times as fast, with a pulse of ``bpm`` put in on the way.

    The receiver's own times jitter; RTP's stamps, which start close to their end, do not.
    """
    rng = np.random.default_rng(1)
    frames = [frame(CARD, 0.1 * i, rtp=2**32 - 90_000 + 9000 * i) for i in range(cards)]
    for i in range(4 * COUNT):
        seconds = 0.1 * cards + i / FPS / speed
        if rng.random() < 0.2:
            continue
        pulse = float(np.sin(2 * np.pi * bpm / 60 * seconds))
        rtp = (2**32 - 90_000 + round(90_000 * seconds)) % 2**32
        frames.append(frame(strip((i + 50) % COUNT), seconds + rng.uniform(0.0, 0.05), pulse, rtp))
    stats = {"limit": "none", "lost": 0, "target": 450_000}
    return {
        "frames": frames,
        "opened": OPENED,
        "sent_first": {"time": 10.0, "bytes": 1_000_000},
        "sent": {"time": 20.0, "bytes": 1_625_000} | stats,
        "received_first": {"time": 10.0, "bytes": 0},
        "received": {"time": 18.0, "bytes": 400_000} | stats,
        "counts": RelayCounts(500, 20, {"filter busy": 3, "too late": 0}, 12.0),
    }


def read(record: dict[str, Any], truth: float | None = 60.0) -> Call:
    return call_of(record, CLIP, codec="VP8", kbps=500, target=90.0, truth=truth, warm_up=5.0, settle=1.5)


@pytest.mark.parametrize("speed", [1.0, 0.9])
def test_rates_are_those_of_the_sender_s_time(speed: float) -> None:
    call = read(recorded(90.0, speed=speed))
    assert call.worst < 1.0
    assert call.speed == pytest.approx(speed, abs=0.01)
    assert call.true_seen == pytest.approx(60.0 * speed, abs=0.5)
    assert 0 < call.missing < 0.4 * call.wanted
    assert call.fps == pytest.approx(0.8 * FPS * speed, rel=0.1)
    assert (call.sent_kbps, call.received_kbps) == pytest.approx((500.0, 400.0))


def test_a_rate_that_was_not_put_in_is_far_off_and_found() -> None:
    call = read(recorded(60.0))
    assert call.worst == pytest.approx(30.0, abs=1.0) and set(call.found) >= set(BAR_BY)
    assert read(recorded(60.0), truth=None).found == ()


def test_too_few_frames_are_an_error() -> None:
    record = recorded(90.0)
    record["frames"] = record["frames"][::3]
    with pytest.raises(SourceError, match="arrived"):
        read(record)


def test_cards_and_pictures_are_told_apart() -> None:
    marks = [CARD, [1] * STRIP, CARD, strip(7), strip(8), CARD, strip(0)]
    frames = [frame(mark, 0.5 * at) for at, mark in enumerate(marks)]
    counted = pictures_of(frames, OPENED)
    assert (counted.cards_before, counted.cards_after, counted.shown) == (3, 1, 3)
    assert counted.first == pytest.approx(1.5) and counted.unsettled == 0
    assert pictures_of(frames, OPENED + 0.25).unsettled == 1
    assert pictures_of(frames[:3], OPENED).first is None


def test_a_row_tells_what_misses_the_bar() -> None:
    call = read(recorded(90.0))
    readings = tuple(Reading(one, 93.1 if one == "ICA" else 90.0, 120.0) for one in (*BAR_BY, "PCA"))
    cells = row(replace(call, readings=readings)).strip("| ").split(" | ")
    assert cells[:4] == ["VP8", "500", "500", "400"] and "20 + 0" in cells
    assert cells.count("+0.0") == 6 and cells.count("**+3.1**") == 1 and cells[-1] == "no"
    leaked = (*readings[:-1], Reading("PCA", 90.0, 60.5))
    assert row(replace(call, readings=leaked)).endswith("| **PCA** |")
    assert replace(call, readings=(Reading("POS", math.nan, math.nan),)).worst == math.inf


def test_the_page_counts_the_calls_that_pass(tmp_path: Path) -> None:
    good, bad = read(recorded(90.0), truth=None), read(recorded(60.0))
    page = tmp_path / "page.md"
    failed = FailedCall("H264", 300, "the machine is too slow")
    write_page(page, [good, bad, failed], "a clip", "python scripts/relay_call.py --table")
    text = page.read_text()
    assert "not found: 1 of 3\n" in text and "too slow" in text and "3 filter busy | 450 |" in text
    for table in text.split("## After"):
        assert len({line.count("|") for line in table.splitlines() if line.startswith("|")}) == 1


def test_counts_are_read_from_the_relay_s_own_metrics() -> None:
    metrics = RelayMetrics()
    facts = MediaFacts(
        MediaState.LIVE, frames=40, shielded=7, latency_p50=11.5, latency_p99=20.0, dropped={"too late": 2}
    )
    metrics.observe({"one": (Role.PATIENT, facts)}, {"share": 0.1})
    assert read_counts(metrics.render().decode()) == RelayCounts(40, 7, {"too late": 2}, 11.5)


@pytest.mark.parametrize("flags", [["--hr", "20"], ["--kbps", "50"], ["--every", "0"]])
def test_what_cannot_be_asked_for_is_said(flags: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(flags) == 2
    assert flags[0] in capsys.readouterr().err
