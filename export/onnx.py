"""The network's step form as an ONNX graph: one frame in, one gain map out, state in and out by name."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import onnx
import torch
from torch import Tensor, nn

from model.causal import State
from model.physiolatent import PhysioLatent
from streamfilter import contract

OPSET = 18


class StepGraph(nn.Module):
    """``PhysioLatent`` for one frame of one stream, without the time axis, in the contract's names."""

    def __init__(self, network: PhysioLatent) -> None:
        super().__init__()
        self.network = network

    def forward(
        self,
        crop: Tensor,
        text: Tensor,
        phase: Tensor,
        strength: Tensor,
        dt: Tensor,
        masking: Tensor,
        state: State,
    ) -> tuple[Tensor, State]:
        inputs = [x.unsqueeze(1) for x in (phase, strength, dt, masking)]
        edit, following = self.network(crop.unsqueeze(1), text, *inputs, state)
        return edit.gain.squeeze(1), following


def step_inputs(network: PhysioLatent) -> dict[str, Tensor]:
    """Example inputs of one step, in the contract's order and shapes."""
    settings = network.settings
    return {
        contract.CROP: torch.full((1, 3, settings.crop, settings.crop), 0.5),
        contract.TEXT: torch.zeros(1, settings.text_dim),
        contract.PHASE: torch.tensor([[1.0, 0.0]]),
        contract.STRENGTH: torch.ones(1, 1),
        contract.DT: torch.full((1, 1), 1.0 / 30.0),
        contract.MASKING: torch.zeros(1, 3, 3, 3),
    }


def export_step(network: PhysioLatent, path: Path) -> None:
    """Write ``step.onnx``. Inputs and outputs are renamed after export, so that they bind by name
    whatever the exporter calls them; their order is the contract's inputs, then the state's."""
    state = network.init_state(1)
    inputs = step_inputs(network)
    graph = traced(StepGraph(network), {**inputs, "state": state})
    names_in = [*inputs, *(contract.STATE_PREFIX + name for name in state)]
    names_out = [contract.GAIN, *(contract.NEXT_PREFIX + name for name in state)]
    _rename(graph, names_in, names_out)
    save_checked(graph, path)


def traced(
    module: nn.Module, inputs: Mapping[str, object], output_names: Sequence[str] | None = None
) -> onnx.ModelProto:
    """The graph of ``module`` in evaluation mode, traced with ``inputs`` by keyword.

    ``output_names``: None leaves them to the exporter.
    """
    program = torch.onnx.export(
        module.eval(),
        kwargs=dict(inputs),
        output_names=output_names,
        dynamo=True,
        opset_version=OPSET,
        optimize=True,
        verbose=False,
    )
    if program is None:
        raise RuntimeError("torch.onnx.export returned no program: this needs dynamo=True")
    return _without_metadata(program.model_proto)


def _without_metadata(graph: onnx.ModelProto) -> onnx.ModelProto:
    """The graph without the exporter's notes: they hold paths of the machine that it was made on, so that
    the same network gave other bytes elsewhere."""
    bodies: list[onnx.GraphProto | onnx.FunctionProto] = [graph.graph, *graph.functions]
    nodes = [node for body in bodies for node in body.node]
    values = [*graph.graph.input, *graph.graph.output, *graph.graph.value_info]
    noted: list[Any] = [graph, *bodies, *nodes, *values, *graph.graph.initializer]
    for one in noted:
        del one.metadata_props[:]
    for node in nodes:
        node.doc_string = ""
    return graph


def save_checked(graph: onnx.ModelProto, path: Path) -> None:
    """Write a graph that is valid in all its types and shapes."""
    onnx.checker.check_model(graph, full_check=True)
    onnx.save_model(graph, path)


def _rename(graph: onnx.ModelProto, names_in: list[str], names_out: list[str]) -> None:
    old_in = [value.name for value in graph.graph.input]
    old_out = [value.name for value in graph.graph.output]
    if len(old_in) != len(names_in) or len(old_out) != len(names_out):
        raise RuntimeError(f"exported graph has {old_in} → {old_out}, expected {names_in} → {names_out}")
    if [name.removeprefix("state_") for name in old_in] != [n.removeprefix("state.") for n in names_in]:
        raise RuntimeError(f"exported inputs {old_in} are not in the order {names_in}")
    # An output may be an input passed through; give outputs their own names first.
    names = dict(zip(old_in, names_in, strict=True))
    names.update(dict(zip(old_out, names_out, strict=True)))
    for value in (*graph.graph.input, *graph.graph.output, *graph.graph.value_info):
        value.name = names.get(value.name, value.name)
    for node in graph.graph.node:
        for field in (node.input, node.output):
            for index, name in enumerate(field):
                field[index] = names.get(name, name)
