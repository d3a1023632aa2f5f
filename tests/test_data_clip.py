"""The exact-label generator: labels, determinism, motion, ranges, codecs. Built-in portrait only."""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache

import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from model.data.clip import CROP, generate_clip, plan, pulse_free
from model.data.label import crop_basis, in_crop, monomials, smooth_map, smooth_strength
from model.data.portrait import Portrait, builtin_portrait
from model.data.process import grid
from model.data.pulse import draw_pulse
from model.data.settings import ClipSettings, Codec, draw_settings
from streamfilter.errors import UsageError


@lru_cache(maxsize=1)
def portrait() -> Portrait:
    return builtin_portrait()


QUIET = ClipSettings(frames=40, noise=0.0, motion=3, strength=0.01, sheen=0.1, screen_beat=0.005)


def test_before_noise_the_observed_picture_is_the_pulse_free_one_times_one_plus_p() -> None:
    clip = generate_clip(np.random.default_rng(3), portrait(), QUIET)
    clean, skin = pulse_free(plan(np.random.default_rng(3), portrait(), QUIET, CROP), CROP, 2)
    assert np.array_equal(skin, clip.skin)
    pulse = clip.pulse()
    assert np.abs(pulse).max() > 0.005
    assert np.abs(clip.observed_rgb() - clean * (1.0 + pulse)).max() <= 0.51 / 65535


def test_the_same_seed_gives_the_same_clip_and_another_seed_another() -> None:
    settings = replace(QUIET, noise=2.0)
    one, same, other = (generate_clip(np.random.default_rng(s), portrait(), settings) for s in (5, 5, 6))
    assert np.array_equal(one.observed, same.observed)
    assert np.array_equal(one.field, same.field)
    assert not np.array_equal(one.observed, other.observed)


def test_the_pulse_free_picture_does_not_depend_on_the_pulse_s_strength() -> None:
    with_pulse = plan(np.random.default_rng(1), portrait(), QUIET, CROP)
    without = plan(np.random.default_rng(1), portrait(), replace(QUIET, strength=0.0), CROP)
    # Breathing's baseline scales with the pulse, and is the only difference.
    a, b = pulse_free(with_pulse, CROP, 2)[0], pulse_free(without, CROP, 2)[0]
    assert np.abs(a / np.maximum(b, 1e-3) - 1.0).max() < 0.01
    assert np.abs(without.field).max() == 0.0


@given(hr=st.floats(45, 170), seed=st.integers(0, 1000))
@hypothesis_settings(max_examples=25, deadline=None)
def test_the_bvp_s_heart_rate_is_the_label(hr: float, seed: int) -> None:
    times = np.arange(600) / 30.0
    pulse = draw_pulse(np.random.default_rng(seed), grid(20.0), times, hr)
    beats = (pulse.phase[-1] - pulse.phase[0]) / (2 * np.pi)
    assert beats / times[-1] * 60.0 == pytest.approx(hr, abs=1.0)
    assert pulse.rate.mean() == pytest.approx(hr, abs=1.0)
    # The slope is the wave's: its integral gives the wave back.
    rebuilt = pulse.bvp[0] + np.concatenate([[0], np.cumsum((pulse.slope[1:] + pulse.slope[:-1]) / 60.0)])
    assert np.corrcoef(rebuilt, pulse.bvp)[0, 1] > 0.98


def test_a_steady_bvp_s_strongest_frequency_is_the_heart_rate() -> None:
    for hr in (50.0, 84.0, 150.0):
        pulse = draw_pulse(np.random.default_rng(2), grid(20.0), np.arange(600) / 30.0, hr)
        spectrum = np.abs(np.fft.rfft((pulse.bvp - pulse.bvp.mean()) * np.hanning(600), 8192))
        assert np.argmax(spectrum) * 30.0 / 8192 * 60.0 == pytest.approx(hr, abs=4.0)


def test_higher_motion_levels_move_more() -> None:
    moved = []
    for level in range(5):
        total = 0.0
        for seed in range(3):
            settings = replace(QUIET, motion=level, fps=10.0, frames=30)
            skin = generate_clip(np.random.default_rng(seed), portrait(), settings).skin.astype(float)
            total += float(np.abs(skin - skin.mean(axis=0)).mean())
        moved.append(total)
    assert moved[0] < moved[1] < moved[3]
    assert moved[0] < moved[2] < moved[4]
    assert moved[4] > 5 * moved[0]


@pytest.mark.parametrize("seed", range(6))
def test_random_settings_give_finite_pictures_in_range(seed: int) -> None:
    rng = np.random.default_rng(seed)
    clip = generate_clip(rng, portrait(), draw_settings(rng, portrait().ita, frames=16, codec="none"))
    rgb, pulse = clip.observed_rgb(), clip.pulse()
    assert np.isfinite(rgb).all()
    assert np.isfinite(pulse).all()
    assert 0.02 < rgb.mean() < 0.95
    assert np.abs(pulse).max() < 0.05
    assert clip.skin.max() > 200
    assert 0.08 < clip.skin.mean() / 255 < 0.6
    assert (clip.dt > 0).all()
    assert clip.dt[1:].sum() == pytest.approx(clip.times[-1] - clip.times[0], rel=1e-4)


@pytest.mark.parametrize("codec", ["mjpeg", "h264", "vp8"])
def test_a_codec_s_round_trip_keeps_the_picture_and_the_label(codec: Codec) -> None:
    settings = replace(QUIET, codec=codec, codec_size=144, frames=8, strength=0.0)
    coded = generate_clip(np.random.default_rng(4), portrait(), settings)
    plain = generate_clip(np.random.default_rng(4), portrait(), replace(settings, codec="none"))
    assert np.array_equal(coded.field, plain.field)
    error = coded.observed_rgb() - plain.observed_rgb()
    assert 0.0 < np.sqrt((error**2).mean()) < 0.06
    assert np.abs(coded.skin.astype(int) - plain.skin.astype(int)).mean() < 6


def test_cubics_stay_exact_under_a_change_of_coordinates() -> None:
    rng = np.random.default_rng(0)
    coefficients = smooth_map(rng)
    affine = np.array([[[0.9, 0.1, 0.2], [-0.1, 1.1, -0.3]]])
    size = 12
    axis = (np.arange(size) + 0.5) / size * 2 - 1
    y, x = np.meshgrid(axis, axis, indexing="ij")
    u, v = 0.9 * x + 0.1 * y + 0.2, -0.1 * x + 1.1 * y - 0.3
    drawn = np.tensordot(in_crop(coefficients, affine)[0], crop_basis(size), 1)
    assert np.abs(drawn - monomials(u, v) @ coefficients).max() < 1e-5


def test_a_pulse_that_falls_towards_the_edge_keeps_its_mean() -> None:
    axis = np.linspace(-0.8, 0.8, 401)
    y, x = np.meshgrid(axis, axis, indexing="ij")
    strength, _ = smooth_strength(np.random.default_rng(0), 0.01, 0.0, 0.0, edge=0.5)
    drawn = monomials(x, y) @ strength
    assert drawn.mean() == pytest.approx(0.01, rel=0.01)
    assert drawn[200, 200] - drawn[200, 0] == pytest.approx(0.01 * 0.5 * 0.8**2)


def test_settings_out_of_range_are_refused() -> None:
    with pytest.raises(UsageError, match="motion"):
        ClipSettings(motion=5)
    with pytest.raises(UsageError, match="heart rate"):
        ClipSettings(hr=300.0)
