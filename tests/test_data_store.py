"""Clips on disk, the windows training reads, the split by identity, and the script that makes them."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from model.data.clip import Clip, generate_clip
from model.data.portrait import builtin_portrait
from model.data.settings import ClipSettings
from model.data.splits import SPLITS, require_split, split_of
from model.data.store import ClipDataset, read_clip, write_shard
from streamfilter.errors import UsageError

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="module")
def clip() -> Clip:
    settings = ClipSettings(frames=24, strength=0.008)
    return generate_clip(np.random.default_rng(0), builtin_portrait(), settings)


def test_a_clip_comes_back_from_disk_as_it_was(clip: Clip, tmp_path: Path) -> None:
    write_shard(tmp_path, [clip])
    back = read_clip(tmp_path, "00000")
    assert np.array_equal(back.observed, clip.observed)
    assert np.array_equal(back.pulse(), clip.pulse())
    assert (back.settings, back.hr, back.identity) == (clip.settings, clip.hr, clip.identity)


def test_windows_hold_the_clip_and_its_exact_label_at_the_same_frames(clip: Clip, tmp_path: Path) -> None:
    write_shard(tmp_path, [clip, clip])
    data = ClipDataset(tmp_path, window=10, start=7)
    assert len(data) == 2
    item = data[1]
    assert item["observed"].shape == (10, 3, 72, 72)
    assert item["observed"].dtype == torch.float32
    assert item["skin"].shape == (10, 1, 72, 72)
    assert np.allclose(item["observed"].numpy(), clip.observed_rgb()[7:17].transpose(0, 3, 1, 2), atol=1e-6)
    assert np.allclose(item["p"].numpy(), clip.pulse()[7:17].transpose(0, 3, 1, 2), atol=1e-7)
    assert np.allclose(item["bvp"].numpy(), clip.bvp[7:17])
    assert float(item["hr"]) == pytest.approx(clip.hr)
    batch = torch.utils.data.default_collate([data[0], data[1]])
    assert batch["p"].shape == (2, 10, 3, 72, 72)


def test_an_unfinished_clip_is_not_read(clip: Clip, tmp_path: Path) -> None:
    write_shard(tmp_path, [clip])
    np.save(tmp_path / "00001.observed.npy", clip.observed)
    (tmp_path / "00001.part.npz").write_bytes(b"half")
    assert len(ClipDataset(tmp_path, window=8)) == 1


def test_a_folder_without_clips_or_a_window_too_long_is_refused(clip: Clip, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no clips"):
        ClipDataset(tmp_path)
    write_shard(tmp_path, [clip])
    with pytest.raises(UsageError, match="window of 25"):
        ClipDataset(tmp_path, window=25)[0]


def test_splits_follow_the_identity_s_number_and_do_not_overlap() -> None:
    groups = ("female_asian", "male_white", "male_black")
    names = [f"{group}_{n:02d}" for group in groups for n in range(29)]
    names += ["evm_face", "lp_d3", "lp_d19", "clm_franck", "astronaut", "hschn58_75_light"]
    by_split = {split: {n for n in names if split_of(n) == split} for split in SPLITS}
    assert sum(len(s) for s in by_split.values()) == len(set(names))
    assert {"male_white_24", "female_asian_28", "evm_face", "hschn58_75_light"} <= by_split["test"]
    assert {"male_white_22", "male_white_23", "lp_d19"} <= by_split["val"]
    assert {"male_white_21", "female_asian_00", "astronaut", "lp_d3"} <= by_split["train"]


def test_footage_of_another_split_is_refused() -> None:
    require_split("male_white_24", "test")
    with pytest.raises(UsageError, match="male_white_24"):
        require_split("male_white_24", "train")


def test_the_script_resumes_and_makes_the_same_clips(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = ROOT / "scripts" / "make_training_data.py"
    spec = importlib.util.spec_from_file_location("make_training_data", path)
    assert spec is not None
    assert spec.loader is not None
    script = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = script  # dataclasses look their module up
    spec.loader.exec_module(script)

    def run(out: Path, count: int) -> str:
        assert script.main(["--out", str(out), "--count", str(count), "--frames", "6", "--seed", "1"]) == 0
        return capsys.readouterr().out

    run(tmp_path / "a", 1)
    assert "1/1" in run(tmp_path / "a", 2)
    run(tmp_path / "b", 2)
    for name in ("00000", "00001"):
        one, other = read_clip(tmp_path / "a", name), read_clip(tmp_path / "b", name)
        assert np.array_equal(one.observed, other.observed)
