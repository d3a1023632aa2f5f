"""A public dataset's clips train the reference setting: crops, skin and wave as the trainer reads them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from model.data.store import clip_names, read_clip
from model.datasets.protocol import DatasetError
from model.datasets.training import main
from model.reference import train
from streamfilter.rppg.filters import band_pass
from streamfilter.rppg.heart_rate import heart_rate
from tests.paper.test_paper import FPS, TRUE, subject


@pytest.fixture(scope="module")
def clips(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("training")
    subject(place / "ubfc", 3, 8.2)
    subject(place / "ubfc", 4, 2.0)  # too short
    words = ["ubfc2", str(place / "ubfc"), "--out", str(place / "clips"), "--cache", str(place / "cache")]
    assert main([*words, "--part", "all", "--seconds", "6"]) == 1
    return place / "clips"


def test_a_clip_holds_face_skin_and_contact_wave(clips: Path) -> None:
    assert clip_names(clips) == ["subject3"]
    clip = read_clip(clips, "subject3")
    assert clip.observed.shape == (90, 72, 72, 3) and clip.skin.shape == (90, 72, 72)
    assert (clip.identity, round(1 / float(np.median(clip.dt)))) == ("ubfc2-3", FPS)
    assert abs(clip.hr - TRUE) < 4.0
    weight = clip.skin[..., None] / 255.0
    green = (clip.observed_rgb() * weight).sum((1, 2))[:, 1] / weight.sum((1, 2))[:, 0]
    assert abs(heart_rate(green, FPS) - TRUE) < 6.0
    label = (clip.pulse() * weight).sum((1, 2))[:, 1] / weight.sum((1, 2))[:, 0]
    moved = band_pass(green / green.mean() - 1.0, FPS)
    assert np.std(moved - label) < 0.5 * np.std(moved)  # the label is what the face does
    assert 0.001 < clip.settings.strength < 0.02
    assert np.diff(clip.phase).mean() * FPS * 60 / (2 * np.pi) == pytest.approx(TRUE, abs=6.0)


def test_the_reference_setting_trains_on_it(clips: Path, tmp_path: Path) -> None:
    toml = tmp_path / "editor.toml"
    toml.write_text(
        '[vae]\nkind = "compact"\nsource = "untrained"\n'
        "[network]\ntext_dim = 64\ncondition = 8\nwidth = 8\nheads = 2\nblocks = 1\n"
        "[window]\nframes = 64\nbatch = 1\n[optimiser]\nsteps = 2\n"
        '[report]\nvalidation_clips = 1\n[text]\nencoder = "numeric"\n'
    )
    data = ["--data", str(clips), "--val", str(clips), "--out", str(tmp_path / "run")]
    assert train.main(["--settings", str(toml), *data, "--cpu", "--threads", "1"]) == 0
    assert (tmp_path / "run" / "last.pt").is_file()


def test_wrong_use_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SystemExit):
        main(["ubfc2", str(tmp_path), "--out", str(tmp_path / "out"), "--seconds", "40"])
    assert main(["ubfc2", str(tmp_path), "--out", str(tmp_path / "out")]) == DatasetError.exit_code
