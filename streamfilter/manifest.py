"""``manifest.json`` and back: strict, so that a damaged or foreign file never becomes a wrong shape later."""

from __future__ import annotations

import json
from dataclasses import asdict, fields
from pathlib import Path

from streamfilter import manifest_fields as read
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
    WINDOW_KIND,
    Manifest,
    TensorSpec,
)
from streamfilter.errors import ArtifactError
from streamfilter.manifest_fields import bad, by_name, expect


def format_manifest(manifest: Manifest) -> str:
    """The JSON text of a manifest: keys in the contract's order, so that a change reads well in a diff."""
    return json.dumps(asdict(manifest), indent=2, ensure_ascii=False, allow_nan=False) + "\n"


def parse_manifest(content: bytes, source: Path) -> Manifest:
    """Read ``manifest.json`` of a stream editor; ``source`` is only named in messages.

    Raises ArtifactError for anything but a manifest of this format version that keeps the contract: not
    JSON, a window editor's, another or a newer format, a missing, unknown or ill-typed key, a tensor that
    does not fit.
    """
    data, version = read.read_object(content, source)
    if data.get("kind") == WINDOW_KIND:
        raise ArtifactError(
            f"{source.parent} is a window editor, this is the stream mode: run it on a file with "
            "--mode window, or give a stream editor's artifact"
        )
    if version > FORMAT_VERSION:
        raise read.too_new(source, version, FORMAT_VERSION)
    read.check_keys(data, {entry.name for entry in fields(Manifest)}, source)
    manifest = Manifest(
        format_version=version,
        name=read.text(data, "name", source),
        files=read.files(data, source),
        crop_size=read.whole(data, "crop_size", source),
        context=read.whole(data, "context", source),
        nominal_fps=read.number(data, "nominal_fps", source),
        inputs=read.tensors(data, "inputs", source),
        outputs=read.tensors(data, "outputs", source),
        bpm_grid=read.bpm_grid(data, source),
        text_encoder=read.text(data, "text_encoder", source),
        masking=read.number(data, "masking", source),
        pulse_direction=read.colours(data, "pulse_direction", source),
        training=read.mapping(data, "training", source),
        measured=read.mapping(data, "measured", source),
        licence=read.text(data, "licence", source),
    )
    check_manifest(manifest, source)
    return manifest


def check_manifest(manifest: Manifest, source: Path) -> None:
    """Check what the types do not say: ranges, and that the tensors are the contract's.

    Raises ArtifactError that names ``source``.
    """
    if manifest.format_version != FORMAT_VERSION:
        raise bad(source, f"format_version should be {FORMAT_VERSION}")
    read.check_crop(manifest.crop_size, manifest.nominal_fps, source)
    if manifest.context < 0:
        raise bad(source, f"context {manifest.context} is negative")
    if not 0 <= manifest.masking <= 0.1:
        raise bad(source, f"masking {manifest.masking} is outside 0 to 0.1")
    read.check_grid(manifest.bpm_grid, source)
    _check_tensors(manifest, source)


def _check_tensors(manifest: Manifest, source: Path) -> None:
    inputs = by_name(manifest.inputs, "inputs", source)
    outputs = by_name(manifest.outputs, "outputs", source)
    size = manifest.crop_size
    picture = (1, 3, size, size)
    for name, shape in (
        (CROP, picture),
        (PHASE, (1, 2)),
        (STRENGTH, (1, 1)),
        (DT, (1, 1)),
        (MASKING, (1, 3, 3, 3)),
    ):
        expect(inputs, TensorSpec(name, shape, "float32"), source)
    read.expect_text(inputs, TEXT, source)
    expect(outputs, TensorSpec(GAIN, picture, "float32"), source)
    rest = inputs.keys() - set(STEP_INPUTS)
    states = {name.removeprefix(STATE_PREFIX) for name in rest}
    if foreign := sorted(name for name in rest if not name.startswith(STATE_PREFIX)):
        raise bad(source, f"inputs that no engine would feed: {', '.join(foreign)}")
    for state in sorted(states):
        spec = inputs[STATE_PREFIX + state]
        expect(outputs, TensorSpec(NEXT_PREFIX + state, spec.shape, spec.dtype), source)
    if foreign := sorted(outputs.keys() - {GAIN} - {NEXT_PREFIX + state for state in states}):
        raise bad(source, f"outputs that belong to no state: {', '.join(foreign)}")
