"""The fields of a manifest, read from JSON strictly; for the manifests of stream and window editors.

Each reader raises ArtifactError that names the manifest (``source``) where a value is not what it should be.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from itertools import pairwise
from pathlib import Path

from streamfilter.contract import TensorSpec
from streamfilter.errors import ArtifactError

DTYPES = ("float32", "float16", "int64", "int32", "bool")
_SHA256 = re.compile(r"[0-9a-f]{64}")
_FILE_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]*")


def read_object(content: bytes, source: Path) -> tuple[dict[str, object], int]:
    """The manifest's keys and its format version, at least 1."""
    try:
        data = json.loads(content.decode("utf-8"))
    except (UnicodeDecodeError, json.JSONDecodeError, RecursionError) as error:
        raise ArtifactError(f"{source} is not JSON ({error}): copy or export the artifact again") from error
    if not isinstance(data, dict):
        raise bad(source, "it is not an object")
    version = data.get("format_version")
    if not isinstance(version, int) or isinstance(version, bool) or version < 1:
        raise bad(source, "format_version is not a positive whole number")
    return data, version


def too_new(source: Path, version: int, known: int) -> ArtifactError:
    """What to say of a format that a later program wrote."""
    return ArtifactError(
        f"{source} has format {version}, this physio-cam reads formats up to {known}: update physio-cam"
    )


def check_keys(data: Mapping[str, object], expected: set[str], source: Path) -> None:
    """Neither a missing key nor an unknown one."""
    if missing := sorted(expected - data.keys()):
        raise bad(source, f"it lacks {', '.join(missing)}")
    if unknown := sorted(data.keys() - expected):
        raise bad(source, f"it has unknown keys: {', '.join(unknown)}")


def check_crop(crop_size: int, nominal_fps: float, source: Path) -> None:
    """The crop's side and the rate of training are in range."""
    if not 1 <= crop_size <= 1024:
        raise bad(source, f"crop_size {crop_size} is outside 1 to 1024")
    if not (math.isfinite(nominal_fps) and nominal_fps > 0):
        raise bad(source, f"nominal_fps {nominal_fps} is not a positive number")


def check_grid(grid: tuple[int, ...], source: Path) -> None:
    """The heart rates rise."""
    if not grid or any(high <= low for low, high in pairwise(grid)):
        raise bad(source, "bpm_grid is empty or does not increase")


def by_name(specs: tuple[TensorSpec, ...], key: str, source: Path) -> dict[str, TensorSpec]:
    """The tensors by name, none twice."""
    named = {spec.name: spec for spec in specs}
    if len(named) != len(specs):
        raise bad(source, f"{key} lists a tensor twice")
    return named


def expect(tensors: Mapping[str, TensorSpec], wanted: TensorSpec, source: Path) -> None:
    """The tensor ``wanted`` is there, with its shape and dtype."""
    if tensors.get(wanted.name) != wanted:
        raise bad(source, f"tensor {wanted.name!r} should be {wanted.shape} {wanted.dtype}")


def expect_text(inputs: Mapping[str, TensorSpec], name: str, source: Path) -> None:
    """The embedding's input is (1, D) float32."""
    text = inputs.get(name)
    if text is None or len(text.shape) != 2 or text.shape[0] != 1 or text.dtype != "float32":
        raise bad(source, f"input {name!r} should be (1, D) float32")


def bad(source: Path, what: str) -> ArtifactError:
    """The error for a manifest that is not valid."""
    return ArtifactError(f"{source} is not a valid manifest: {what}; copy or export the artifact again")


def text(data: Mapping[str, object], key: str, source: Path) -> str:
    """A string."""
    value = data[key]
    if not isinstance(value, str):
        raise bad(source, f"{key} is not a string")
    return value


def whole(data: Mapping[str, object], key: str, source: Path) -> int:
    """A whole number."""
    value = data[key]
    if not isinstance(value, int) or isinstance(value, bool):
        raise bad(source, f"{key} is not a whole number")
    return value


def number(data: Mapping[str, object], key: str, source: Path) -> float:
    """A number."""
    value = data[key]
    if not isinstance(value, int | float) or isinstance(value, bool):
        raise bad(source, f"{key} is not a number")
    return float(value)


def mapping(data: Mapping[str, object], key: str, source: Path) -> dict[str, object]:
    """An object."""
    value = data[key]
    if not isinstance(value, dict):
        raise bad(source, f"{key} is not an object")
    return value


def files(data: Mapping[str, object], source: Path) -> dict[str, str]:
    """The files' sha256 by name."""
    value = data["files"]
    if not isinstance(value, dict):
        raise bad(source, "files is not an object")
    for name, digest in value.items():
        # A plain name: the manifest may not point outside its own folder.
        if not _FILE_NAME.fullmatch(name):
            raise bad(source, f"{name!r} is not a plain file name")
        if not isinstance(digest, str) or not _SHA256.fullmatch(digest):
            raise bad(source, f"the sha256 of {name} is not 64 hexadecimal digits")
    return dict(value)


def tensors(data: Mapping[str, object], key: str, source: Path) -> tuple[TensorSpec, ...]:
    """The list of tensors at ``key``."""
    value = data[key]
    if not isinstance(value, list):
        raise bad(source, f"{key} is not a list")
    return tuple(_tensor(entry, key, source) for entry in value)


def colours(data: Mapping[str, object], key: str, source: Path) -> tuple[float, float, float]:
    """Relative amplitudes of R, G, B, 0 to 0.1."""
    value = data[key]
    numbers = value if isinstance(value, list | tuple) else []
    if len(numbers) != 3 or not all(type(part) in (int, float) and 0 <= part <= 0.1 for part in numbers):
        raise bad(source, f"{key} is not three numbers from 0 to 0.1")
    return float(numbers[0]), float(numbers[1]), float(numbers[2])


def bpm_grid(data: Mapping[str, object], source: Path) -> tuple[int, ...]:
    """The heart rates that the conditioning holds."""
    value = data["bpm_grid"]
    if not isinstance(value, list) or not all(type(bpm) is int for bpm in value):
        raise bad(source, "bpm_grid is not a list of whole numbers")
    return tuple(value)


def _tensor(entry: object, key: str, source: Path) -> TensorSpec:
    if not isinstance(entry, dict) or entry.keys() != {"name", "shape", "dtype"}:
        raise bad(source, f"a tensor of {key} is not {{name, shape, dtype}}")
    name, shape, dtype = entry["name"], entry["shape"], entry["dtype"]
    if not isinstance(name, str) or dtype not in DTYPES:
        raise bad(source, f"tensor {name!r} of {key} has no name or an unknown dtype {dtype!r}")
    if not isinstance(shape, list) or not all(type(side) is int and 0 < side <= 2**24 for side in shape):
        raise bad(source, f"the shape of tensor {name!r} is not a list of positive whole numbers")
    return TensorSpec(name, tuple(shape), str(dtype))
