"""What an engine is, and the checks that every engine shares."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from streamfilter.contract import NEXT_PREFIX, STATE_PREFIX, STEP_GRAPH, STEP_INPUTS, TensorSpec
from streamfilter.errors import ArtifactError, EngineError

Gain = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True, eq=False)
class State:
    """The recurrent state of one stream, in the engine's own tensors.

    Opaque: it goes back to the engine that made it. A step consumes it, that is, what it returns takes its
    place and the old one may not be stepped again (its memory may be written by a later step). ``spare``
    is memory for that later step.
    """

    tensors: Mapping[str, Any]
    spare: Mapping[str, Any]


class Engine(Protocol):
    """Runs the step graph. One engine serves any number of streams; calls may not overlap.

    ``name`` is the engine's (``onnxruntime``, ``openvino``), ``reason`` says in words why it was taken.
    """

    name: str
    reason: str

    def init_state(self) -> State:
        """The state at the start of a stream: zeros."""
        ...

    def step(self, inputs: Mapping[str, npt.NDArray[Any]], state: State) -> tuple[Gain, State]:
        """Run one frame.

        ``inputs`` holds exactly the contract's STEP_INPUTS, in the manifest's shapes and dtypes. Returns the
        gain map (1, 3, S, S) float32, owned by the caller, and the next state.

        Raises EngineError where an input is missing or has another shape or dtype, where the run fails, and
        where the gain map is not finite: the caller then shows the shield and starts from a new state.
        """
        ...

    def close(self) -> None:
        """Free the graph. Closing twice is harmless; a step after it raises EngineError."""
        ...


def check_inputs(inputs: Mapping[str, npt.NDArray[Any]], specs: tuple[TensorSpec, ...]) -> None:
    """Raise EngineError unless ``inputs`` are the tensors of ``specs``, by name, shape and dtype."""
    if len(inputs) != len(specs) or any(spec.name not in inputs for spec in specs):
        wanted, given = ", ".join(spec.name for spec in specs), ", ".join(inputs)
        raise EngineError(f"a step takes the inputs {wanted}, it was given {given or 'none'}")
    for spec in specs:
        value = inputs[spec.name]
        if value.shape != spec.shape or value.dtype != spec.dtype:
            raise EngineError(
                f"input {spec.name!r} should be {spec.shape} {spec.dtype}, it is {value.shape} {value.dtype}"
            )


def check_gain(gain: Gain) -> None:
    """Raise EngineError unless every number of the gain map is finite."""
    if not np.isfinite(gain).all():
        raise EngineError("the editor's output is not finite; restart the stream with a fresh state")


def check_graph(
    actual: Iterable[TensorSpec], promised: tuple[TensorSpec, ...], what: str, file: str = STEP_GRAPH
) -> None:
    """Raise ArtifactError unless the graph's tensors are those that the manifest promises."""
    graph = {spec.name: spec for spec in actual}
    manifest = {spec.name: spec for spec in promised}
    for name in sorted(graph.keys() | manifest.keys()):
        if graph.get(name) != manifest.get(name):
            raise ArtifactError(
                f"the {what} {name!r} is {_describe(graph.get(name))} in {file} and "
                f"{_describe(manifest.get(name))} in manifest.json: export the artifact again"
            )


def frame_inputs(specs: tuple[TensorSpec, ...]) -> tuple[TensorSpec, ...]:
    """The inputs that the caller gives at each step: all but the state."""
    return tuple(spec for spec in specs if spec.name in STEP_INPUTS)


def next_name(state_name: str) -> str:
    """The output that holds the next value of a state input."""
    return NEXT_PREFIX + state_name.removeprefix(STATE_PREFIX)


def _describe(spec: TensorSpec | None) -> str:
    return "absent" if spec is None else f"{spec.shape} {spec.dtype}"
