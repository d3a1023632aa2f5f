"""The generator at a camera's resolution, and known pulses on real clips."""

from __future__ import annotations

import os
from dataclasses import replace
from functools import lru_cache
from pathlib import Path

import numpy as np
import pytest

from model.data.film import generate_film_clip, load_film
from model.data.portrait import Portrait, builtin_portrait, face_box
from model.data.settings import ClipSettings
from model.data.video import frame_of, render_frames, render_video
from streamfilter.face.box import box_of
from streamfilter.face.crop import crop_rgb
from streamfilter.face.detect import FaceDetector
from streamfilter.frame import ColorSpec

SHARED = Path(os.environ.get("PHYSIOCAM_SHARED", str(Path(__file__).resolve().parents[1] / ".." / "shared")))
SETTINGS = ClipSettings(frames=5, strength=0.01, motion=0)


@lru_cache(maxsize=1)
def portrait() -> Portrait:
    return builtin_portrait()


def test_the_camera_s_frame_is_the_pulse_free_picture_times_one_plus_p() -> None:
    video = render_video(np.random.default_rng(0), portrait(), SETTINGS, size=192)
    for index, shot in enumerate(video.frames()):
        again = frame_of(shot.pulse_free * (1.0 + shot.p), shot.frame.pts, video.color)
        assert np.abs(again.y.astype(int) - shot.frame.y).max() <= 1
        assert (again.y != shot.frame.y).mean() < 0.01
        assert shot.frame.u.shape == (96, 96)
        assert shot.frame.seconds == pytest.approx(video.times[index], abs=1e-4)
        assert np.abs(shot.p[shot.skin == 0]).max() == 0.0
        assert np.abs(shot.p).max() < 0.05


def test_a_video_draws_the_same_frames_each_time() -> None:
    video = render_video(np.random.default_rng(1), portrait(), SETTINGS, size=96)
    for one, other in zip(video.frames(), video.frames(), strict=True):
        assert np.array_equal(one.frame.y, other.frame.y)
    first = next(render_frames(np.random.default_rng(1), portrait(), SETTINGS, size=96))
    assert np.array_equal(first.frame.y, next(video.frames()).frame.y)


def test_the_runtime_finds_the_face_where_the_training_crop_is() -> None:
    video = render_video(np.random.default_rng(2), portrait(), replace(SETTINGS, frames=2), size=320)
    found = FaceDetector().detect_frame(next(video.frames()).frame)
    assert len(found) == 1
    centre, half = face_box(box_of(found[0]))
    x, y, side = video.settings.view
    assert centre[0] == pytest.approx((1 - x / side) * 160, abs=12)
    assert centre[1] == pytest.approx((1 - y / side) * 160, abs=12)
    assert half == pytest.approx(160 / side, rel=0.1)


def test_a_grey_picture_makes_grey_planes_in_the_frame_s_range() -> None:
    grey = np.full((8, 6, 3), 0.5, np.float32)
    limited, full = frame_of(grey, 0, ColorSpec()), frame_of(grey, 0, ColorSpec(full_range=True))
    assert (limited.y[0, 0], full.y[0, 0]) == (round(16 + 219 / 2), 128)
    assert (limited.u == 128).all()
    assert limited.v.shape == (4, 3)


def test_a_real_clip_gets_the_pulse_of_the_label() -> None:
    path = SHARED / "data" / "clips" / "lp_d18.mp4"
    if not path.exists():
        pytest.skip(f"no {path}: the shared clips are not here (set PHYSIOCAM_SHARED)")
    film = load_film(path, most=64)
    settings = ClipSettings(frames=12, strength=0.01, noise=0.0)
    with_pulse = generate_film_clip(np.random.default_rng(0), film, settings)
    without = generate_film_clip(np.random.default_rng(0), film, replace(settings, strength=0.0))
    assert 0.1 < with_pulse.skin.mean() / 255 < 0.6
    difference = with_pulse.observed_rgb() - without.observed_rgb() * (1.0 + with_pulse.pulse())
    assert np.abs(difference).max() < 2 / 65535
    crop = crop_rgb(film.frames[0], film.boxes[0])
    assert np.abs(crop.mean() - with_pulse.observed_rgb().mean()) < 0.1
