"""The artifact's reader and writer: what goes in comes out, and every damage is found and named."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streamfilter.artifact import default_artifact_path, load_artifact, write_manifest
from streamfilter.contract import CONDITIONING, FORMAT_VERSION, MANIFEST, STEP_GRAPH
from streamfilter.errors import ArtifactError, UsageError
from streamfilter.manifest import format_manifest, parse_manifest


@pytest.fixture
def copy(tiny_artifact: Path, tmp_path: Path) -> Path:
    """An artifact of one's own, to damage."""
    return Path(shutil.copytree(tiny_artifact, tmp_path / "copy"))


def edit_manifest(folder: Path, edit: Callable[[dict[str, Any]], object]) -> None:
    data = json.loads((folder / MANIFEST).read_text())
    edit(data)
    (folder / MANIFEST).write_text(json.dumps(data))


def test_what_is_written_is_read(tiny_artifact: Path) -> None:
    artifact = load_artifact(tiny_artifact)
    assert artifact.path == tiny_artifact
    assert artifact.manifest.name == "tiny"
    assert set(artifact.manifest.files) == {STEP_GRAPH, CONDITIONING}
    assert [spec.name for spec in artifact.manifest.state_inputs()] == ["state.mean", "state.count"]
    assert artifact.graph == (tiny_artifact / STEP_GRAPH).read_bytes()
    assert artifact.conditioning.embedding.shape == (141, 4)


def test_a_manifest_survives_its_json(tiny_artifact: Path) -> None:
    manifest = load_artifact(tiny_artifact).manifest
    assert parse_manifest(format_manifest(manifest).encode(), Path("again.json")) == manifest


def test_rewriting_lists_new_hashes(copy: Path) -> None:
    manifest = load_artifact(copy).manifest
    (copy / "NOTICE.txt").write_text("who made the weights")
    written = write_manifest(copy, replace(manifest, files={"NOTICE.txt": ""}))
    assert load_artifact(copy).manifest == written
    assert set(written.files) == {STEP_GRAPH, CONDITIONING, "NOTICE.txt"}
    assert sorted(path.name for path in copy.iterdir()) == sorted([*written.files, MANIFEST])


def test_whole_rates_give_their_own_row(tiny_artifact: Path) -> None:
    artifact = load_artifact(tiny_artifact)
    for bpm in (40, 70, 180):
        text = artifact.text(bpm)
        assert text.shape == (1, 4)
        assert text.dtype == np.float32
        np.testing.assert_array_equal(text, np.float32(bpm / 100))


@settings(deadline=None, max_examples=50)
@given(bpm=st.floats(40, 180))
def test_rates_between_are_interpolated(tiny_artifact: Path, bpm: float) -> None:
    text = load_artifact(tiny_artifact).text(bpm)
    assert text.shape == (1, 4)
    assert text.dtype == np.float32
    np.testing.assert_allclose(text, bpm / 100, rtol=3e-7)


@pytest.mark.parametrize("bpm", [39.99, 180.01, -1.0, float("nan"), float("inf")])
def test_rates_outside_the_grid_are_refused(tiny_artifact: Path, bpm: float) -> None:
    with pytest.raises(UsageError, match="from 40 to 180"):
        load_artifact(tiny_artifact).text(bpm)


def test_a_returned_row_is_the_callers_own(tiny_artifact: Path) -> None:
    artifact = load_artifact(tiny_artifact)
    artifact.text(70)[:] = 0
    np.testing.assert_array_equal(artifact.text(70), np.float32(0.7))


def test_no_folder(tmp_path: Path) -> None:
    with pytest.raises(ArtifactError, match=r"no artifact folder at .*absent"):
        load_artifact(tmp_path / "absent")


@pytest.mark.parametrize("name", [MANIFEST, STEP_GRAPH, CONDITIONING])
def test_a_missing_file_is_named(copy: Path, name: str) -> None:
    (copy / name).unlink()
    with pytest.raises(ArtifactError, match=f"holds no {name}"):
        load_artifact(copy)


@pytest.mark.parametrize("name", [STEP_GRAPH, CONDITIONING])
@pytest.mark.parametrize("damage", ["flip", "truncate", "append", "empty"])
def test_damage_is_found(copy: Path, name: str, damage: str) -> None:
    content = bytearray((copy / name).read_bytes())
    if damage == "flip":
        content[len(content) // 2] ^= 1
    elif damage == "truncate":
        del content[-1:]
    elif damage == "append":
        content += b"\0"
    else:
        content.clear()
    (copy / name).write_bytes(content)
    with pytest.raises(ArtifactError, match=f"{name} is damaged"):
        load_artifact(copy)


def test_a_newer_format_asks_for_an_update(copy: Path) -> None:
    def edit(data: dict[str, Any]) -> None:
        data["format_version"] = FORMAT_VERSION + 1
        data["something_new"] = {}

    edit_manifest(copy, edit)
    with pytest.raises(ArtifactError, match="update physio-cam"):
        load_artifact(copy)


@pytest.mark.parametrize("content", [b"", b"{", b"\xff\xfe", b"[" * 100_000, b"weights"])
def test_a_manifest_that_is_not_json(copy: Path, content: bytes) -> None:
    (copy / MANIFEST).write_bytes(content)
    with pytest.raises(ArtifactError, match="is not JSON"):
        load_artifact(copy)


Edit = Callable[[dict[str, Any]], object]
BAD_MANIFESTS: dict[str, tuple[Edit, str]] = {
    "unknown key": (lambda d: d.update(extra=1), "unknown keys: extra"),
    "missing key": (lambda d: d.pop("licence"), "lacks licence"),
    "version of another type": (lambda d: d.update(format_version="1"), "format_version"),
    "version zero": (lambda d: d.update(format_version=0), "format_version"),
    "name": (lambda d: d.update(name=1), "name is not a string"),
    "crop size": (lambda d: d.update(crop_size=72.0), "crop_size is not a whole number"),
    "huge crop": (lambda d: d.update(crop_size=10**6), "outside 1 to 1024"),
    "context": (lambda d: d.update(context=-1), "context"),
    "no rate": (lambda d: d.update(nominal_fps=0), "nominal_fps"),
    "masking": (lambda d: d.update(masking=True), "masking is not a number"),
    "masking that shows": (lambda d: d.update(masking=0.5), "masking"),
    "masking NaN": (lambda d: d.update(masking=float("nan")), "masking"),
    "direction": (lambda d: d.update(pulse_direction=[1, 2]), "pulse_direction"),
    "direction too strong": (lambda d: d.update(pulse_direction=[0, 0.2, 0]), "pulse_direction"),
    "direction NaN": (lambda d: d["pulse_direction"].__setitem__(1, float("nan")), "pulse_direction"),
    "training": (lambda d: d.update(training=[]), "training is not an object"),
    "files": (lambda d: d.update(files=[]), "files is not an object"),
    "path outside": (lambda d: d["files"].update({"../x": "0" * 64}), "plain file name"),
    "short hash": (lambda d: d["files"].update({STEP_GRAPH: "00"}), "64 hexadecimal"),
    "graph not listed": (lambda d: d["files"].pop(STEP_GRAPH), "does not list step.onnx"),
    "grid empty": (lambda d: d.update(bpm_grid=[]), "bpm_grid"),
    "grid falls": (lambda d: d["bpm_grid"].reverse(), "bpm_grid"),
    "grid of fractions": (lambda d: d.update(bpm_grid=[40.5]), "bpm_grid"),
    "another grid": (lambda d: d["bpm_grid"].pop(), "differ in their heart rates"),
    "tensors": (lambda d: d.update(inputs={}), "inputs is not a list"),
    "tensor key": (lambda d: d["inputs"][0].update(layout="NCHW"), "name, shape, dtype"),
    "tensor dtype": (lambda d: d["inputs"][0].update(dtype="object"), "unknown dtype"),
    "tensor shape": (lambda d: d["inputs"][0].update(shape=[1, 3, 0, 72]), "positive whole numbers"),
    "tensor twice": (lambda d: d["inputs"].append(d["inputs"][0]), "twice"),
    "crop shape": (lambda d: d["inputs"][0].update(shape=[1, 3, 64, 64]), "'crop' should be"),
    "text missing": (lambda d: d["inputs"].pop(1), "'text' should be"),
    "text width": (lambda d: d["inputs"][1].update(shape=[1, 5]), "embeddings have 4 numbers"),
    "foreign input": (
        lambda d: d["inputs"].append({"name": "frame", "shape": [1], "dtype": "float32"}),
        "no engine would feed: frame",
    ),
    "state without next": (lambda d: d["outputs"].pop(1), r"'next\.mean' should be"),
    "foreign output": (
        lambda d: d["outputs"].append({"name": "next.other", "shape": [1], "dtype": "float32"}),
        r"belong to no state: next\.other",
    ),
}


@pytest.mark.parametrize("case", BAD_MANIFESTS)
def test_a_bad_manifest_says_what_is_wrong(copy: Path, case: str) -> None:
    edit, message = BAD_MANIFESTS[case]
    edit_manifest(copy, edit)
    with pytest.raises(ArtifactError, match=message):
        load_artifact(copy)


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"bpm": np.arange(40, 181)}, "no arrays bpm and embedding"),
        ({"bpm": np.arange(40, 181), "embedding": np.ones((140, 4), np.float32)}, r"should be \(N,\)"),
        ({"bpm": np.arange(40.0, 181.0), "embedding": np.ones((141, 4), np.float32)}, "integers"),
        ({"bpm": np.arange(40, 181), "embedding": np.ones((141, 4))}, "float32"),
        ({"bpm": np.arange(40, 181), "embedding": np.full((141, 4), np.nan, np.float32)}, "finite"),
        ({"bpm": np.arange(40, 181), "embedding": np.array([[{}]], dtype=object)}, "no arrays"),
    ],
)
def test_conditioning_that_does_not_fit(copy: Path, arrays: dict[str, Any], message: str) -> None:
    manifest = load_artifact(copy).manifest
    np.savez(copy / CONDITIONING, **arrays)
    write_manifest(copy, replace(manifest, files={}))
    with pytest.raises(ArtifactError, match=message):
        load_artifact(copy)


def test_conditioning_that_is_no_archive(copy: Path) -> None:
    manifest = load_artifact(copy).manifest
    (copy / CONDITIONING).write_bytes(b"PK\x03\x04 not really")
    write_manifest(copy, replace(manifest, files={}))
    with pytest.raises(ArtifactError, match="no arrays bpm and embedding"):
        load_artifact(copy)


def test_the_writer_refuses_what_the_reader_would(copy: Path) -> None:
    manifest = load_artifact(copy).manifest
    before = (copy / MANIFEST).read_bytes()
    with pytest.raises(ArtifactError, match="bpm_grid"):
        write_manifest(copy, replace(manifest, bpm_grid=()))
    (copy / STEP_GRAPH).unlink()
    with pytest.raises(ArtifactError, match="holds no step"):
        write_manifest(copy, manifest)
    assert (copy / MANIFEST).read_bytes() == before


def test_the_packaged_artifact_loads() -> None:
    artifact = load_artifact()
    assert artifact.path == default_artifact_path()
    assert artifact.manifest.crop_size == 72
    assert artifact.text(70).shape[0] == 1
    assert artifact.manifest.bpm_grid[0] <= 40
    assert artifact.manifest.bpm_grid[-1] >= 180
    size = sum(path.stat().st_size for path in artifact.path.iterdir())
    assert size <= 8e6, f"the packaged artifact is {size / 1e6:.1f} MB, more than 8"
