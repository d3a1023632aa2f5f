"""A natural pulse: drawn within what hearts and skins show, of the asked rate, gone at strength 0."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest

from streamfilter.cli.arguments import parse_arguments
from streamfilter.config import CLEAR, NATURAL, FilterSettings
from streamfilter.errors import UsageError
from streamfilter.face.box import FaceBox
from streamfilter.face.crop import crop_rgb
from streamfilter.face_filter import build_filter
from streamfilter.live.settings import LiveSettings
from streamfilter.natural_pulse import STRONGEST, WEAKEST, draw_natural_pulse
from streamfilter.rppg.estimators import ESTIMATORS
from streamfilter.rppg.heart_rate import heart_rate
from tests.face_scene import frame_of, scene

FPS = 30.0


def shown(bpm: float, seconds: float, seed: int, strength: float = 1.0) -> np.ndarray:
    pulse = draw_natural_pulse(np.random.default_rng(seed))
    times = np.arange(round(seconds * FPS)) / FPS
    turns = 2.0 * math.pi * times
    return np.stack([pulse.at(bpm / 60.0 * t, 0.25 * t, bpm, strength) for t in turns])


@pytest.mark.parametrize("seed", range(5))
def test_every_place_beats_at_the_rate(seed: int) -> None:
    change = shown(84.0, 12.0, seed)
    for cell in np.ndindex(3, 3, 3):
        assert heart_rate(change[:, *cell], FPS) == pytest.approx(84.0, abs=1.0)


def test_pulses_are_as_strong_as_real_ones_and_differ() -> None:
    pulses = [draw_natural_pulse(np.random.default_rng(seed)) for seed in range(200)]
    strengths = np.array([one.amplitude for one in pulses])
    assert strengths.min() >= WEAKEST and strengths.max() <= STRONGEST
    assert strengths.std() > 0.2 * strengths.mean()
    red = np.array([one.direction[0] / one.amplitude for one in pulses])
    assert 0.25 < red.min() < 0.38 < 0.48 < red.max() < 0.7


def test_the_mean_over_the_face_has_the_drawn_strength() -> None:
    for seed in range(20):
        green = shown(72.0, 20.0, seed)[:, 1].mean(axis=(1, 2))
        amplitude = draw_natural_pulse(np.random.default_rng(seed)).amplitude
        assert math.sqrt(2.0) * green.std() == pytest.approx(amplitude, rel=0.35)


def test_strength_scales_it_down_to_nothing() -> None:
    whole, half, none = (shown(72.0, 2.0, 1, strength) for strength in (1.0, 0.5, 0.0))
    np.testing.assert_allclose(half, 0.5 * whole, rtol=1e-5)
    assert not none.any()


def test_the_filter_shows_the_target_with_it() -> None:
    settings = FilterSettings(target_bpm=96.0, pulse=NATURAL, seed=3, hr_variability=0.0, beyond_face=False)
    video_filter = build_filter(settings)
    still = scene([(160.0, 120.0, 110.0)], 320, 240)
    box: FaceBox | None = None
    trace = []
    for index in range(330):
        made = video_filter.process(frame_of(still, index / FPS))
        box = box or next(iter(made.boxes.values()))
        trace.append(crop_rgb(made.frame, box)[:, 24:48, 24:48].mean(axis=(1, 2)))
    video_filter.close()
    for name in ("POS", "CHROM"):
        assert heart_rate(ESTIMATORS[name](np.array(trace[45:]), FPS), FPS) == pytest.approx(96.0, abs=2.0)


def test_it_is_written_without_flicker() -> None:
    still = scene([(160.0, 120.0, 110.0)], 320, 240)

    def flicker(pulse: str, strength: float) -> float:
        """Mean square change of V from frame to frame in the face's middle, grey levels squared."""
        settings = FilterSettings(pulse=pulse, strength=strength, seed=3, hr_variability=0.0)
        video_filter, planes = build_filter(settings), []
        for index in range(75):
            made = video_filter.process(frame_of(still, index / FPS))
            planes.append(made.frame.v[45:65, 70:90].astype(float))
        video_filter.close()
        return float(np.mean(np.diff(np.stack(planes[45:]), axis=0) ** 2))

    # The network's own pulse at half its strength is of the natural one's size.
    assert 0.0 < flicker(NATURAL, 1.0) < 0.5 * flicker(CLEAR, 0.5)


def test_another_word_is_refused() -> None:
    with pytest.raises(UsageError, match="clear, natural"):
        FilterSettings(pulse="strong")


def test_less_masking_goes_with_it_unless_a_share_is_given() -> None:
    assert FilterSettings().masking_share == 1.0
    assert FilterSettings(pulse=NATURAL).masking_share == 0.5
    assert FilterSettings(pulse=NATURAL, masking=1.0).masking_share == 1.0
    assert FilterSettings(masking=0.0).masking_share == 0.0
    with pytest.raises(UsageError, match="masking"):
        FilterSettings(masking=1.5)


def test_the_program_takes_it_for_files_and_cameras(tmp_path: Path) -> None:
    taken = parse_arguments(["--input", str(tmp_path / "a.mp4"), "--output", "null:", "--pulse", "natural"])
    assert taken.pulse == "natural"
    assert LiveSettings(pulse="natural").filter_settings().pulse == NATURAL
