"""The reference network as a window artifact: exported by the command, run by the window mode."""

from __future__ import annotations

import dataclasses
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnx.numpy_helper
import pytest
import torch

from export.__main__ import main
from export.window import TOLERANCE, export_window, window_parity
from model.reference import checkpoint, pretrain
from model.reference.checkpoint import load_trained
from model.reference.compact import CompactSettings, CompactVae
from model.reference.files import save_content
from model.reference.network import ReferenceNetwork, fingerprint
from model.reference.pretrained import CLASSES, load_vae, wrap
from model.reference.settings import EditorSettings, ReferenceSettings, VaeSettings
from model.text import NumericText, conditioning_table
from streamfilter.cli.main import main as physio_cam
from streamfilter.contract import MANIFEST
from streamfilter.errors import ArtifactError, UsageError
from streamfilter.window import contract
from streamfilter.window.artifact import load_window_artifact
from streamfilter.window.engine import WindowEngine
from tests.test_reference import CONFIGS
from tests.test_window_files import face_clip, read

EDITOR = EditorSettings(text_dim=64, condition=8, width=8, heads=2, blocks=1)


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The checkpoint of a small compact editor with random weights, for windows of 128 frames."""
    folder = tmp_path_factory.mktemp("reference")
    torch.manual_seed(0)
    run = pretrain.VaeRun(network=CompactSettings(channels=6, width=8, deep=8, detail=2))
    vae = CompactVae(run.network)
    made = {"settings": dataclasses.asdict(run), "model": vae.state_dict(), "step": 0}
    save_content(folder / "vae.pt", pretrain.KIND, made)
    settings = ReferenceSettings(vae=VaeSettings("compact", str(folder / "vae.pt")), network=EDITOR)
    network = ReferenceNetwork(EDITOR, load_vae("compact", settings.vae.source))
    untouched = fingerprint(network.vae)
    with torch.no_grad():  # the fusion's last layer and FiLM start at zero
        for parameter in network.parameters():
            if parameter.requires_grad:
                parameter.add_(0.05 * torch.randn_like(parameter))
    table = conditioning_table(NumericText())
    content: dict[str, Any] = {
        "settings": settings.to_table(),
        "vae": untouched,
        "text_encoder": "numeric-fourier",
        "bpm": torch.from_numpy(np.asarray(table.bpm)),
        "embedding": torch.from_numpy(np.asarray(table.embedding)),
        "trained": network.trained_state(),
        "step": 7,
        "metrics": {"fidelity": 0.25, "frequency": float("nan")},
    }
    save_content(folder / "last.pt", checkpoint.KIND, content)
    return folder / "last.pt"


@pytest.fixture(scope="module")
def artifact(trained: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("export") / "window"
    assert main(["--reference", str(trained), "--out", str(folder)]) == 0
    return folder


def test_the_artifact_says_what_it_is_and_how_near_it_comes(artifact: Path) -> None:
    manifest = load_window_artifact(artifact).manifest
    assert (manifest.window, manifest.crop_size, manifest.vae) == (128, 72, "compact")
    assert (manifest.name, manifest.text_encoder) == ("reference", "numeric-fourier")
    assert manifest.training["step"] == 7
    assert manifest.measured["validation"] == {"fidelity": 0.25}
    error = manifest.measured["parity_max_error"]
    assert isinstance(error, float) and error < TOLERANCE


def test_the_engine_gives_what_the_network_gives(artifact: Path, trained: Path) -> None:
    loaded, network = load_window_artifact(artifact), load_trained(trained).network
    rng = np.random.default_rng(3)
    crops = rng.uniform(0.2, 0.8, (128, 3, 72, 72)).astype(np.float32)
    angle = rng.uniform(0.0, 6.0, 128)
    phase = np.stack([np.cos(angle), np.sin(angle)], axis=-1).astype(np.float32)
    text = loaded.conditioning.text(71.5, "x")
    engine = WindowEngine(loaded)
    found = engine.run(crops, text, phase)
    with torch.no_grad():
        wanted = network(*(torch.from_numpy(part) for part in (crops[None], text, phase[None])))[0]
        other = network(*(torch.from_numpy(part) for part in (crops[None], text, -phase[None])))[0]
    assert np.abs(found - wanted.numpy()).max() < TOLERANCE
    assert np.abs(found - other.numpy()).max() > 10 * TOLERANCE  # and the phase does count
    engine.close()


def test_a_file_is_edited_by_an_exported_network(
    artifact: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    clip = face_clip(tmp_path / "in.mkv", 150)
    files = ["--input", str(clip), "--output", str(tmp_path / "out.mkv"), "--lossless"]
    assert physio_cam([*files, "--mode", "window", "--artifact", str(artifact)]) == 0
    printed = capsys.readouterr()
    assert "150 frames at" in printed.out and "shielded: 0" in printed.out
    assert "each frame leaves 127 frames (4.23 s) after it came" in printed.err
    filtered, source = read(tmp_path / "out.mkv"), read(clip)
    face = (slice(100, 140), slice(140, 180))
    assert len(filtered) == 150
    assert not any(np.array_equal(o.y[face], g.y[face]) for o, g in zip(filtered, source, strict=True))


def test_an_editor_without_phase_takes_and_gives_the_same_tensors(tmp_path: Path) -> None:
    torch.manual_seed(0)
    network = ReferenceNetwork(replace(EDITOR, phase=False), load_vae("compact", "untrained")).eval()
    export_window(network, tmp_path / contract.GRAPH, 8, 16)
    assert window_parity(network, tmp_path / contract.GRAPH, 8, 16) < TOLERANCE


def test_a_vae_of_diffusers_can_be_exported(tmp_path: Path) -> None:
    """HunyuanVideo's, with random weights; docs/reference.md says what was tried of the others."""
    import diffusers

    torch.manual_seed(0)
    made: Any = getattr(diffusers, CLASSES["hunyuan"])
    vae = wrap("hunyuan", made(**CONFIGS["hunyuan"]))
    network = ReferenceNetwork(EDITOR, vae).eval()
    torch.nn.init.normal_(network.fusion.out.weight, std=0.05)
    export_window(network, tmp_path / contract.GRAPH, 8, 16)
    assert window_parity(network, tmp_path / contract.GRAPH, 8, 16) < TOLERANCE


def test_a_graph_that_differs_is_not_written(
    trained: Path,
    artifact: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    kept = tmp_path / "kept"
    kept.mkdir()
    (kept / MANIFEST).write_text("before")
    graph = onnx.load(artifact / contract.GRAPH)
    weight = next(value for value in graph.graph.initializer if value.name.endswith("conv_out.bias"))
    weight.CopyFrom(onnx.numpy_helper.from_array(onnx.numpy_helper.to_array(weight) + 0.01, weight.name))
    monkeypatch.setattr("export.window.export_window", lambda _network, path, *_: onnx.save(graph, path))
    options = ["--reference", str(trained), "--out", str(kept)]
    assert main(options) == ArtifactError.exit_code
    assert "differs from the network" in capsys.readouterr().err
    assert (kept / MANIFEST).read_text() == "before"
    assert [entry.name for entry in tmp_path.iterdir()] == ["kept"]


@pytest.mark.parametrize("more", [["--masking", "0.002"], ["--residual-scale", "0.5"]])
def test_options_of_the_stream_editor_are_refused(
    more: list[str], trained: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = ["--out", str(tmp_path / "made")]
    assert main(["--reference", str(trained), *out, *more]) == UsageError.exit_code
    assert "are of the stream editor" in capsys.readouterr().err
    assert main(["--reference", str(tmp_path / "absent.pt"), *out]) == UsageError.exit_code
    assert "train one first" in capsys.readouterr().err
    assert not (tmp_path / "made").exists()
