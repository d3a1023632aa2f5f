"""A codec's standing blocks beneath the edit: found by their steps, and not where every block has noise."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest

from model.attackers import chance
from model.attackers import standing_blocks as study
from model.attackers import standing_blocks_reading as reading
from model.attackers.blocks import (
    WAYS,
    block_means,
    common_steps,
    half_sample_mode,
    standing_share,
    without_edit,
)
from model.attackers.calls import PLANES
from model.attackers.reading import APART_BPM
from model.attackers.scenes import FPS, draw_scenes
from model.attackers.standing_blocks import MOTION, figures_of, main, scenes_of
from model.attackers.standing_blocks_reading import (
    ATTACKS,
    SOURCES,
    UNFILTERED,
    Read,
    rates_of,
    real_clip,
    through,
)
from model.attackers.standing_blocks_report import markdown
from model.data.video import render_frames
from streamfilter.dither import Dither, add_dithered, fine
from streamfilter.rppg.filters import band_pass

FRAMES, SIDE = 240, 96
TIMES = np.arange(FRAMES) / FPS
PULSE = 0.4 * np.sin(2 * np.pi * 1.1 * TIMES)  # levels, what the camera sees
SHOWN = 0.6 * np.sin(2 * np.pi * 1.7 * TIMES + 0.4)


def written(
    still: bool = False, noise: float = 0.0, compressed: bool = True
) -> tuple[np.ndarray, np.ndarray]:
    """Block means (T, B) of a source, and of what the filter makes of it: its pulse taken out and another put
    in, which tilts over the square. ``compressed``: blocks step by whole levels; else each sample sees the
    pulse. ``noise`` of each sample."""
    rng = np.random.default_rng(1)
    levels = rng.uniform(90.0, 140.0, (SIDE // 8, SIDE // 8))
    texture = rng.integers(-3, 4, (SIDE, SIDE))
    tilt = np.linspace(0.9, 1.1, SIDE, dtype=np.float32)[:, None] * np.ones(SIDE, np.float32)
    dither, source, out = Dither(key=181, still=still), [], []
    for index in range(FRAMES):
        seen = levels + PULSE[index]
        blocks = np.kron(np.rint(seen) if compressed else seen, np.ones((8, 8)))
        plane = np.rint(blocks + texture + rng.normal(0.0, noise, texture.shape)).astype(np.uint8)
        edit = fine((SHOWN - PULSE)[index] * tilt)
        source.append(block_means(plane))
        out.append(block_means(add_dithered(plane, edit, *dither.of(0, index + 7))))
    return np.stack(source), np.stack(out)


def likeness(first: np.ndarray, second: np.ndarray) -> float:
    return abs(float(np.corrcoef(first, second)[0, 1]))


def pulse_in(wave: np.ndarray) -> float:
    """Likeness to the pulse within a pulse's band: errors of the steps add up to a slow walk."""
    return likeness(band_pass(wave, FPS), PULSE)


@pytest.mark.parametrize("still", [False, True])
def test_steps_of_a_codec_give_the_true_pulse_back_whatever_the_thresholds(still: bool) -> None:
    source, out = written(still)
    assert standing_share(source) > 0.8
    assert pulse_in(out.mean(axis=1)) < 0.3  # the edit hides it from the mean
    edit = np.diff((out - source).mean(axis=1))
    for way in WAYS:
        assert likeness(common_steps(out)[way], edit) > 0.9, way
        assert pulse_in(without_edit(out)[way]) > 0.85, way


def test_noise_on_top_of_the_steps_does_not_hide_them() -> None:
    source, out = written(noise=1.5)
    assert standing_share(source) < 0.1
    assert pulse_in(without_edit(out)["trimmed"]) > 0.85


def test_what_every_block_does_alike_with_the_edit_is_not_found() -> None:
    source, out = written(noise=1.5, compressed=False)
    assert standing_share(source) < 0.1
    for way in WAYS:
        assert pulse_in(without_edit(out)[way]) < 0.4, way


def test_the_rates_are_read_beside_the_shown_one_by_plane() -> None:
    _, out = written()
    flat = np.zeros((FRAMES, 4)) + 1e-3 * np.sin(2 * np.pi * 1.4 * TIMES)[:, None]
    rates = rates_of([(y, v, v) for y, v in zip(out, flat, strict=True)], TIMES, 102.0)
    assert set(rates) == {name for names in ATTACKS.values() for name in names}
    assert all(abs(rates[name] - 66.0) < 1.0 for name in ATTACKS["luma"])
    assert abs(rates["y mean"] - 66.0) > 3.0
    assert abs(rates["v mean"] - 84.0) < 1.0


def test_the_mode_is_where_values_are_dense() -> None:
    rows = np.sort(
        np.array([[-9.0, 0.9, 1.0, 1.1, 4.0, 5.0, 7.0], [0.0, 2.0, 2.0, 2.0, 2.1, 9.0, 50.0]]), axis=1
    )
    assert half_sample_mode(rows) == pytest.approx([1.0, 2.0], abs=0.1)


def test_a_region_off_the_grid_is_refused() -> None:
    with pytest.raises(ValueError, match="blocks of 8 x 8"):
        block_means(np.zeros((16, 20), np.uint8))


def test_every_source_gives_each_frame_once_with_its_time() -> None:
    scene = draw_scenes(None, "test", 1, 0.3, 64)[0]
    drawn = render_frames(np.random.default_rng(0), scene.portrait(), scene.settings, 64)
    frames = [one.frame for one in drawn][:40]
    for name, codec in SOURCES.items():
        out = through(codec, frames)
        assert [one.seconds for one in out] == [one.seconds for one in frames], name
        error = [np.abs(a.y.astype(int) - b.y).mean() for a, b in zip(out, frames, strict=True)]
        assert max(error) < 6.0, name


def test_scenes_are_clear_of_the_shown_rate_and_move_in_turn() -> None:
    scenes = scenes_of(None, 5, 4.0)
    assert [one.settings.motion for one in scenes] == [*MOTION, MOTION[0]]
    assert all(abs(one.targets[0] - one.settings.hr) >= APART_BPM for one in scenes)


def read(name: str, motion: int, rate: float) -> Read:
    def rates(luma: float) -> Mapping[str, Mapping[str, Mapping[str, float]]]:
        each = {n: luma if n in ATTACKS["luma"] else 50.0 for names in ATTACKS.values() for n in names}
        ways = (UNFILTERED, PLANES, "vp8-1.5")
        return {source: dict.fromkeys(ways, each) for source in SOURCES}

    shares = dict.fromkeys(SOURCES, 0.5)
    return Read(name, motion, 80.0, 110.0, shares, shares, rates(rate), rates(60.0))


def test_figures_count_still_and_moving_heads_apart_and_the_page_tells_them(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(chance, "REPEATS", 100)
    figures = figures_of([read("a", 0, 81.0), read("b", 0, 60.0), read("c", 2, 79.0)])
    luma = figures["found"][PLANES]["MJPEG, quality 4"]["luma"]
    assert [luma[head]["found"] for head in ("still", "moving")] == [0.5, 1.0]
    assert luma["all"]["found"] == pytest.approx(2 / 3, abs=1e-3)
    camera = {name: 53.2 if name == "y mean" else 70.0 for names in ATTACKS.values() for name in names}
    figures["real"] = {
        **{"clip": "evm_face.mp4", "true": 53.0, "target": 90.0, "camera": camera},
        "found": {PLANES: {"seed 0": camera}},
    }
    meta = {"command": "it", "commit": "abc1234", "artifact": "x", "pulse": "clear", "size": 256}
    page = markdown(meta | {"scenes": 3, "seconds": 6.0, "subjects": 3}, figures)
    assert "| MJPEG, quality 4 | luma | still | 2 | 50% | 0% | 50.0 (0.0 to 100.0) |" in page
    assert "| vp8-1.5 | MJPEG, quality 4 | luma | 3 | 67% | 0% |" in page
    assert "| y median | 67% / 0% |" in page
    assert "| the planes, seed 0 | **53.2** | 70.0 |" in page


def test_the_study_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(study, "SIZE", 128)
    for module in (study, reading):
        monkeypatch.setattr(module, "SOURCES", {"MJPEG, quality 4": SOURCES["MJPEG, quality 4"]})
    words = ["--scenes", "1", "--seconds", "4", "--jobs", "1", "--received", "none,file"]
    words += ["--faces", str(tmp_path / "none"), "--clips", str(tmp_path / "none"), "--out", str(tmp_path)]
    assert main(words) == 0
    page = (tmp_path / "standing-blocks.md").read_text()
    assert (
        "| MJPEG, quality 4 | luma | still | 1 |" in page and "| file | MJPEG, quality 4 | luma | 1 |" in page
    )
    assert (tmp_path / "standing-blocks.json").is_file()


def test_the_real_clip_is_read_before_and_after_the_filter(
    shared_data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reading, "REAL_SEEDS", 1)
    found = real_clip(shared_data / "clips" / "evm_face.mp4", (PLANES,), "clear", 7.0)
    assert abs(found["camera"]["y mean"] - found["true"]) < 3.0
    assert abs(found["found"][PLANES]["seed 0"]["y mean"] - found["true"]) > 3.0


def test_bad_options_are_refused(capsys: pytest.CaptureFixture[str]) -> None:
    for words in (["--scenes", "0"], ["--received", "none,fax"]):
        with pytest.raises(SystemExit):
            main(words)
    assert "fax" in capsys.readouterr().err
