"""The torch network back from an artifact: its parameters are the initialisers of ``step.onnx``.

So an artifact can be exported again, in another form, when its checkpoint is gone. What comes out is only
handed back after it has computed the same as the graph, step by step; but for `parameters_in`, whose network
computes by the code of today, which may have changed since.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import onnx
import torch
from onnx import numpy_helper

from export.parity import TOLERANCE, parity
from model.configuration import from_table
from model.physiolatent import PhysioLatent
from streamfilter.artifact import Artifact
from streamfilter.contract import STEP_GRAPH
from streamfilter.errors import ArtifactError

_PREFIX = "network."
_STEPS = 60
Array = npt.NDArray[np.float32]


def rebuild(artifact: Artifact) -> PhysioLatent:
    """The network of the artifact, in evaluation mode.

    Raises ArtifactError where the graph was not made by ``export.onnx`` from this network, or where the
    rebuilt network differs from it.
    """
    network = parameters_in(artifact)
    error = parity(network, artifact.path / STEP_GRAPH, steps=_STEPS)
    if not error < TOLERANCE:
        raise ArtifactError(
            f"the network rebuilt from {artifact.path} differs from its graph by {error:.2g}: if the code "
            "changed since, and step.onnx is to follow it, add --step-anew"
        )
    return network


def parameters_in(artifact: Artifact) -> PhysioLatent:
    """Today's network with the artifact's parameters, in evaluation mode: not compared with the graph.

    Raises ArtifactError where the graph holds other parameters than this network has.
    """
    table = artifact.manifest.training.get("settings")
    if not isinstance(table, dict):
        raise ArtifactError(f"{artifact.path}: the manifest's training holds no settings: cannot rebuild")
    network = PhysioLatent(from_table(table, "the manifest's settings").network)
    network.set_pulse_direction(*artifact.manifest.pulse_direction)
    removal = artifact.manifest.training.get("removal")
    if isinstance(removal, float):
        network.set_removal(removal)
    found = _parameters(onnx.load_from_string(artifact.graph).graph)
    wanted = network.state_dict()
    if missing := sorted(name for name in wanted if name not in found):
        raise ArtifactError(f"{artifact.path / STEP_GRAPH} holds no {', '.join(missing)}: cannot rebuild")
    for name, value in wanted.items():
        if found[name].shape != tuple(value.shape):
            raise ArtifactError(
                f"{artifact.path / STEP_GRAPH}: {name} is {found[name].shape}, not {tuple(value.shape)}"
            )
    network.load_state_dict({name: torch.tensor(found[name]) for name in wanted})
    return network.eval()


def _parameters(graph: onnx.GraphProto) -> dict[str, Array]:
    """Parameters by torch's names. The exporter keeps most names; it folds the transposition of a linear
    layer's weight, the taps of the temporal convolution and the distances of the look-back into constants
    without one, which are found by the nodes that use them."""
    values = {one.name: numpy_helper.to_array(one) for one in graph.initializer}
    found = {name.removeprefix(_PREFIX): value for name, value in values.items() if name.startswith(_PREFIX)}
    producer = {output: node for node in graph.node for output in node.output}
    taps: list[Array] = []
    biases: list[Array] = []
    for node in graph.node:
        held = [name for name in node.input if name in values]
        if node.op_type == "Add":
            for name in held:
                layer = name.removeprefix(_PREFIX).removesuffix(".bias")
                before = [producer[other] for other in node.input if other in producer]
                for matmul in (one for one in before if one.op_type == "MatMul" and name.endswith(".bias")):
                    found[f"{layer}.weight"] = values[matmul.input[1]].T
                if values[name].ndim == 3 and values[name].shape[1] == 1 and values[name].shape[2] > 1:
                    biases.append(values[name])
        elif node.op_type == "Mul" and held and held[0].startswith("select"):
            taps.append(values[held[0]])
    if taps:
        found["encoder.time.weight"] = np.stack(taps)
    for index, value in enumerate(biases):
        # Oldest frame first in the graph, by distance in the network.
        found[f"blocks.{index}.time.distance_bias"] = value[:, 0, ::-1].copy()
    return found
