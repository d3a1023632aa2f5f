"""Each reader gives back exactly what files in its layout were made of, and refuses other layouts."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from model.datasets.__main__ import main
from model.datasets.protocol import DatasetClip, DatasetError
from model.datasets.registry import DATASETS, open_dataset
from streamfilter.errors import UsageError
from tests.datasets import layouts
from tests.datasets.layouts import BPM, Truth

MAKERS: dict[str, Callable[[Path], Truth]] = {
    "pure": layouts.pure,
    "ubfc1": layouts.ubfc1,
    "ubfc2": layouts.ubfc2,
    "ubfc-phys": layouts.ubfc_phys,
    "cohface": layouts.cohface,
    "scamps": layouts.scamps,
    "mmpd": layouts.mmpd,
    "plain": layouts.plain,
}


def only(name: str, folder: Path) -> DatasetClip:
    (clip,) = open_dataset(name, folder).clips
    return clip


def test_every_dataset_has_a_layout_to_read_back() -> None:
    assert set(MAKERS) == set(DATASETS)


@pytest.mark.parametrize("name", sorted(MAKERS))
def test_a_clip_is_read_back_exactly(name: str, tmp_path: Path) -> None:
    truth = MAKERS[name](tmp_path)
    clip = only(name, tmp_path)
    assert (clip.name, clip.subject) == (truth.name, truth.subject)
    np.testing.assert_array_equal(clip.load(), truth.frames)
    np.testing.assert_allclose(clip.times(), truth.times, atol=1e-6)
    pulse = clip.pulse()
    assert pulse is not None
    np.testing.assert_array_equal(pulse.values, truth.bvp)
    np.testing.assert_allclose(pulse.times, truth.bvp_times, atol=1e-9)


@pytest.mark.parametrize("name", sorted(set(MAKERS) - {"pure"}))
def test_the_heart_rate_is_that_of_the_wave(name: str, tmp_path: Path) -> None:
    MAKERS[name](tmp_path)
    rate = only(name, tmp_path).heart_rate()
    assert rate is not None
    assert abs(rate - BPM) < 0.5


@pytest.mark.parametrize("name", sorted(MAKERS))
def test_some_pictures_are_those_of_all(name: str, tmp_path: Path) -> None:
    truth = MAKERS[name](tmp_path)
    np.testing.assert_array_equal(only(name, tmp_path).load(1, 3), truth.frames[1:3])


@pytest.mark.parametrize("name", sorted(MAKERS))
def test_an_empty_folder_is_refused_with_the_layout(name: str, tmp_path: Path) -> None:
    with pytest.raises(DatasetError) as refused:
        open_dataset(name, tmp_path)
    assert DATASETS[name].layout in str(refused.value)
    assert str(tmp_path) in str(refused.value)


def test_attributes_are_the_datasets_words(tmp_path: Path) -> None:
    for name, maker in MAKERS.items():
        maker(tmp_path / name)
    told = {name: dict(only(name, tmp_path / name).attributes) for name in MAKERS}
    assert told["pure"]["task"] == "talking"
    assert told["ubfc-phys"] == {"task": "speech", "sex": "f", "group": "ctrl"}
    assert told["cohface"] == {"light": "natural", "session": "2", "sex": "female"}
    assert told["mmpd"]["motion"] == "Walking"  # the first release's error is put right
    assert told["mmpd"]["skin tone"] == "5"
    assert told["plain"] == {"light": "window"}


def test_cohface_hands_out_its_own_protocols(tmp_path: Path) -> None:
    layouts.cohface(tmp_path)
    official = open_dataset("cohface", tmp_path).official
    assert official == {"all": {"train": ("1/0", "1/1"), "test": ("12/2",)}}


def test_pure_with_its_pictures_beside_the_json(tmp_path: Path) -> None:
    truth = layouts.pure(tmp_path, inner=False)
    np.testing.assert_array_equal(only("pure", tmp_path).load(), truth.frames)


def test_scamps_with_the_cropped_pictures_only(tmp_path: Path) -> None:
    truth = layouts.scamps(tmp_path, pictures_in="Xsub")
    np.testing.assert_array_equal(only("scamps", tmp_path).load(), truth.frames)


def test_mmpd_that_is_not_packed(tmp_path: Path) -> None:
    truth = layouts.mmpd(tmp_path, packed=False)
    np.testing.assert_array_equal(only("mmpd", tmp_path).load(), truth.frames)


def test_subjects_in_order_of_their_numbers(tmp_path: Path) -> None:
    for name in ("subject10", "subject9"):
        layouts.ubfc2(tmp_path, name)
    assert open_dataset("ubfc2", tmp_path).subjects == ("9", "10")


MISSING = {
    "pure": "01-02/01-02.json",
    "ubfc2": "subject10/vid.avi",
    "ubfc1": "5-gt/gtdump.xmp",
    "ubfc-phys": "s3/bvp_s3_T2.csv",
    "cohface": "12/2/data.hdf5",
    "plain": "wave.csv",
}


@pytest.mark.parametrize("name", sorted(MISSING))
def test_a_missing_file_is_named(name: str, tmp_path: Path) -> None:
    MAKERS[name](tmp_path)
    (tmp_path / MISSING[name]).unlink()
    with pytest.raises(DatasetError, match="missing") as refused:
        open_dataset(name, tmp_path)
    assert MISSING[name] in str(refused.value)


WRONG = {
    "pure": ("01-02/01-02.json", b'{"/FullPackage": [{"Timestamp": 1}]}'),
    "ubfc1": ("5-gt/gtdump.xmp", b"0,72,98\n16,72,98\n"),
    "ubfc2": ("subject10/ground_truth.txt", b"1 2 3\n72 72 72\n"),
    "ubfc-phys": ("s3/bvp_s3_T2.csv", b"bvp\n1.0\n"),
    "cohface": ("12/2/data.hdf5", b"not HDF5"),
    "scamps": ("P000007.mat", b"not HDF5"),
    "mmpd": ("subject4/p4_3.mat", b"not MATLAB" * 30),
    "plain": ("wave.csv", b"seconds,bvp\n0,1\n"),
}


@pytest.mark.parametrize("name", sorted(WRONG))
def test_a_wrong_file_is_named(name: str, tmp_path: Path) -> None:
    MAKERS[name](tmp_path)
    path, content = WRONG[name]
    (tmp_path / path).write_bytes(content)
    with pytest.raises(DatasetError) as refused:
        only(name, tmp_path).pulse()
    assert path in str(refused.value)
    assert DATASETS[name].layout in str(refused.value)


def test_times_that_fall_are_refused_and_repeated_ones_dropped(tmp_path: Path) -> None:
    layouts.ubfc1(tmp_path)
    path = tmp_path / "5-gt" / "gtdump.xmp"
    path.write_text("0,72,98,1\n16,72,98,2\n16,72,98,3\n32,72,98,4\n")
    pulse = only("ubfc1", tmp_path).pulse()
    assert pulse is not None
    assert pulse.values.tolist() == [1.0, 2.0, 4.0]
    path.write_text("0,72,98,1\n16,72,98,2\n15,72,98,3\n")
    with pytest.raises(DatasetError, match="fall at sample 2"):
        only("ubfc1", tmp_path).pulse()


def test_a_mat_file_cut_off_is_refused(tmp_path: Path) -> None:
    layouts.mmpd(tmp_path)
    path = tmp_path / "subject4" / "p4_3.mat"
    clip = only("mmpd", tmp_path)
    content = path.read_bytes()
    path.write_bytes(content[:4000])
    with pytest.raises(DatasetError, match="cut off"):
        clip.load()


def test_a_name_that_is_not_known(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="choose from"):
        open_dataset("ubfc", tmp_path)


def test_two_clips_of_one_name_are_refused(tmp_path: Path) -> None:
    layouts.plain(tmp_path)
    with (tmp_path / "clips.csv").open("a") as file:
        file.write("films/one.avi,berta,,60,\n")
    with pytest.raises(DatasetError, match="same name"):
        open_dataset("plain", tmp_path)


def test_the_command_lists_and_verifies(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    layouts.ubfc2(tmp_path, "subject1")
    layouts.ubfc2(tmp_path, "subject3", count=7)
    assert main(["ubfc2", str(tmp_path), "--verify", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["total"]["clips"] == 2
    assert [clip["frames"] for clip in told["clips"]] == [5, 7]
    assert told["clips"][0]["size"] == [32, 24]
    assert abs(told["clips"][0]["bpm"] - BPM) < 0.5


def test_the_command_says_what_cannot_be_read(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    layouts.ubfc2(tmp_path, "subject1")
    layouts.ubfc2(tmp_path, "subject3")
    (tmp_path / "subject3" / "vid.avi").write_bytes(b"no video")
    assert main(["ubfc2", str(tmp_path)]) == 1
    shown = capsys.readouterr()
    assert "subject3" in shown.err
    assert "1 clips of 1 subjects" in shown.out
    shutil.rmtree(tmp_path / "subject1")
    shutil.rmtree(tmp_path / "subject3")
    assert main(["ubfc2", str(tmp_path)]) == DatasetError.exit_code
    assert "ground_truth.txt" in capsys.readouterr().err
