"""The small plain dataset: what is written is what the plain reader gives back."""

from __future__ import annotations

from pathlib import Path

import pytest

from model.datasets.registry import open_dataset
from model.evaluate.paper import footage
from tests.made_video import film


@pytest.mark.timeout(200)
def test_generated_known_and_planted_clips_are_read_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clips = tmp_path / "clips"
    clips.mkdir()
    film(clips / "evm_face.mkv", 1.0)
    film(clips / "other.mkv", 1.0)
    film(clips / "quiet.mkv", 7.2, strength=0.0)
    monkeypatch.setattr(footage, "PLANTED", ("quiet.mkv", "absent.mkv"))
    made = open_dataset("plain", footage.make(tmp_path / "set", None, clips, 1, 2.0))
    found = {clip.attributes["source"]: clip for clip in made.clips}
    assert len(made.clips) == 3
    assert found["real"].name == "evm_face" and found["real"].heart_rate() == 53.0
    planted = found["real, pulse planted"]
    wave, rate = planted.pulse(), planted.heart_rate()
    assert wave is not None and rate is not None and 45.0 < rate < 115.0
    assert len(wave.times) == len(planted.times()) == 108
    assert found["generated"].pulse() is not None
    assert not (tmp_path / "set" / ".planting").exists()


def test_without_shared_data_there_are_generated_clips(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    nowhere = str(tmp_path / "nowhere")
    given = [str(tmp_path / "set"), "--generated", "1", "--seconds", "1", "--faces", nowhere]
    assert footage.main([*given, "--clips", nowhere]) == 0
    assert "nowhere is not there" in capsys.readouterr().err
    assert len(open_dataset("plain", tmp_path / "set").clips) == 1
    assert footage.main([*given, "--clips", nowhere]) != 0
    assert "is there already" in capsys.readouterr().err
