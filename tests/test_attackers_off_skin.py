"""Non-skin and the skin's rim, alone and held against skin: where the filter writes on the one, or leaves the
other, they give the pulse away; where not, nothing."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from model.attackers.attacks import shown_over
from model.attackers.layout import Recording
from model.attackers.off_skin import main, nulled, off_skin
from model.attackers.off_skin_report import bars, section
from model.attackers.reading import APART_BPM, readable_scenes
from model.attackers.regions import LEAST, Areas, RegionMasks, RegionTraces, area_of, eroded, even_traces
from model.attackers.scenes import FPS
from streamfilter.face.box import FaceBox
from streamfilter.frame import ColorSpec, Frame
from streamfilter.rppg.heart_rate import heart_rate
from tests.test_attackers import DIRECTION, LENGTH, SKIN, Array64, pulse, version

CLIPS = 10
BOX = FaceBox(60.0, 60.0, 100.0)


def clip(number: int, spilled: bool) -> Recording:
    """A filter that took the true pulse out of the skin and shows another; ``spilled``: on hair as well, so
    that the hair has the true one upside down, and not at the skin's rim, which keeps it."""
    rng = np.random.default_rng(number)
    true, target = float(rng.uniform(50, 72)), float(rng.uniform(86, 92))
    beat = np.outer(pulse(true, rng.uniform(0, 6)), DIRECTION)
    shown = shown_over(np.ones((LENGTH, 3)), target, DIRECTION, number) - 1.0
    still = np.zeros_like(beat)
    versions = {
        "raw": version(rng, beat, off_skin=still),
        "free": version(rng, still, off_skin=still),
        "out": version(
            rng, shown, off_skin=shown - beat if spilled else still, rim=beat if spilled else shown
        ),
        "out_free": version(
            rng, shown, off_skin=shown if spilled else still, rim=still if spilled else shown
        ),
    }
    return Recording(
        f"test-{number:04d}-x", "test", f"face{number % 8}", 0, true, (target, target), pulse(true), versions
    )


@pytest.fixture(scope="module")
def spilled() -> dict[str, Any]:
    """The attack's figures where hair is edited as the skin is."""
    return off_skin([clip(number, spilled=True) for number in range(CLIPS)])


@pytest.fixture(scope="module")
def clean() -> dict[str, Any]:
    """The same where only skin is edited."""
    return off_skin([clip(number, spilled=False) for number in range(CLIPS)])


def test_a_removal_that_lands_on_hair_is_read_there_and_against_the_skin(spilled: dict[str, Any]) -> None:
    for name in ("in the box alone, out", "skin less in the box, out"):
        assert spilled[name]["gain"]["low"] > 0.4, name
        assert not spilled[name]["met"], name
    assert spilled["skin less in the box, out"]["readers"]["GREEN, fit"]["found"]["value"] > 0.8


def test_where_only_skin_is_edited_non_skin_tells_nothing(clean: dict[str, Any]) -> None:
    for name in ("in the box alone, out", "skin less in the box, out"):
        assert clean[name]["met"], name
        assert abs(clean[name]["gain"]["value"]) < 0.2, name


def test_a_rim_that_keeps_the_pulse_is_read_and_one_edited_as_the_face_is_tells_nothing(
    spilled: dict[str, Any], clean: dict[str, Any]
) -> None:
    for name in ("rim alone, out", "skin less rim, out"):
        assert spilled[name]["gain"]["low"] > 0.4 and not spilled[name]["met"], name
        assert clean[name]["met"] and abs(clean[name]["gain"]["value"]) < 0.2, name
    assert clean["rim alone, raw"]["gain"]["low"] > 0.5  # the control: there was a pulse to be found


def test_the_control_finds_the_camera_s_pulse_against_non_skin_and_none_in_it(clean: dict[str, Any]) -> None:
    assert clean["skin less in the box, raw"]["gain"]["low"] > 0.5
    assert clean["in the box alone, raw"]["gain"]["value"] < 0.2


def test_a_region_that_is_not_there_counts_no_clip_and_is_said_so(clean: dict[str, Any]) -> None:
    assert clean["outside alone, out"] == {"clips": 0}
    page = section(clean)
    assert "| outside alone, out | 0 | – |" in page
    line = next(line for line in page.splitlines() if line.startswith("| skin less it, GREEN, fit |"))
    assert line.count("| – | – |") == 1 and line.endswith("% |")


def test_the_bars_are_those_of_what_was_filtered(spilled: dict[str, Any]) -> None:
    found = bars(spilled)
    assert "off skin, skin less in the box" in found
    assert not any("raw" in name for name in found)
    assert not found["off skin, in the box alone"]["met"]


def test_nulling_leaves_the_true_pulse_and_takes_the_shown_one() -> None:
    shown, true = np.outer(pulse(90.0), DIRECTION), np.outer(pulse(60.0), DIRECTION)
    rest = nulled(SKIN * (1 + shown), SKIN * (1 + 0.5 * shown - 0.2 * true), 90.0)
    assert abs(heart_rate(rest[:, 1], FPS) - 60.0) < 1.0


def frame(luma: npt.NDArray[np.floating] | float, u: npt.NDArray[np.floating] | float = 110.0) -> Frame:
    y = np.broadcast_to(np.asarray(luma, np.float32), (120, 120)).astype(np.uint8)
    half = np.broadcast_to(np.asarray(u, np.float32), (60, 60)).astype(np.uint8)
    return Frame(y, half, np.full((60, 60), 140, np.uint8), 0, Fraction(1, 30), ColorSpec())


def head(shift: int = 0) -> npt.NDArray[np.float32]:
    skin = np.zeros((120, 120), np.float32)
    skin[30:100, 40:80] = 1.0
    return np.roll(skin, shift, axis=1)


def test_a_mask_loses_its_edge_and_nothing_where_the_picture_ends() -> None:
    mask = np.zeros((20, 20), bool)
    mask[5:15, 5:15] = True
    assert eroded(mask, 2).sum() == 6 * 6
    assert eroded(mask, 2)[7:13, 7:13].all()
    assert eroded(np.ones((20, 20), bool), 2).all()


def test_regions_are_sure_skin_in_the_oval_and_bright_non_skin_in_and_out_of_the_box() -> None:
    skin = head()
    skin[28:30] = 0.5  # neither
    luma, u = np.full((120, 120), 120.0), np.full((60, 60), 110.0)
    luma[:, 100:] = 10.0
    luma[:, 80:100] = 45.0  # hair: on the other side, the mask ends in what looks like skin
    u[:, :10] = 150.0  # a wall of another tone
    face, inside, beyond, toned, rim = RegionMasks().of(frame(luma, u), skin, BOX)
    assert face[60, 60] and not face[60, 41] and not face[98, 42]
    assert inside[60, 25] and not inside[60, 39] and not inside[28, 60] and not inside[60, 102]
    assert beyond[5, 60] and beyond[5, 5] and not beyond[5, 110] and not beyond[60, 60]
    assert toned[5, 60] and not toned[5, 5]
    assert not beyond[115, 60] and not inside[98, 20] and beyond[115, 5]  # a neck; a coat
    assert not (face & inside).any() and not (inside & beyond).any()
    assert rim[60, 77] and rim[60, 74] and not rim[60, 78] and not rim[60, 73] and not rim[60, 42]


def test_masks_follow_the_head_and_noise_moves_no_pixel_in_or_out() -> None:
    masks, rng = RegionMasks(), np.random.default_rng(0)
    seen = [masks.of(frame(45 + 4 * rng.standard_normal((120, 120))), head(), BOX)[1] for _ in range(20)]
    assert all((one == seen[0]).all() for one in seen)
    moved = masks.of(frame(45.0), head(10), BOX)[1]
    assert moved[60, 45] and not moved[60, 84]


def test_means_are_of_the_mask_alone_and_too_small_a_region_has_none() -> None:
    luma = np.full((120, 120), 60.0)
    luma[:60] = 180.0
    top, few = np.zeros((120, 120), bool), np.zeros((120, 120), bool)
    top[:60], few[: LEAST // 20, :10] = True, True
    areas = [area_of(mask) for mask in (top, ~top, few, few)]
    means = RegionTraces().read(frame(luma), Areas([*areas, None], [*areas, None]))
    assert means[0, 1] > 2.0 * means[1, 1]
    assert np.isnan(means[2]).all()


def test_a_trace_tells_the_light_and_not_what_comes_into_the_mask_or_goes() -> None:
    rng, traces = np.random.default_rng(1), RegionTraces()
    before = np.zeros((120, 120), bool)
    luma = np.full((120, 120), 60.0)
    luma[:, 60:] = 180.0
    seen = []
    for t in range(60):
        mask = np.zeros((120, 120), bool)
        mask[:, 20 : int(rng.integers(60, 80))] = True  # its plain mean goes from 60 to 100 and back
        areas = Areas([area_of(mask)] * 5, [area_of(mask & before)] * 5)
        seen.append(traces.read(frame(luma + 4.0 * (t >= 30)), areas)[0, 1])
        before = mask
    green = np.array(seen) * 219
    assert np.abs(np.diff(green)).max() == pytest.approx(4.0, abs=0.6)
    assert np.abs(np.delete(np.diff(green), 29)).max() < 0.6


def test_a_region_gone_for_a_moment_keeps_its_colour_and_one_gone_for_long_is_none() -> None:
    trace: list[Array64] = [np.full((5, 3), 0.1 * (t + 1)) for t in range(40)]
    trace[5][1], trace[0][2] = np.nan, np.nan
    for t in range(10, 20):
        trace[t][0] = np.nan
    table = even_traces(trace, np.arange(40) / FPS, FPS)
    assert table[5, 1, 0] == pytest.approx(0.5)
    assert np.isnan(table[:, 0]).all() and np.isnan(table[:, 2]).all() and np.isfinite(table[:, [1, 3]]).all()


def test_scenes_are_those_whose_rate_can_be_found() -> None:
    few, more = readable_scenes(None, 4, 8.0), readable_scenes(None, 9, 8.0)
    assert [one.key() for one in few] == [one.key() for one in more[:4]]
    assert all(abs(one.targets[0] - one.settings.hr) >= APART_BPM for one in more)


def test_the_command_records_what_is_missing_and_prints_the_attack(
    tiny_artifact: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["--scenes", "1", "--seconds", "3.5", "--jobs", "1", "--artifact", str(tiny_artifact)]
    words += ["--cache", str(tmp_path), "--faces", str(tmp_path / "none"), "--codecs", "h264-1.5"]
    assert main(words) == 0
    assert len(list(tmp_path.rglob("test-*.npz"))) == 1
    printed = capsys.readouterr()
    assert "after h264-1.5" in printed.out and "skin less in the box, out | 1 |" in printed.out
    assert "built-in portrait" in printed.err


def test_bad_options_are_refused(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stop:
        main(["--scenes", "0"])
    assert stop.value.code == 2
    assert "1 scene" in capsys.readouterr().err
