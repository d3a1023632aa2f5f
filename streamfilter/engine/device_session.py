"""``device.onnx`` in an ONNX Runtime session whose memory lies where it computes.

On the CPU it computes the same, by the same code, which is how it is tested where there is no GPU.
"""

from __future__ import annotations

import hashlib
from itertools import count
from typing import Any

import onnxruntime as ort

from streamfilter.artifact import Artifact
from streamfilter.contract import DEVICE_GRAPH, TensorSpec
from streamfilter.engine.device_buffers import Buffers, Place
from streamfilter.engine.device_rows import DeviceRows
from streamfilter.engine.layout import Layout, layout_of
from streamfilter.engine.onnxruntime_cpu import DTYPES, PROVIDER, cpu_options
from streamfilter.errors import ArtifactError, EngineError

CPU = Place("device on cpu", PROVIDER)


class DeviceSession:
    """A session on ``device.onnx``, checked: the provider that was asked for runs it, and the tensors are
    what the manifest promises."""

    def __init__(self, artifact: Artifact, session: ort.InferenceSession, place: Place) -> None:
        """Raises EngineError where another provider took the place, ArtifactError where the graph is not
        what the manifest promises."""
        if session.get_providers()[0] != place.provider:
            raise EngineError(
                f"ONNX Runtime runs the graph on {session.get_providers()[0]}, not on {place.provider}: "
                f"update the GPU's driver and onnxruntime, or take --engine onnxruntime"
            )
        self.place = place
        self.name = place.engine
        self.layout = _layout(artifact, session)
        self._session = session
        self._captured = count(1)

    def buffers(self, streams: int) -> Buffers:
        """Memory for ``streams`` streams on the device. Raises EngineError where it has none left."""
        graphs = (next(self._captured), next(self._captured))
        return Buffers(self._session, self.layout, self.place, streams, graphs)

    def rows(self, slots: int) -> DeviceRows:
        """See :class:`~streamfilter.engine.batch.BatchRunner`."""
        return DeviceRows(self.buffers(slots), self.layout, slots)


def open_on_cpu(artifact: Artifact, threads: int = 1) -> DeviceSession:
    """The device graph on the CPU, for tests and comparison. Raises EngineError and ArtifactError."""
    return DeviceSession(artifact, _on_cpu(artifact, device_graph(artifact), cpu_options(threads)), CPU)


def layout_on_cpu(artifact: Artifact, graph: bytes) -> Layout:
    """The tensors of the device graph, for those who need them before they open it."""
    options = cpu_options(1)
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
    return _layout(artifact, _on_cpu(artifact, graph, options))


def _on_cpu(artifact: Artifact, graph: bytes, options: ort.SessionOptions) -> ort.InferenceSession:
    try:
        return ort.InferenceSession(graph, options, providers=[PROVIDER])
    except Exception as error:  # the binding raises a dozen unrelated classes
        raise EngineError(f"ONNX Runtime cannot load {artifact.path / DEVICE_GRAPH}: {error}") from error


def device_graph(artifact: Artifact) -> bytes:
    """The content of ``device.onnx``, read now, since only GPU engines need it.

    Raises ArtifactError where the artifact has none, or its hash is not the manifest's.
    """
    digest = artifact.manifest.files.get(DEVICE_GRAPH)
    if digest is None:
        raise ArtifactError(
            f"{artifact.path} holds no {DEVICE_GRAPH}, which engines on a GPU need: export the artifact again"
        )
    try:
        content = (artifact.path / DEVICE_GRAPH).read_bytes()
    except OSError as error:
        raise ArtifactError(f"{artifact.path / DEVICE_GRAPH} cannot be read ({error.strerror})") from error
    if hashlib.sha256(content).hexdigest() != digest:
        raise ArtifactError(f"{artifact.path / DEVICE_GRAPH} is damaged (wrong sha256): copy it again")
    return content


def _layout(artifact: Artifact, session: ort.InferenceSession) -> Layout:
    inputs, outputs = session.get_inputs(), session.get_outputs()
    return layout_of(artifact.manifest, map(_spec, inputs), map(_spec, outputs), DEVICE_GRAPH)


def _spec(node: Any) -> TensorSpec:
    _, *shape = node.shape
    if not all(isinstance(side, int) for side in shape):
        raise ArtifactError(f"tensor {node.name!r} of {DEVICE_GRAPH} has no fixed shape beyond its batch")
    return TensorSpec(node.name, tuple(shape), DTYPES.get(node.type, node.type))
