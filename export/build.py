"""Builds an artifact folder: aside, checked against the network, then moved into place."""

from __future__ import annotations

import shutil
import tempfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx

from export.device.graph import device_graph
from export.device.parity import TOLERANCE as DEVICE_TOLERANCE
from export.device.parity import device_parity
from export.onnx import export_step
from export.parity import TOLERANCE, parity
from export.serving import serving_graph
from export.serving_parity import TOLERANCE as SERVING_TOLERANCE
from export.serving_parity import serving_parity
from model.physiolatent import PhysioLatent
from model.text import ConditioningTable
from streamfilter import contract
from streamfilter.artifact import Artifact, load_artifact, write_manifest
from streamfilter.errors import ArtifactError

FORMS = (contract.SERVING_GRAPH, contract.DEVICE_GRAPH)  # the same step, for other engines
_DTYPES = {int(onnx.TensorProto.FLOAT): "float32", int(onnx.TensorProto.INT64): "int64"}


def build_artifact(
    network: PhysioLatent,
    table: ConditioningTable,
    folder: Path,
    *,
    name: str,
    text_encoder: str,
    masking: float,
    training: dict[str, object],
    measured: dict[str, object],
) -> float:
    """Write the artifact of ``network`` to ``folder`` (replaced if it is there) and return its parity error.

    Raises ArtifactError where the exported graph differs from the network by more than ``TOLERANCE``; what
    was at ``folder`` before is then untouched.
    """
    folder.parent.mkdir(parents=True, exist_ok=True)
    aside = Path(tempfile.mkdtemp(prefix=f".{folder.name}-", dir=folder.parent))
    try:
        export_step(network, aside / contract.STEP_GRAPH)
        error = parity(network, aside / contract.STEP_GRAPH)
        if not error < TOLERANCE:
            raise ArtifactError(
                f"the exported graph differs from the network by {error:.2g}, "
                f"more than {TOLERANCE:g}: not written"
            )
        _save_forms(network, aside)
        np.savez_compressed(
            aside / contract.CONDITIONING,
            bpm=np.asarray(table.bpm, np.int64),
            embedding=np.asarray(table.embedding, np.float32),
        )
        inputs, outputs = graph_tensors(aside / contract.STEP_GRAPH)
        manifest = contract.Manifest(
            format_version=contract.FORMAT_VERSION,
            name=name,
            files={contract.SERVING_GRAPH: "", contract.DEVICE_GRAPH: ""},
            crop_size=network.settings.crop,
            context=network.settings.context,
            nominal_fps=30.0,
            inputs=inputs,
            outputs=outputs,
            bpm_grid=tuple(int(bpm) for bpm in table.bpm),
            text_encoder=text_encoder,
            masking=masking,
            pulse_direction=network.settings.pulse_direction,
            training=training,
            measured={**measured, "parity_max_gain_error": error},
            licence="Apache-2.0",
        )
        write_manifest(aside, manifest)
        check_forms(load_artifact(aside))
        aside.chmod(0o755)
        if folder.exists():
            shutil.rmtree(folder)
        aside.replace(folder)
    except BaseException:
        shutil.rmtree(aside, ignore_errors=True)
        raise
    return error


def add_forms(artifact: Artifact, network: PhysioLatent, folder: Path) -> tuple[float, float]:
    """Write a copy of ``artifact`` with its serving and device graphs made anew to ``folder``, which is
    replaced if it is there and may be the artifact's own, and return the graphs' largest differences from
    ``step.onnx``, whose bytes stay as they are. ``network`` is what ``export.rebuild`` gave.

    Raises ArtifactError where the graphs differ; what was at ``folder`` before is then untouched.
    """
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f".{folder.name}-", dir=folder.parent) as place:
        aside = Path(place) / folder.name
        aside.mkdir()
        for name in artifact.manifest.files:
            if name not in FORMS:
                shutil.copyfile(artifact.path / name, aside / name)
        _save_forms(network, aside)
        files = {**artifact.manifest.files, **dict.fromkeys(FORMS, "")}
        write_manifest(aside, replace(artifact.manifest, files=files))
        errors = check_forms(load_artifact(aside))
        if folder.exists():
            shutil.rmtree(folder)
        aside.replace(folder)
    return errors


def check_forms(artifact: Artifact) -> tuple[float, float]:
    """The largest differences of the serving and of the device graph from ``step.onnx``.

    Raises ArtifactError where one is too large.
    """
    serving, device = serving_parity(artifact), device_parity(artifact, seconds=5).largest
    for name, error, tolerance in (
        (contract.SERVING_GRAPH, serving, SERVING_TOLERANCE),
        (contract.DEVICE_GRAPH, device, DEVICE_TOLERANCE),
    ):
        if not error < tolerance:
            raise ArtifactError(
                f"{name} differs from step.onnx by {error:.2g}, more than {tolerance:g}: not written"
            )
    return serving, device


def _save_forms(network: PhysioLatent, folder: Path) -> None:
    serving = serving_graph(network)
    onnx.save_model(serving, folder / contract.SERVING_GRAPH)
    onnx.save_model(device_graph(serving), folder / contract.DEVICE_GRAPH)


def graph_tensors(
    path: Path,
) -> tuple[tuple[contract.TensorSpec, ...], tuple[contract.TensorSpec, ...]]:
    """Names, shapes and dtypes of a graph's inputs and outputs."""
    graph = onnx.load(path, load_external_data=False).graph

    def specs(values: list[onnx.ValueInfoProto]) -> tuple[contract.TensorSpec, ...]:
        return tuple(
            contract.TensorSpec(
                value.name,
                tuple(dim.dim_value for dim in value.type.tensor_type.shape.dim),
                _DTYPES[value.type.tensor_type.elem_type],
            )
            for value in values
        )

    return specs(list(graph.input)), specs(list(graph.output))
