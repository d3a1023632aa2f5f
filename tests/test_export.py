"""Export, by its command: graph and network agree, names bind, and a bad graph is not written."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnxruntime as ort
import pytest
import torch

from export.__main__ import main
from export.build import build_artifact
from export.onnx import export_step
from model import checkpoint
from model.configuration import Settings
from model.physiolatent import PhysioLatent, StreamSettings
from model.text import ConditioningTable, NumericText, conditioning_table
from streamfilter import contract
from streamfilter.artifact import load_artifact
from streamfilter.engine import open_engine
from streamfilter.errors import ArtifactError, UsageError

SETTINGS = StreamSettings(channels=16, width=8, condition=16, context=20, text_dim=64)


@pytest.fixture(scope="module")
def table() -> ConditioningTable:
    return conditioning_table(NumericText())


@pytest.fixture(scope="module")
def artifact(tmp_path_factory: pytest.TempPathFactory, table: ConditioningTable) -> Path:
    """What the command makes of a checkpoint, with half of what the network adds of its own."""
    folder = tmp_path_factory.mktemp("export")
    best = save_checkpoint(folder / checkpoint.BEST, _network(0), table)
    options = ["--checkpoint", str(best), "--out", str(folder / "small"), "--name", "small"]
    assert main([*options, "--residual-scale", "0.5", "--masking", "0.002"]) == 0
    return folder / "small"


def save_checkpoint(path: Path, network: PhysioLatent, table: ConditioningTable) -> Path:
    content = {
        "version": checkpoint.VERSION,
        "settings": Settings(network=network.settings).to_table(),
        "text_encoder": "numeric-fourier",
        "bpm": torch.from_numpy(np.asarray(table.bpm)),
        "embedding": torch.from_numpy(np.asarray(table.embedding)),
        "ema": network.state_dict(),
        "step": 7,
        "data": {},
        "metrics": {"network": 0.25},
    }
    checkpoint.save(path, content)
    return path


def _network(seed: int, settings: StreamSettings = SETTINGS) -> PhysioLatent:
    torch.manual_seed(seed)
    network = PhysioLatent(settings).eval()
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.add_(0.05 * torch.randn_like(parameter))
    return network


def build(network: PhysioLatent, table: ConditioningTable, folder: Path) -> float:
    return build_artifact(
        network,
        table,
        folder,
        name="small",
        text_encoder="numeric-fourier",
        masking=0.001,
        training={"commit": "test"},
        measured={},
    )


def test_artifact_loads_and_states_its_parity(artifact: Path) -> None:
    manifest = load_artifact(artifact).manifest
    error = manifest.measured["parity_max_gain_error"]
    assert isinstance(error, float) and error < 1e-4
    assert [spec.name for spec in manifest.inputs[:6]] == list(contract.STEP_INPUTS)
    assert {spec.name for spec in manifest.state_inputs()} == {
        f"state.{name}" for name in _network(0).init_state(1)
    }


def test_artifact_states_where_it_comes_from(artifact: Path) -> None:
    manifest = load_artifact(artifact).manifest
    assert (manifest.name, manifest.text_encoder, manifest.masking) == ("small", "numeric-fourier", 0.002)
    assert manifest.training["step"] == 7
    assert manifest.training["residual_scale"] == 0.5
    assert manifest.measured["validation"] == {"network": 0.25}
    settings = manifest.training["settings"]
    assert isinstance(settings, dict)
    assert settings["network"]["channels"] == SETTINGS.channels


@pytest.mark.parametrize("name", ["onnxruntime", "openvino"])
def test_engines_follow_the_network(artifact: Path, table: ConditioningTable, name: str) -> None:
    loaded, network = load_artifact(artifact), _network(0)
    network.decoder.scale_residual(0.5)
    engine = open_engine(loaded, name)
    rng = np.random.default_rng(5)
    ours, theirs = network.init_state(1), engine.init_state()
    for _ in range(30):
        inputs = {
            contract.CROP: rng.uniform(0.4, 0.6, (1, 3, 72, 72)).astype(np.float32),
            contract.TEXT: loaded.text(71.5),
            contract.PHASE: np.array([[0.6, 0.8]], np.float32),
            contract.STRENGTH: np.ones((1, 1), np.float32),
            contract.DT: np.full((1, 1), 1 / 25, np.float32),
            contract.MASKING: rng.normal(0, 1e-3, (1, 3, 3, 3)).astype(np.float32),
        }
        gain, theirs = engine.step(inputs, theirs)
        tensors = {k: torch.from_numpy(v) for k, v in inputs.items()}
        text = tensors.pop("text")
        with torch.no_grad():
            edit, ours = network(text=text, state=ours, **{k: v.unsqueeze(1) for k, v in tensors.items()})
        assert np.abs(gain - edit.gain[:, 0].numpy()).max() < 1e-4
    engine.close()


def test_a_graph_that_differs_is_not_written(
    tmp_path: Path, table: ConditioningTable, artifact: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "kept"
    shutil.copytree(artifact, folder)
    before = (folder / contract.MANIFEST).read_bytes()
    real = export_step
    monkeypatch.setattr("export.build.export_step", lambda network, path: real(_network(9), path))
    with pytest.raises(ArtifactError, match="differs from the network"):
        build(_network(0), table, folder)
    assert (folder / contract.MANIFEST).read_bytes() == before
    assert [entry.name for entry in tmp_path.iterdir()] == ["kept"]


def test_context_and_crop_are_free(tmp_path: Path, table: ConditioningTable) -> None:
    settings = replace(SETTINGS, context=9, crop=48, pool=2)
    build(_network(1, settings), table, tmp_path / "other")
    session = ort.InferenceSession(tmp_path / "other" / contract.STEP_GRAPH)
    shapes = {value.name: value.shape for value in session.get_inputs()}
    assert shapes["crop"] == [1, 3, 48, 48] and shapes["state.window0"][1] == 8


UNTRAINED = """
[network]
channels = 16
width = 8
condition = 16
context = 20
text_dim = 64
[text]
encoder = "numeric"
"""


def test_an_untrained_network_is_exported_where_git_is_absent(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "settings.toml").write_text(UNTRAINED)
    monkeypatch.setenv("PATH", str(tmp_path))
    options = ["--untrained", str(tmp_path / "settings.toml"), "--out", str(tmp_path / "made")]
    assert main([*options, "--pulse-direction", "0.001", "0.006", "0.0026", "--removal", "1.2"]) == 0
    manifest = load_artifact(tmp_path / "made").manifest
    assert manifest.pulse_direction == (0.001, 0.006, 0.0026)
    assert manifest.training["removal"] == 1.2
    assert manifest.training["step"] == 0
    assert manifest.training["commit"] == "unknown"
    assert "residual_scale" not in manifest.training
    assert f"{tmp_path / 'made'}: " in capsys.readouterr().out


def test_a_step_is_made_anew_of_the_parameters_that_it_holds(
    artifact: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    old, made = load_artifact(artifact), tmp_path / "made"
    words = ["--artifact", str(artifact), "--out", str(made), "--step-anew", "nothing"]
    assert main(words) == 0
    new = load_artifact(made)
    assert new.graph == old.graph
    assert b".py" not in old.graph  # the exporter's notes: where on this machine each line of code stands
    assert new.manifest.training == {**old.manifest.training, "changed_since": "nothing"}
    kept = ("name", "masking", "text_encoder", "pulse_direction", "bpm_grid")
    assert all(getattr(new.manifest, name) == getattr(old.manifest, name) for name in kept)
    assert np.array_equal(new.text(71.5), old.text(71.5))
    assert main([*words, "--removal", "0.5"]) == 0  # another forward, the same parameters
    assert load_artifact(made).graph != old.graph
    assert load_artifact(made).manifest.training["removal"] == 0.5
    assert main(["--artifact", str(artifact), "--out", str(made), "--removal", "0.5"]) == UsageError.exit_code
    assert "add --step-anew" in capsys.readouterr().err
    with pytest.raises(SystemExit, match="2"):
        main(["--untrained", "a.toml", "--out", str(made), "--step-anew", "why"])
    assert "--step-anew goes with --artifact" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("source", "content", "message"),
    [
        ("--checkpoint", None, "train one first"),
        ("--checkpoint", "no checkpoint at all", "damaged"),
        ("--untrained", None, "cannot be read"),
        ("--untrained", "[network]\nlungs = 3\n", "unknown setting lungs"),
    ],
)
def test_a_bad_source_is_named_and_nothing_is_written(
    source: str, content: str | None, message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "source"
    if content is not None:
        path.write_text(content)
    assert main([source, str(path), "--out", str(tmp_path / "made")]) == UsageError.exit_code
    printed = capsys.readouterr()
    assert printed.err.startswith("export: ") and message in printed.err
    assert printed.out == ""
    assert not (tmp_path / "made").exists()


@pytest.mark.parametrize(
    "options", [[], ["--checkpoint", "a", "--untrained", "b"], ["--checkpoint", "a", "--masking", "much"]]
)
def test_the_command_line_is_checked(
    options: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit, match="2"):
        main([*options, "--out", str(tmp_path / "made")])
    assert "usage: python -m export" in capsys.readouterr().err
