"""The tensors of a serving or device graph: what a caller gives, what is swapped, what is a ring."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from streamfilter.contract import (
    FRAME,
    GAIN,
    NEXT_PREFIX,
    RING_PREFIX,
    ROW_PREFIX,
    SERVING_GRAPH,
    STATE_PREFIX,
    Manifest,
    TensorSpec,
)
from streamfilter.engine.base import frame_inputs
from streamfilter.errors import ArtifactError


@dataclass(frozen=True, slots=True)
class Ring:
    """The past of a stream: ``ring`` is read by the graph; its ``row`` goes to place ``frame`` mod ``length``
    along ``axis``."""

    ring: TensorSpec
    row: TensorSpec
    axis: int
    length: int


@dataclass(frozen=True, slots=True)
class Layout:
    """Shapes are of one stream, without the batch axis, which comes first in the graph."""

    inputs: tuple[TensorSpec, ...]
    gain: TensorSpec
    states: tuple[tuple[TensorSpec, TensorSpec], ...]
    rings: tuple[Ring, ...]


def layout_of(
    manifest: Manifest, inputs: Iterable[TensorSpec], outputs: Iterable[TensorSpec], file: str = SERVING_GRAPH
) -> Layout:
    """Sort the tensors of the graph ``file``, given without their batch axis.

    Raises ArtifactError unless they are exactly the manifest's frame inputs and gain, and pairs of state and
    next, ring and row.
    """

    def unlike(what: str) -> ArtifactError:
        return ArtifactError(
            f"the {what} of {file} is not what the manifest and the contract promise: "
            "export the artifact again"
        )

    given = {spec.name: spec for spec in inputs}
    made = {spec.name: spec for spec in outputs}
    wanted = [TensorSpec(spec.name, spec.shape[1:], spec.dtype) for spec in frame_inputs(manifest.inputs)]
    gain = next(spec for spec in manifest.outputs if spec.name == GAIN)
    for spec in (*wanted, TensorSpec(FRAME, (), "int64")):
        if given.pop(spec.name, None) != spec:
            raise unlike(f"input {spec.name!r}")
    gain = TensorSpec(GAIN, gain.shape[1:], gain.dtype)
    if made.pop(GAIN, None) != gain:
        raise unlike(f"output {GAIN!r}")
    states, rings = [], []
    for name, spec in given.items():
        if name.startswith(STATE_PREFIX):
            following = made.pop(NEXT_PREFIX + name.removeprefix(STATE_PREFIX), None)
            if following is None or (following.shape, following.dtype) != (spec.shape, spec.dtype):
                raise unlike(f"input {name!r}")
            states.append((spec, following))
        elif name.startswith(RING_PREFIX):
            row = made.pop(ROW_PREFIX + name.removeprefix(RING_PREFIX), None)
            ring = _ring(spec, row)
            if ring is None:
                raise unlike(f"input {name!r}")
            rings.append(ring)
        else:
            raise unlike(f"input {name!r}")
    if made:
        raise unlike(f"output {next(iter(made))!r}")
    return Layout(tuple(wanted), gain, tuple(states), tuple(rings))


def _ring(ring: TensorSpec, row: TensorSpec | None) -> Ring | None:
    if row is None or len(row.shape) != len(ring.shape) or row.dtype != ring.dtype:
        return None
    axes = [axis for axis, (long, one) in enumerate(zip(ring.shape, row.shape, strict=True)) if long != one]
    if len(axes) != 1 or row.shape[axes[0]] != 1:
        return None
    return Ring(ring, row, axes[0], ring.shape[axes[0]])
