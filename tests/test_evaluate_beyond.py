"""The measurement beyond the face: what is planted is what is read, and the page holds it."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

from model.data.pulse import Pulse
from model.evaluate.beyond import main, scenes
from model.evaluate.beyond_report import write
from model.evaluate.beyond_run import STRENGTH, _means, plant
from model.evaluate.beyond_scenes import NEAR, ComposedScene, Moment, face_regions, frame_of
from streamfilter.face.box import FaceBox


def still_moment() -> Moment:
    picture = np.empty((120, 160, 3), np.float32)
    picture[:] = (190.0, 135.0, 110.0)
    hand = np.zeros((60, 80), np.float32)
    hand[10:50, 50:75] = 1.0
    face = np.zeros((60, 80), np.float32)
    face[10:50, 5:35] = 1.0
    return Moment(frame_of(picture, 0.0), FaceBox(40.0, 60.0, 60.0), {"face": face, "hand": hand})


def test_each_region_gets_the_pulse_with_its_own_delay_and_nothing_else_changes() -> None:
    clock = np.arange(0.0, 20.0, 0.01)
    wave = np.sin(2 * np.pi * 1.0 * clock)
    pulse = Pulse(wave, wave, wave, 60.0, wave, wave)
    moment = still_moment()
    seen = []
    for index in range(90):
        made = plant(moment, pulse, clock, index / 30, {"hand": 250.0}, index)
        elsewhere = (slice(0, 120), slice(80, 92))
        np.testing.assert_array_equal(made.y[elsewhere], moment.frame.y[elsewhere])
        means = _means(made, moment.skin)
        seen.append([means["face"][1], means["hand"][1]])
    relative = np.array(seen) / np.mean(seen, axis=0) - 1.0
    angle = 2 * np.pi * np.arange(90) / 30
    phases = [np.angle(np.exp(-1j * angle) @ column) for column in relative.T]
    late = (phases[0] - phases[1]) % (2 * np.pi) / (2 * np.pi)
    assert abs(late - 0.25) < 0.03
    amplitude = np.sqrt(2) * relative.std(axis=0)
    np.testing.assert_allclose(amplitude, STRENGTH, rtol=0.15)


def test_the_regions_of_the_crop_do_not_overlap() -> None:
    inside, oval, near = face_regions((180, 320), FaceBox(300.0, 180.0, 160.0))
    assert not (oval * near).any() and not (near * (1 - inside)).any()
    assert near.sum() > 100 and oval.sum() > near.sum()


def test_a_composed_scene_shows_a_face_and_skin_off_its_crop() -> None:
    moment = next(ComposedScene(None, 0.0, {NEAR: 20.0, "chest": 40.0, "hand": 90.0}).moments())
    inside, _, _ = face_regions(moment.frame.u.shape, moment.box)
    for name in ("chest", "hand"):
        assert moment.skin[name].sum() > 200
        assert not (moment.skin[name] * inside).any()


def test_without_the_shared_data_the_built_in_portrait_is_left(tmp_path: Path) -> None:
    assert [scene.name for scene in scenes(tmp_path, tmp_path)] == ["portrait, hand at rest"]
    words = ["--clips", str(tmp_path), "--faces", str(tmp_path), "--only", "nobody", "--out", str(tmp_path)]
    assert main(words) == 1


def test_the_page_says_what_was_measured(tmp_path: Path) -> None:
    way = {
        "rates": {"POS": 70.0, "PCA": None},
        "notch": {"POS": 55.5, "PCA": None},
        "at_target": 1,
        "at_true": 0,
        "hits": 0,
        "coherence": 0.125,
        "left": 0.5,
    }
    result = {
        "name": "a scene",
        "true": 80.0,
        "target": 70.0,
        "seconds": 9.5,
        "share_beyond": 0.25,
        "regions": {"hand": {"delay_ms": 90.0, "ways": {"before": way, "beyond": way}}},
        "picture": {"psnr_changed": None, "ssim": 0.999},
    }
    cost = {"chest": {"best": 2.0, "median": 3.0, "share": 0.2}}
    meta = {"artifact": "mine", "command": "run", "cost": cost}
    page = write(tmp_path, [result], meta).read_text()
    assert "| hand, 90 ms | before | 0.12 | 0.50 | 70 / – | 56 / – |" in page
    assert "| beyond the crop | beyond | 1 | 0.12 | 0.50 | 0 of 4 | 1 of 4 | 0 of 4 |" in page
    assert json.loads((tmp_path / "beyond-the-face.json").read_text())["scenes"] == [result]
