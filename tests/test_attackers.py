"""Attackers that know the filter: each finds the pulse where there is one and nothing where there is none."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt
import pytest

from model.attackers.__main__ import main, remembered
from model.attackers.attacks import inverse, notch, shown_over
from model.attackers.beside import beside, explained_away
from model.attackers.chance import area, area_interval, bootstrap, by_unit, share
from model.attackers.detector import detector
from model.attackers.differencing import differencing
from model.attackers.gather import gather
from model.attackers.inverse import band_stopped, identified_response, invert, known_response
from model.attackers.layout import ALL, Recording, Version, load
from model.attackers.learned import folds_of, learned
from model.attackers.nets import Fit
from model.attackers.off_skin import off_skin
from model.attackers.points import follow_points, motion_pulse
from model.attackers.reading import can_be_found
from model.attackers.record import record
from model.attackers.report import write
from model.attackers.scenes import FPS, draw_scenes
from streamfilter.rppg.heart_rate import heart_rate

Array64 = npt.NDArray[np.float64]

LENGTH = 240
CLIPS = 10
SKIN = np.array([0.62, 0.45, 0.36])
DIRECTION = (0.0026, 0.006, 0.0042)


def pulse(bpm: float, phase: float = 0.0) -> Array64:
    angle = 2 * np.pi * bpm / 60 * np.arange(LENGTH) / FPS + phase
    return np.asarray(np.cos(angle) + 0.3 * np.cos(2 * angle - 1.0))


def version(
    rng: np.random.Generator,
    change: Array64,
    flicker: float = 1.0,
    off_skin: Array64 | None = None,
    rim: Array64 | None = None,
) -> Version:
    """A still face whose colours change by ``change`` (T, 3), relative, with a camera's noise; what is no
    skin in its box changes by ``off_skin``, its rim by ``rim`` (as the face does), and outside there is
    nothing."""
    noise = 2e-4 * np.cumsum(rng.standard_normal((LENGTH, 3)), axis=0) / 4
    face = SKIN * (1 + change + noise + 3e-4 * rng.standard_normal((LENGTH, 3)))
    grain = 2e-3 * rng.standard_normal((LENGTH, 9, 9, 3))
    cells = (face[:, None, None] * (1 + grain)).astype(np.float32)
    wide = np.full((LENGTH, 8, 8, 3), 128.0) + 0.05 * rng.standard_normal((LENGTH, 8, 8, 3))
    pixels = flicker * np.exp(0.1 * rng.standard_normal((LENGTH, 9)))
    points = np.zeros((LENGTH, 0), np.float32)
    hair = (
        0.4 * SKIN * (1 + (0.0 if off_skin is None else off_skin) + 3e-4 * rng.standard_normal((LENGTH, 3)))
    )
    nothing = np.full((LENGTH, 3), np.nan)
    edge = SKIN * (1 + (change if rim is None else rim) + 3e-4 * rng.standard_normal((LENGTH, 3)))
    regions = np.stack([face, hair, nothing, nothing, edge], axis=1)
    return Version(face, cells, wide.astype(np.float32), pixels.astype(np.float32), points, regions)


def recording(number: int, removed: bool, flicker: float = 1.0) -> Recording:
    """A clip whose filter shows a pulse and took the true one out, or did not."""
    rng = np.random.default_rng(number)
    true, targets = float(rng.uniform(50, 72)), (float(rng.uniform(86, 92)), float(rng.uniform(94, 98)))
    beat = np.outer(pulse(true, rng.uniform(0, 6)), DIRECTION)
    still = np.zeros_like(beat)

    def shown(change: Array64, target: float) -> Array64:
        return np.asarray(shown_over(1 + change, target, DIRECTION, int(rng.integers(999))) - 1)

    kept = still if removed else beat
    changes = {
        "raw": beat,
        "free": still,
        "painted": beat,
        "out": shown(kept, targets[0]),
        "out_b": shown(kept, targets[1]),
        "out_free": shown(still, targets[0]),
    }
    versions = {name: version(rng, changes[name], flicker if "out" in name else 1.0) for name in ALL}
    return Recording(
        f"test-{number:04d}-x", "test", f"face{number % 8}", 0, true, targets, pulse(true), versions
    )


@pytest.fixture(scope="module")
def kept() -> list[Recording]:
    return [recording(number, removed=False) for number in range(CLIPS)]


@pytest.fixture(scope="module")
def removed() -> list[Recording]:
    return [recording(number, removed=True) for number in range(CLIPS)]


def test_the_notch_reads_a_pulse_that_was_left_and_nothing_where_it_was_taken_out(
    kept: Sequence[Recording], removed: Sequence[Recording]
) -> None:
    found = notch(kept, DIRECTION)
    assert found["filtered"]["found"] > 0.9
    assert found["filtered"]["gain"]["low"] > 0.5
    assert not found["filtered"]["met"]
    assert found["control"]["gain"]["low"] > 0.5
    clean = notch(removed, DIRECTION)["filtered"]
    assert clean["met"]
    assert abs(clean["gain"]["value"]) < 0.2


def test_the_inverse_brings_back_what_the_front_end_took_out() -> None:
    rng = np.random.default_rng(3)
    trace = version(rng, np.outer(pulse(66.0), DIRECTION)).face
    stopped = band_stopped(trace, FPS)
    back = invert(stopped, FPS, *known_response(FPS), floor=0.003)

    def beat(rgb: Array64) -> float:
        wave = rgb[:, 1] / rgb[:, 1].mean() - 1
        return float(
            np.abs(np.exp(-2j * np.pi * 1.1 * np.arange(LENGTH) / FPS) @ (wave * np.hanning(LENGTH)))
        )

    assert beat(stopped) < 0.05 * beat(trace)
    assert beat(back) > 0.8 * beat(trace)


def test_the_inverse_attack_is_at_chance_where_nothing_is_left(removed: Sequence[Recording]) -> None:
    figures = inverse(removed, removed[:4], DIRECTION)
    assert figures["control"]["gain"]["low"] > 0.5
    assert figures["known"]["met"]
    assert figures["identified"]["met"]
    assert set(figures["response"]) == {"known", "identified"}


def test_identification_finds_a_filter_beneath_shown_pulses() -> None:
    rng = np.random.default_rng(0)
    pairs, targets = [], []
    for _ in range(24):
        target = float(rng.uniform(50, 110))
        given = np.cumsum(rng.standard_normal(LENGTH))
        made = given - np.convolve(given, np.ones(5) / 5)[:LENGTH] + 0.2 * pulse(target)
        pairs.append((given, made))
        targets.append(target)
    freq, found = identified_response(pairs, FPS, targets)
    meant = 1 - np.exp(-2j * np.pi * np.outer(freq, np.arange(5)) / FPS).mean(axis=1)
    inside = (freq > 1.0) & (freq < 8.0)
    assert np.abs(found - meant)[inside].max() < 0.15


def test_differencing_finds_what_two_outputs_share(
    kept: Sequence[Recording], removed: Sequence[Recording]
) -> None:
    found = differencing(kept)
    assert found["average"]["gain"]["low"] > 0.4
    assert found["common part"]["gain"]["low"] > 0.4
    assert found["difference"]["found"] < 0.5
    clean = differencing(removed)
    for way in ("average", "common part", "difference", "change of target"):
        assert clean[way]["gain"]["low"] <= 0.05, way


def test_a_reference_takes_the_common_wave_away_and_leaves_the_other() -> None:
    both, own = pulse(90.0), 0.2 * pulse(60.0)
    rest = explained_away(both + own, 1.3 * np.roll(both, 1))
    assert abs(heart_rate(rest, FPS) - 60.0) < 2.0


def test_beside_the_face_nothing_is_found_where_nothing_moves(removed: Sequence[Recording]) -> None:
    figures = beside(removed, [])
    for name in ("neck, out", "background, out", "background, raw", "reference, out"):
        assert figures[name]["gain"]["low"] <= 0.05, name


def test_the_head_s_motion_shows_a_beat_and_rest_shows_none() -> None:
    rng = np.random.default_rng(4)
    texture = cv2.GaussianBlur(rng.uniform(0, 255, (120, 120)).astype(np.float32), (0, 0), 1.5)
    texture = (texture - texture.min()) / np.ptp(texture) * 255
    wave = 0.4 * pulse(72.0)

    def pictures(moves: Array64) -> list[npt.NDArray[np.uint8]]:
        frames = []
        for move in moves:
            matrix = np.array([[1.0, 0, 0], [0, 1.0, move]])
            fine = cv2.warpAffine(texture, matrix, (120, 120)) + rng.normal(0, 1.0, texture.shape)
            frames.append(np.clip(np.rint(fine), 0, 255).astype(np.uint8))
        return frames

    beating = motion_pulse(follow_points(pictures(wave)), FPS)
    assert beating is not None
    assert abs(heart_rate(beating, FPS) - 72.0) < 2.0
    resting = motion_pulse(follow_points(pictures(0.0 * wave)), FPS)
    assert resting is not None
    assert resting.std() < 0.2 * beating.std()


def test_a_learned_attacker_reads_what_is_left_and_answers_the_mean_where_nothing_is(
    kept: Sequence[Recording], removed: Sequence[Recording]
) -> None:
    fit = Fit(steps=25, batch=8)
    left = learned(kept, 2, 1, fit)
    assert left["filtered"]["network on spectra"]["gain on the mean"]["value"] > 0.3
    assert left["unfiltered"]["network on spectra"]["gain on the mean"]["low"] > 0.2
    gone = learned(removed, 2, 1, fit)
    assert gone["filtered"]["network on spectra"]["gain on the mean"]["low"] < 0.05
    assert gone["unfiltered"]["network on spectra"]["gain on the mean"]["low"] > 0.2


def test_no_face_is_in_two_folds() -> None:
    subjects = [f"s{k % 7}" for k in range(40)]
    fold = folds_of(subjects, 3)
    assert set(fold) == {0, 1, 2}
    assert all(
        len({f for f, s in zip(fold, subjects, strict=True) if s == name}) == 1 for name in set(subjects)
    )


def test_the_detector_sees_flicker_and_no_difference_where_there_is_none() -> None:
    marked = detector([recording(n, removed=True, flicker=1.6) for n in range(16)], 2, 1)
    assert marked["raw"]["detectors"]["marks of pixels"]["value"] > 0.9
    assert not marked["raw"]["detectors"]["marks of pixels"]["met"]
    plain = detector([recording(n, removed=True) for n in range(16)], 2, 1)
    assert plain["painted"]["detectors"]["marks of pixels"]["low"] < 0.6


def test_hidden_rates_do_not_count() -> None:
    clip = recording(1, removed=True)
    assert can_be_found(clip, (clip.true_bpm + 20.0,))
    assert not can_be_found(clip, (clip.true_bpm + 5.0,))
    assert not can_be_found(clip, (clip.true_bpm / 2 + 2.0,))


@pytest.mark.parametrize(("chance", "of"), [(0.05, 30), (0.5, 12), (0.9, 50)])
def test_a_share_s_interval_holds_the_truth_19_times_of_20(chance: float, of: int) -> None:
    rng = np.random.default_rng(1)
    intervals = {hits: share(hits, of) for hits in range(of + 1)}
    inside = [
        intervals[int(h)].low <= chance <= intervals[int(h)].high for h in rng.binomial(of, chance, 4000)
    ]
    assert np.mean(inside) >= 0.95 - 0.01


def test_the_bootstrap_s_interval_holds_the_truth_about_19_times_of_20() -> None:
    rng = np.random.default_rng(2)
    held = []
    for _ in range(80):
        level = rng.standard_normal(24)  # of each subject: its clips are alike
        rows = (level[:, None] + 0.3 * rng.standard_normal((24, 3))).ravel()
        names = [f"{k // 3:02d}" for k in range(72)]
        found = bootstrap(by_unit(names, rows[:, None]), lambda table: float(table.mean()))
        held.append(found.low <= 0.0 <= found.high)
    assert 0.86 <= np.mean(held) <= 1.0


def test_the_area_under_the_curve_is_the_chance_to_rank_right() -> None:
    assert area([3, 1, 2, 0], [True, False, True, False]) == 1.0
    assert area([1, 1, 1, 1], [True, False, True, False]) == 0.5
    assert area([3, 1, 0], [True, False, True]) == 0.5
    interval = area_interval(
        [str(k // 2) for k in range(40)], np.tile([1.0, 0.0], 20), np.tile([True, False], 20)
    )
    assert (interval.low, interval.high) == (1.0, 1.0)


def test_a_share_of_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match="one or more"):
        share(0, 0)


def test_a_recording_is_made_once_and_holds_the_truth(tiny_artifact: Path, tmp_path: Path) -> None:
    scene = draw_scenes(None, "train", 1, 3.0)[0]
    path = record(scene, tmp_path, tiny_artifact)
    made = path.stat().st_mtime_ns
    (tmp_path / f"part-{path.name}").write_bytes(b"cut short")
    assert record(scene, tmp_path, tiny_artifact) == path
    assert gather([scene], tmp_path, tiny_artifact, 1) == {}
    assert path.stat().st_mtime_ns == made
    clip = load(scene, tmp_path)
    assert clip.targets == scene.targets
    assert set(clip.versions) == {"raw", "out", "painted"}
    raw, out, painted = (clip.versions[name] for name in ("raw", "out", "painted"))
    assert raw.cells.shape == out.cells.shape == (89, 9, 9, 3)
    assert np.abs(out.cells[:, 4, 4] - raw.cells[:, 4, 4]).max() > 1e-4
    assert np.abs(painted.face.mean(axis=0) / raw.face.mean(axis=0) - 1).max() < 0.005


def test_scenes_stay_what_they_are_when_more_are_asked_for_and_targets_know_nothing_of_the_truth() -> None:
    few, many = draw_scenes(None, "test", 3, 10.0), draw_scenes(None, "test", 400, 10.0)
    assert [scene.key() for scene in few] == [scene.key() for scene in many[:3]]
    true = [scene.settings.hr for scene in many]
    assert abs(np.corrcoef(true, [scene.targets[0] for scene in many])[0, 1]) < 0.12


def test_figures_are_worked_out_once_and_again_only_where_they_were_cut_short(tmp_path: Path) -> None:
    path, calls = tmp_path / "notch-mark.json", []

    def cut_short() -> dict[str, float]:
        raise KeyboardInterrupt

    def run() -> dict[str, float]:
        calls.append(1)
        return {"found": 0.25}

    with pytest.raises(KeyboardInterrupt):
        remembered(path, cut_short)
    assert not path.exists()
    assert remembered(path, run) == remembered(path, run) == {"found": 0.25}
    assert len(calls) == 1


def test_the_report_tells_what_was_missed(
    tmp_path: Path, kept: Sequence[Recording], removed: Sequence[Recording]
) -> None:
    meta = {
        "command": "python -m model.attackers",
        "commit": "abc1234",
        "artifact": "tiny",
        "seconds": 8.0,
        "scenes": {"test": 10},
        "asked": {"test": 10},
        "subjects": 8,
        "test subjects": 8,
        "masking": 0.0018,
        "quick": True,
    }
    figures = {
        "notch": notch(kept, DIRECTION),
        "inverse": {"known": {"clips": 0}, "response": {"known": {"60": 0.01}}},
        "beside": {
            "neck, out": notch(removed, DIRECTION)["filtered"],
            "head motion, out": notch(kept, DIRECTION)["filtered"],
            "head motion, raw": notch(kept, DIRECTION)["control"],
        },
        "beyond": {},
        "differencing": differencing(removed),
        "off_skin": off_skin(removed),
    }
    page = write(tmp_path, meta, figures).read_text()
    assert "| notch | no more often than without a pulse |" in page
    assert "**missed**" in page
    told = next(line for line in page.splitlines() if "without a bar" in line)
    assert "head motion 9" in told or "head motion 100" in told
    assert "neck" not in told and "raw" not in told
    assert "A quick run" in page
    assert json.loads((tmp_path / "results.json").read_text())["figures"]["notch"]["filtered"]["met"] is False
    assert (tmp_path / "gains.png").stat().st_size > 5000


@pytest.mark.parametrize("words", [["--test", "1"], ["--seconds", "2"], ["--jobs", "0"]])
def test_bad_options_are_refused(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stop:
        main(words)
    assert stop.value.code == 2
    assert words[0] in capsys.readouterr().err


def test_recordings_that_are_missing_are_an_error_with_a_way_out(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["--recorded", "--quick", "--cache", str(tmp_path), "--out", str(tmp_path / "out")]) == 2
    assert "without --recorded" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()
