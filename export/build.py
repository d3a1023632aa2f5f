"""Builds an artifact folder: aside, checked against the network, then moved into place."""

from __future__ import annotations

import shutil
import tempfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx

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
        onnx.save_model(serving_graph(network), aside / contract.SERVING_GRAPH)
        np.savez_compressed(
            aside / contract.CONDITIONING,
            bpm=np.asarray(table.bpm, np.int64),
            embedding=np.asarray(table.embedding, np.float32),
        )
        inputs, outputs = graph_tensors(aside / contract.STEP_GRAPH)
        manifest = contract.Manifest(
            format_version=contract.FORMAT_VERSION,
            name=name,
            files={contract.SERVING_GRAPH: ""},
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
        check_serving(load_artifact(aside))
        aside.chmod(0o755)
        if folder.exists():
            shutil.rmtree(folder)
        aside.replace(folder)
    except BaseException:
        shutil.rmtree(aside, ignore_errors=True)
        raise
    return error


def add_serving(artifact: Artifact, network: PhysioLatent, folder: Path) -> float:
    """Write a copy of ``artifact`` with its serving graph made anew to ``folder``, which is replaced if it is
    there and may be the artifact's own, and return the graph's largest difference from
    ``step.onnx``, whose bytes stay as they are. ``network`` is what ``export.rebuild`` gave.

    Raises ArtifactError where the graphs differ; what was at ``folder`` before is then untouched.
    """
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f".{folder.name}-", dir=folder.parent) as place:
        aside = Path(place) / folder.name
        aside.mkdir()
        for name in artifact.manifest.files:
            if name != contract.SERVING_GRAPH:
                shutil.copyfile(artifact.path / name, aside / name)
        onnx.save_model(serving_graph(network), aside / contract.SERVING_GRAPH)
        files = {**artifact.manifest.files, contract.SERVING_GRAPH: ""}
        write_manifest(aside, replace(artifact.manifest, files=files))
        error = check_serving(load_artifact(aside))
        if folder.exists():
            shutil.rmtree(folder)
        aside.replace(folder)
    return error


def check_serving(artifact: Artifact) -> float:
    """The serving graph's largest difference from ``step.onnx``; ArtifactError where it is too large."""
    error = serving_parity(artifact)
    if not error < SERVING_TOLERANCE:
        raise ArtifactError(
            f"the serving graph differs from step.onnx by {error:.2g}, more than {SERVING_TOLERANCE:g}: "
            "not written"
        )
    return error


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
