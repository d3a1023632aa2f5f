"""The dither read backwards: it works on a public pattern, and not on secret thresholds."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from model.attackers import dither as study
from model.attackers.dither import DITHERS, Read, figures_of, main, markdown
from model.attackers.lattice import LatticeDither, components, noise_power, without_edit
from streamfilter.dither import Dither, add_dithered, fine

FRAMES, SIDE, TOP, LEFT = 240, 96, 31, 50
TIMES = np.arange(FRAMES) / 30.0
PULSE = 0.4 * np.sin(2 * np.pi * 1.1 * TIMES)  # levels, what the camera sees
SHOWN = 0.6 * np.sin(2 * np.pi * 1.7 * TIMES + 0.4)


def written(dither: Dither, noise: float = 1.2) -> np.ndarray:
    """A textured, pulsing, noisy square whose pulse is taken out and another put in."""
    rng = np.random.default_rng(1)
    texture = 120.0 + rng.normal(0.0, 1.0, (SIDE, SIDE))
    frames = []
    for index in range(FRAMES):
        seen = texture + PULSE[index] + rng.normal(0.0, noise, texture.shape)
        edit = np.full(texture.shape, SHOWN[index] - PULSE[index], np.float32)
        plane = np.rint(seen).astype(np.uint8)
        frames.append(add_dithered(plane, fine(edit), *dither.of(0, index + 7), top=TOP, left=LEFT))
    return np.stack(frames)


def likeness(first: np.ndarray, second: np.ndarray) -> float:
    return abs(float(np.corrcoef(first, second)[0, 1]))


@pytest.mark.parametrize("tiles", [1, 3])
def test_a_public_pattern_gives_the_true_pulse_back(tiles: int) -> None:
    regions = written(LatticeDither(key=181))
    assert likeness(regions.mean(axis=(1, 2)), PULSE) < 0.2  # the edit itself leaves nothing
    assert likeness(without_edit(regions, TOP, LEFT, tiles), PULSE) > 0.9


@pytest.mark.parametrize("still", [False, True])
def test_secret_thresholds_do_not(still: bool) -> None:
    regions = written(Dither(key=181, still=still))
    assert likeness(without_edit(regions, TOP, LEFT), PULSE) < 0.3


def test_samples_scatter_more_where_the_edit_is_half_a_level() -> None:
    regions = written(Dither(key=5), noise=0.6)
    fraction = (SHOWN - PULSE) % 1.0
    scatter = fraction * (1.0 - fraction)
    both = scatter + np.roll(scatter, 1)
    assert likeness(noise_power(regions)[1:], both[1:]) > 0.6


def test_components_find_what_samples_do_together() -> None:
    rng = np.random.default_rng(2)
    wave, share = np.sin(2 * np.pi * 0.9 * TIMES), rng.normal(0.0, 1.0, (SIDE, SIDE))
    regions = np.rint(120.0 + wave[:, None, None] * share + rng.normal(0.0, 0.5, (FRAMES, SIDE, SIDE)))
    found = components(regions.astype(np.uint8), 2)
    assert found.shape == (FRAMES, 2)
    assert likeness(found[:, 0], wave) > 0.95 and likeness(found[:, 1], wave) < 0.2


def test_figures_count_still_and_moving_heads_apart_and_the_page_tells_them() -> None:
    def read(name: str, motion: int, rate: float) -> Read:
        attacks = {attack: {"0": rate} for attack in ("mean alone", "lattice", "noise power", "components")}
        missed = {attack: {"0": 50.0} for attack in attacks}
        return Read(
            name, motion, 80.0, 110.0, dict.fromkeys(DITHERS, attacks), dict.fromkeys(DITHERS, missed)
        )

    figures = figures_of([read("a", 0, 81.0), read("b", 0, 60.0), read("c", 2, 79.0)])
    control = figures["public lattice (control)"]["lattice"]
    assert (control["still"]["found"], control["moving"]["found"]) == (0.5, 1.0)
    page = markdown(
        {"command": "it", "commit": "abc1234", "artifact": "x", "scenes": 3, "seconds": 6.0, "subjects": 3},
        figures,
    )
    assert "| public lattice (control) | lattice | still | 2 | 50% | 0% | 50.0 (0.0 to 100.0) |" in page


def test_the_study_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(study, "SIZE", 160)
    monkeypatch.setattr(study, "DITHERS", {"secret, drawn anew": Dither()})
    words = ["--scenes", "1", "--seconds", "5", "--jobs", "1", "--faces", str(tmp_path / "none")]
    assert main([*words, "--out", str(tmp_path)]) == 0
    assert "| secret, drawn anew | lattice |" in (tmp_path / "dither.md").read_text()
    assert (tmp_path / "dither.json").is_file()
