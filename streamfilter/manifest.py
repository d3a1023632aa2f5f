"""``manifest.json`` and back: strict, so that a damaged or foreign file never becomes a wrong shape later."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from dataclasses import asdict, fields
from itertools import pairwise
from pathlib import Path

from streamfilter.contract import (
    CROP,
    DT,
    FORMAT_VERSION,
    GAIN,
    MASKING,
    NEXT_PREFIX,
    PHASE,
    STATE_PREFIX,
    STEP_INPUTS,
    STRENGTH,
    TEXT,
    Manifest,
    TensorSpec,
)
from streamfilter.errors import ArtifactError

DTYPES = ("float32", "float16", "int64", "int32", "bool")
_SHA256 = re.compile(r"[0-9a-f]{64}")
_FILE_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]*")


def format_manifest(manifest: Manifest) -> str:
    """The JSON text of a manifest: keys in the contract's order, so that a change reads well in a diff."""
    return json.dumps(asdict(manifest), indent=2, ensure_ascii=False, allow_nan=False) + "\n"


def parse_manifest(content: bytes, source: Path) -> Manifest:
    """Read ``manifest.json``; ``source`` is only named in messages.

    Raises ArtifactError for anything but a manifest of this format version that keeps the contract: not
    JSON, another or a newer format, a missing, unknown or ill-typed key, a tensor that does not fit.
    """
    try:
        data = json.loads(content.decode("utf-8"))
    except (UnicodeDecodeError, json.JSONDecodeError, RecursionError) as error:
        raise ArtifactError(f"{source} is not JSON ({error}): copy or export the artifact again") from error
    if not isinstance(data, dict):
        raise _bad(source, "it is not an object")
    version = data.get("format_version")
    if not isinstance(version, int) or isinstance(version, bool) or version < 1:
        raise _bad(source, "format_version is not a positive whole number")
    if version > FORMAT_VERSION:
        raise ArtifactError(
            f"{source} has format {version}, this physio-cam reads formats up to {FORMAT_VERSION}: "
            "update physio-cam"
        )
    expected = {entry.name for entry in fields(Manifest)}
    if missing := sorted(expected - data.keys()):
        raise _bad(source, f"it lacks {', '.join(missing)}")
    if unknown := sorted(data.keys() - expected):
        raise _bad(source, f"it has unknown keys: {', '.join(unknown)}")
    manifest = Manifest(
        format_version=version,
        name=_text(data, "name", source),
        files=_files(data["files"], source),
        crop_size=_whole(data, "crop_size", source),
        context=_whole(data, "context", source),
        nominal_fps=_number(data, "nominal_fps", source),
        inputs=_tensors(data, "inputs", source),
        outputs=_tensors(data, "outputs", source),
        bpm_grid=_bpm_grid(data["bpm_grid"], source),
        text_encoder=_text(data, "text_encoder", source),
        masking=_number(data, "masking", source),
        pulse_direction=_colours(data["pulse_direction"], source),
        training=_object(data, "training", source),
        measured=_object(data, "measured", source),
        licence=_text(data, "licence", source),
    )
    check_manifest(manifest, source)
    return manifest


def check_manifest(manifest: Manifest, source: Path) -> None:
    """Check what the types do not say: ranges, and that the tensors are the contract's.

    Raises ArtifactError that names ``source``.
    """
    if manifest.format_version != FORMAT_VERSION:
        raise _bad(source, f"format_version should be {FORMAT_VERSION}")
    if not 1 <= manifest.crop_size <= 1024:
        raise _bad(source, f"crop_size {manifest.crop_size} is outside 1 to 1024")
    if manifest.context < 0:
        raise _bad(source, f"context {manifest.context} is negative")
    if not (math.isfinite(manifest.nominal_fps) and manifest.nominal_fps > 0):
        raise _bad(source, f"nominal_fps {manifest.nominal_fps} is not a positive number")
    if not 0 <= manifest.masking <= 0.1:
        raise _bad(source, f"masking {manifest.masking} is outside 0 to 0.1")
    grid = manifest.bpm_grid
    if not grid or any(high <= low for low, high in pairwise(grid)):
        raise _bad(source, "bpm_grid is empty or does not increase")
    _check_tensors(manifest, source)


def _check_tensors(manifest: Manifest, source: Path) -> None:
    inputs = _by_name(manifest.inputs, "inputs", source)
    outputs = _by_name(manifest.outputs, "outputs", source)
    size = manifest.crop_size
    picture = (1, 3, size, size)
    for name, shape in (
        (CROP, picture),
        (PHASE, (1, 2)),
        (STRENGTH, (1, 1)),
        (DT, (1, 1)),
        (MASKING, (1, 3, 3, 3)),
    ):
        _expect(inputs, TensorSpec(name, shape, "float32"), source)
    text = inputs.get(TEXT)
    if text is None or len(text.shape) != 2 or text.shape[0] != 1 or text.dtype != "float32":
        raise _bad(source, f"input {TEXT!r} should be (1, D) float32")
    _expect(outputs, TensorSpec(GAIN, picture, "float32"), source)
    rest = inputs.keys() - set(STEP_INPUTS)
    states = {name.removeprefix(STATE_PREFIX) for name in rest}
    if foreign := sorted(name for name in rest if not name.startswith(STATE_PREFIX)):
        raise _bad(source, f"inputs that no engine would feed: {', '.join(foreign)}")
    for state in sorted(states):
        spec = inputs[STATE_PREFIX + state]
        _expect(outputs, TensorSpec(NEXT_PREFIX + state, spec.shape, spec.dtype), source)
    if foreign := sorted(outputs.keys() - {GAIN} - {NEXT_PREFIX + state for state in states}):
        raise _bad(source, f"outputs that belong to no state: {', '.join(foreign)}")


def _by_name(specs: tuple[TensorSpec, ...], key: str, source: Path) -> dict[str, TensorSpec]:
    named = {spec.name: spec for spec in specs}
    if len(named) != len(specs):
        raise _bad(source, f"{key} lists a tensor twice")
    return named


def _expect(tensors: Mapping[str, TensorSpec], wanted: TensorSpec, source: Path) -> None:
    if tensors.get(wanted.name) != wanted:
        raise _bad(source, f"tensor {wanted.name!r} should be {wanted.shape} {wanted.dtype}")


def _bad(source: Path, what: str) -> ArtifactError:
    return ArtifactError(f"{source} is not a valid manifest: {what}; copy or export the artifact again")


def _text(data: Mapping[str, object], key: str, source: Path) -> str:
    value = data[key]
    if not isinstance(value, str):
        raise _bad(source, f"{key} is not a string")
    return value


def _whole(data: Mapping[str, object], key: str, source: Path) -> int:
    value = data[key]
    if not isinstance(value, int) or isinstance(value, bool):
        raise _bad(source, f"{key} is not a whole number")
    return value


def _number(data: Mapping[str, object], key: str, source: Path) -> float:
    value = data[key]
    if not isinstance(value, int | float) or isinstance(value, bool):
        raise _bad(source, f"{key} is not a number")
    return float(value)


def _object(data: Mapping[str, object], key: str, source: Path) -> dict[str, object]:
    value = data[key]
    if not isinstance(value, dict):
        raise _bad(source, f"{key} is not an object")
    return value


def _files(value: object, source: Path) -> dict[str, str]:
    if not isinstance(value, dict):
        raise _bad(source, "files is not an object")
    for name, digest in value.items():
        # A plain name: the manifest may not point outside its own folder.
        if not _FILE_NAME.fullmatch(name):
            raise _bad(source, f"{name!r} is not a plain file name")
        if not isinstance(digest, str) or not _SHA256.fullmatch(digest):
            raise _bad(source, f"the sha256 of {name} is not 64 hexadecimal digits")
    return dict(value)


def _tensors(data: Mapping[str, object], key: str, source: Path) -> tuple[TensorSpec, ...]:
    value = data[key]
    if not isinstance(value, list):
        raise _bad(source, f"{key} is not a list")
    return tuple(_tensor(entry, key, source) for entry in value)


def _tensor(entry: object, key: str, source: Path) -> TensorSpec:
    if not isinstance(entry, dict) or entry.keys() != {"name", "shape", "dtype"}:
        raise _bad(source, f"a tensor of {key} is not {{name, shape, dtype}}")
    name, shape, dtype = entry["name"], entry["shape"], entry["dtype"]
    if not isinstance(name, str) or dtype not in DTYPES:
        raise _bad(source, f"tensor {name!r} of {key} has no name or an unknown dtype {dtype!r}")
    if not isinstance(shape, list) or not all(type(side) is int and 0 < side <= 2**24 for side in shape):
        raise _bad(source, f"the shape of tensor {name!r} is not a list of positive whole numbers")
    return TensorSpec(name, tuple(shape), str(dtype))


def _colours(value: object, source: Path) -> tuple[float, float, float]:
    numbers = value if isinstance(value, list | tuple) else []
    if len(numbers) != 3 or not all(type(part) in (int, float) and 0 <= part <= 0.1 for part in numbers):
        raise _bad(source, "pulse_direction is not three numbers from 0 to 0.1")
    return float(numbers[0]), float(numbers[1]), float(numbers[2])


def _bpm_grid(value: object, source: Path) -> tuple[int, ...]:
    if not isinstance(value, list) or not all(type(bpm) is int for bpm in value):
        raise _bad(source, "bpm_grid is not a list of whole numbers")
    return tuple(value)
