"""Memory that stays where the graph runs: two sets of state that take turns, inputs and gain in one place.

One code for every provider of ONNX Runtime: a :class:`Place` says which, and on which device tensors lie.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import onnxruntime as ort

from streamfilter.contract import FRAME, TensorSpec
from streamfilter.engine.layout import Layout
from streamfilter.errors import EngineError

Array = npt.NDArray[Any]
_FRAME = TensorSpec(FRAME, (), "int64")


@dataclass(frozen=True, slots=True)
class Place:
    """``engine``: name of the engine. ``provider``: ONNX Runtime's name of what has to run the graph.
    ``device``, ``index``: where tensors lie, in ONNX Runtime's words. ``graph_option``: the run option that
    tells captured CUDA graphs apart, None where none are captured."""

    engine: str
    provider: str
    device: str = "cpu"
    index: int = 0
    graph_option: str | None = None


class Buffers:
    """Two sets of state on the device and a binding for each direction: a run reads one and writes the other.

    ``frame`` 0 takes a stream's state for zeros, so that memory needs no preparation, and HOLD leaves it.
    Inputs are written to where they stay, so that the addresses never change: what CUDA graphs need.
    """

    def __init__(
        self,
        session: ort.InferenceSession,
        layout: Layout,
        place: Place,
        streams: int,
        graphs: tuple[int, int],
    ) -> None:
        """``graphs`` are numbers for the CUDA graphs of the two directions, not used twice in a session.

        Raises EngineError where the device has no memory left.
        """
        try:
            self._allocate(session, layout, place, streams, graphs)
        except Exception as error:  # the binding raises a dozen unrelated classes
            raise EngineError(
                f"{place.device} has no memory for {streams} streams ({error}): "
                "close other programs that use it, or take --engine onnxruntime"
            ) from error

    def _allocate(
        self,
        session: ort.InferenceSession,
        layout: Layout,
        place: Place,
        streams: int,
        graphs: tuple[int, int],
    ) -> None:

        def empty(spec: TensorSpec) -> ort.OrtValue:
            return ort.OrtValue.ortvalue_from_shape_and_type(
                [streams, *spec.shape], np.dtype(spec.dtype), place.device, place.index
            )

        self._session = session
        self._given = {spec.name: empty(spec) for spec in (*layout.inputs, _FRAME)}
        self._gain = empty(layout.gain)
        # The graph reads and writes ``state.*`` by name: each set serves as the one or the other.
        sets = [[empty(spec) for spec, _ in layout.states] for _ in range(2)]
        self._runs = []
        for (now, after), graph in zip((sets, sets[::-1]), graphs, strict=True):
            binding = session.io_binding()
            for name, value in self._given.items():
                binding.bind_ortvalue_input(name, value)
            binding.bind_ortvalue_output(layout.gain.name, self._gain)
            for (spec, following), old, new in zip(layout.states, now, after, strict=True):
                binding.bind_ortvalue_input(spec.name, old)
                binding.bind_ortvalue_output(following.name, new)
            self._runs.append((binding, _run_options(place, graph)))
        self._turn = 0

    def run(self, inputs: Mapping[str, Array]) -> Array:
        """One step of all streams; ``inputs`` with ``frame``, batch first. Returns the gain maps, the
        caller's own. Raises EngineError; the state of all streams is then lost."""
        binding, options = self._runs[self._turn]
        try:
            for name, value in self._given.items():
                value.update_inplace(inputs[name])
            binding.synchronize_inputs()
            self._session.run_with_iobinding(binding, options)
            binding.synchronize_outputs()
            gain: Array = self._gain.numpy()
        except Exception as error:  # as above
            raise EngineError(f"ONNX Runtime failed in a step: {error}") from error
        self._turn = 1 - self._turn
        return gain


def _run_options(place: Place, graph: int) -> ort.RunOptions:
    options = ort.RunOptions()
    if place.graph_option is not None:
        options.add_run_config_entry(place.graph_option, str(graph))
    return options
