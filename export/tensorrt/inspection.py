"""What an engine consists of, read from what TensorRT's builder says while it builds.

The engine inspector needs a loaded engine, and loading needs a GPU. The builder knows the same and logs it
at its finest level: each kernel with its kind and what it took from the ONNX graph, each binding with its
type, shape and profile, and the number of engines in the plan.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import onnx

from streamfilter.errors import EngineError

_ENGINES = re.compile(r"Adding (\d+) engine\(s\) to plan file")
_KERNEL = re.compile(r"^Name: (?P<name>[^,]+), LayerType: (?P<kind>\w+), (?P<rest>.*)$", re.M)
_BINDING = re.compile(
    r"^\s*Name: (?P<name>[^,]+), IOMode: (?P<mode>\w+), DataType: (?P<kind>\w+), "
    r"Dimensions: \[(?P<shape>[-\d,]*)\], (?P<rest>.*)$",
    re.M,
)
_PROFILE = re.compile(r"MinShape: \[([-\d,]*)\], OptShape: \[([-\d,]*)\], MaxShape: \[([-\d,]*)\]")
_KINDS: dict[int, str] = {
    int(onnx.TensorProto.FLOAT): "Float",
    int(onnx.TensorProto.FLOAT16): "Half",
    int(onnx.TensorProto.INT64): "Int64",
}
Shape = tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Binding:
    """An input or output of the engine; ``profile``: smallest, best and largest shape of an input."""

    name: str
    mode: str
    kind: str
    shape: Shape
    profile: tuple[Shape, ...]


@dataclass(frozen=True, slots=True)
class Inspection:
    """``engines`` in the plan; ``kernels``: number of each kind; ``half``: kernels that take or give float16;
    ``bindings`` in the engine's order."""

    engines: int
    kernels: dict[str, int]
    half: int
    bindings: tuple[Binding, ...]


def inspect(log: Iterable[str]) -> Inspection:
    """Read the builder's messages. Raises EngineError where they do not tell of one engine with bindings."""
    text = "\n".join(log)
    engines = [int(found) for found in _ENGINES.findall(text)]
    bindings = tuple(
        Binding(
            found["name"],
            found["mode"],
            found["kind"],
            _shape(found["shape"]),
            tuple(_shape(part) for part in profile.groups())
            if (profile := _PROFILE.search(found["rest"]))
            else (),
        )
        for found in _BINDING.finditer(text)
    )
    kernels = [found for found in _KERNEL.finditer(text) if "IOMode" not in found["rest"]]
    if not engines or not bindings or not kernels:
        raise EngineError(
            "TensorRT's builder did not say what it built: its log has another form in this release, "
            "use tensorrt-rtx 1.7"
        )
    half = sum("Datatype: Half" in found["rest"] for found in kernels)
    return Inspection(engines[-1], dict(Counter(found["kind"] for found in kernels)), half, bindings)


def check(found: Inspection, graph: onnx.GraphProto, batches: tuple[int, int, int]) -> None:
    """Raise EngineError unless the plan is one engine whose bindings are the graph's inputs and outputs, by
    name, type and shape, with profiles from the first to the last of ``batches``."""
    if found.engines != 1:
        raise EngineError(f"TensorRT made {found.engines} engines of the graph, not one")
    bindings = {(one.mode, one.name): one for one in found.bindings}
    if len(bindings) != len(found.bindings):
        raise EngineError("TensorRT made an engine with a binding twice")
    for mode, values in (("Input", graph.input), ("Output", graph.output)):
        for value in values:
            kind = value.type.tensor_type
            rest = tuple(dim.dim_value for dim in kind.shape.dim)[1:]
            profile = tuple((batch, *rest) for batch in batches) if mode == "Input" else ()
            wanted = Binding(value.name, mode, _KINDS[kind.elem_type], (-1, *rest), profile)
            if (one := bindings.pop((mode, value.name), None)) != wanted:
                raise EngineError(f"the engine binds {one}, the graph has {wanted}")
    if bindings:
        raise EngineError(f"the engine binds more than the graph has: {', '.join(n for _, n in bindings)}")


def summary(kernels: Mapping[str, int]) -> str:
    """Kinds of kernels with their number, the most frequent first."""
    return ", ".join(f"{count} {kind}" for kind, count in sorted(kernels.items(), key=lambda k: -k[1]))


def _shape(text: str) -> Shape:
    return tuple(int(side) for side in text.split(",")) if text else ()
