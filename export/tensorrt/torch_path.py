"""The second way to TensorRT for RTX: from the torch module, through torch-tensorrt, past ONNX.

It needs a GPU with its driver and a CUDA build of torch, also to build: unlike :mod:`export.tensorrt.build`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor

from export.onnx import StepGraph, step_inputs
from export.parity import Array, Step
from model.physiolatent import PhysioLatent
from streamfilter import contract
from streamfilter.errors import EngineError

# The exported step, its example inputs by keyword → a module that takes the same keywords.
Compiler = Callable[[torch.export.ExportedProgram, dict[str, Any]], Callable[..., Any]]


def torch_step(network: PhysioLatent, compiler: Compiler | None = None, device: str = "cuda") -> Step:
    """One step of ``network`` as ``compiler`` makes it, by default torch-tensorrt, with its tensors on
    ``device``; to be compared by :func:`export.parity.step_parity`.

    Raises EngineError where torch-tensorrt or a GPU is missing, or a part of the network does not go on the
    engine.
    """
    compiler = compiler or _torch_tensorrt()
    state = network.init_state(1)
    example: dict[str, Any] = {**step_inputs(network), "state": state}
    moved = _to(example, device)
    program = torch.export.export(StepGraph(network).eval().to(device), (), kwargs=moved)
    try:
        compiled = compiler(program, moved)
    except RuntimeError as error:
        raise EngineError(f"torch-tensorrt does not compile the network: {error}") from error

    def step(values: Mapping[str, Array]) -> Mapping[str, Array]:
        tensors = {name: torch.from_numpy(value).to(device) for name, value in values.items()}
        inputs = {name: tensors[name] for name in contract.STEP_INPUTS}
        past = {name: tensors[contract.STATE_PREFIX + name] for name in state}
        gain, following = compiled(**inputs, state=past)
        made = {contract.GAIN: gain} | {contract.NEXT_PREFIX + name: following[name] for name in following}
        return {name: value.cpu().numpy() for name, value in made.items()}

    return step


def _torch_tensorrt() -> Compiler:
    try:
        import torch_tensorrt
    except ImportError as error:
        raise EngineError(
            f"torch-tensorrt is not here ({error}): pip install torch-tensorrt-rtx, of torch's release, "
            "beside a CUDA build of torch"
        ) from error
    except (AssertionError, OSError, RuntimeError) as error:  # it looks for a GPU while it is imported
        raise EngineError(
            f"torch-tensorrt does not load ({error}): it needs a GPU, its driver and a CUDA build of torch"
        ) from error

    def compiler(program: torch.export.ExportedProgram, example: dict[str, Any]) -> Callable[..., Any]:
        compiled: Callable[..., Any] = torch_tensorrt.dynamo.compile(
            program,
            arg_inputs=(),
            kwarg_inputs=example,
            require_full_compilation=True,  # one engine, no part left to torch
            min_block_size=1,
            disable_tf32=True,
            immutable_weights=True,
        )
        return compiled

    return compiler


def _to(value: Any, device: str) -> Any:
    if isinstance(value, Tensor):
        return value.to(device)
    return {name: _to(one, device) for name, one in value.items()}
