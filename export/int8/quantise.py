"""The serving graph with its layers' products in 8-bit integers.

What is quantised: matrix products and convolutions with weights of the network. What is not: all that the
band-stop's states depend on (it removes a change of a thousandth, below an 8-bit step), fixed averages and
enlargements, attention's products of two activations.

Quantise and dequantise nodes as GPUs take them too: symmetric activations, weights by channel, biases in
floating point.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

import numpy as np
import numpy.typing as npt
import onnx
from onnx import numpy_helper
from onnxruntime.quantization import (
    CalibrationDataReader,
    QuantFormat,
    QuantType,
    quantize_static,
)

from streamfilter.artifact import Artifact
from streamfilter.config import FilterSettings
from streamfilter.contract import NEXT_PREFIX
from streamfilter.engine.base import frame_inputs
from streamfilter.engine.layout import Layout
from streamfilter.engine.onnxruntime_serving import OrtRunner
from streamfilter.engine.serving import Array, Bound, ServingEngine
from streamfilter.face_filter import VideoFilter
from streamfilter.frame import Frame

Feed = dict[str, npt.NDArray[np.generic]]
EVERY = 7  # frames between two that are calibrated on: no multiple of the detector's rhythm
_FRONT_END = tuple(NEXT_PREFIX + name for name in ("colour", "level", "filters"))
_LEAST_WEIGHTS = 512  # of a layer: smaller ones gain nothing


def quantised(artifact: Artifact, clips: Iterable[Iterable[Frame]]) -> bytes:
    """``serving.onnx`` of ``artifact`` in int8, calibrated on what its engine meets in ``clips``.

    Each clip is the frames of a stream. Raises ValueError where no face is found in any.
    """
    if artifact.serving is None:
        raise ValueError(f"{artifact.path} holds no serving graph")
    feeds = calibration(artifact, clips)
    if not feeds:
        raise ValueError("no frame to calibrate on: the clips show no face")
    with tempfile.TemporaryDirectory() as folder:
        whole, small = Path(folder) / "serving.onnx", Path(folder) / "int8.onnx"
        whole.write_bytes(artifact.serving)
        quantize_static(
            whole,
            small,
            _Reader(feeds),
            quant_format=QuantFormat.QDQ,
            per_channel=True,
            activation_type=QuantType.QInt8,
            weight_type=QuantType.QInt8,
            nodes_to_quantize=layers(onnx.load_from_string(artifact.serving)),
            extra_options={"QuantizeBias": False, "ActivationSymmetric": True},
        )
        return small.read_bytes()


def layers(model: onnx.ModelProto) -> list[str]:
    """Names of the nodes that are quantised."""
    constants = {one.name: numpy_helper.to_array(one) for one in model.graph.initializer}
    front = _needed_for(model, _FRONT_END)
    found = []
    for node in model.graph.node:
        if node.op_type not in ("MatMul", "Gemm", "Conv") or node.name in front:
            continue
        weights = [constants[name] for name in node.input if name in constants and constants[name].ndim > 1]
        if weights and weights[0].size >= _LEAST_WEIGHTS and not _averages(weights[0]):
            found.append(node.name)
    return found


def calibration(artifact: Artifact, clips: Iterable[Iterable[Frame]]) -> list[Feed]:
    """All inputs of the serving graph, states and rings too, in every ``EVERY``-th step over the clips."""
    recorder = _Recorder(OrtRunner(artifact, 1))
    for seed, clip in enumerate(clips):
        engine = ServingEngine(recorder, frame_inputs(artifact.manifest.inputs), "calibration")
        video = VideoFilter(FilterSettings(seed=seed, beyond_face=False), artifact, engine)
        try:
            for frame in clip:
                video.process(frame)
        finally:
            video.close()
    return recorder.feeds


class _Recorder:
    """A runner that notes what goes in."""

    def __init__(self, runner: OrtRunner) -> None:
        self.name = runner.name
        self.layout: Layout = runner.layout
        self.feeds: list[Feed] = []
        self._runner = runner
        self._steps = 0

    def bind(self, inputs: Mapping[str, Array], outputs: Mapping[str, Array]) -> Bound:
        return _Noted(self, self._runner.bind(inputs, outputs), dict(inputs))

    def note(self, inputs: Mapping[str, Array]) -> None:
        if self._steps % EVERY == 0:
            self.feeds.append({name: value.copy() for name, value in inputs.items()})
        self._steps += 1


class _Noted:
    def __init__(self, recorder: _Recorder, bound: Bound, inputs: Mapping[str, Array]) -> None:
        self._recorder, self._bound, self._inputs = recorder, bound, inputs

    def run(self) -> None:
        self._recorder.note(self._inputs)
        self._bound.run()


class _Reader(CalibrationDataReader):  # type: ignore[misc]  # the package has no types
    def __init__(self, feeds: list[Feed]) -> None:
        self._feeds: Iterator[Feed] = iter(feeds)

    def get_next(self) -> Feed | None:
        return next(self._feeds, None)


def _needed_for(model: onnx.ModelProto, outputs: Iterable[str]) -> set[str]:
    """Names of the nodes that these outputs come from."""
    makers = {name: node for node in model.graph.node for name in node.output}
    found: set[str] = set()
    open_ends = list(outputs)
    while open_ends:
        node = makers.get(open_ends.pop())
        if node is not None and node.name not in found:
            found.add(node.name)
            open_ends += node.input
    return found


def _averages(matrix: npt.NDArray[np.floating]) -> bool:
    """Whether it is a fixed average or enlargement, or a multiple of one: all of a sign, of one sum."""
    if matrix.ndim != 2 or (matrix.max() > 0.0 > matrix.min()):
        return False
    sums = [np.abs(matrix.sum(axis=axis)) for axis in (0, 1)]
    return any(bool(np.allclose(one, one[0], rtol=1e-3)) for one in sums)
