"""The window editor's artifact: reading it, and the manifest's writing for the export."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path

from streamfilter import manifest_fields as read
from streamfilter.artifact import (
    Conditioning,
    check_conditioning,
    digests_of,
    parse_conditioning,
    read_file,
    read_files,
    write_whole,
)
from streamfilter.contract import CONDITIONING, MANIFEST, WINDOW_KIND, TensorSpec
from streamfilter.errors import ArtifactError
from streamfilter.window.contract import (
    CROPS,
    EDITED,
    FORMAT_VERSION,
    GRAPH,
    PHASE,
    TEXT,
    WindowManifest,
)

MAX_WINDOW = 1024
_FILES = (GRAPH, CONDITIONING)


@dataclass(frozen=True, slots=True, eq=False)
class WindowArtifact:
    """A checked window artifact. ``graph`` is the content of ``window.onnx`` whose hash was verified."""

    path: Path
    manifest: WindowManifest
    conditioning: Conditioning
    graph: bytes = field(repr=False)


def load_window_artifact(folder: Path) -> WindowArtifact:
    """Read the window artifact in ``folder``. Raises ArtifactError as ``artifact.load_artifact``,
    and where the folder holds a stream editor."""
    if not folder.is_dir():
        raise ArtifactError(
            f"there is no artifact folder at {folder}: give the folder that holds manifest.json"
        )
    manifest = parse_window_manifest(read_file(folder, MANIFEST), folder / MANIFEST)
    contents = read_files(folder, manifest.files, _FILES)
    conditioning = parse_conditioning(contents[CONDITIONING], folder / CONDITIONING)
    check_conditioning(conditioning, manifest.bpm_grid, manifest.inputs, folder)
    return WindowArtifact(folder, manifest, conditioning, contents[GRAPH])


def write_window_manifest(folder: Path, manifest: WindowManifest) -> WindowManifest:
    """Write ``manifest.json`` beside the exported files, whose sha256 are computed here, and return it as
    written. Raises ArtifactError where a file is missing or the manifest contradicts the contract."""
    complete = replace(manifest, files=digests_of(folder, dict.fromkeys((*_FILES, *manifest.files))))
    _check(complete, folder / MANIFEST)
    text = json.dumps(asdict(complete), indent=2, ensure_ascii=False, allow_nan=False) + "\n"
    write_whole(folder / MANIFEST, text)
    return complete


def parse_window_manifest(content: bytes, source: Path) -> WindowManifest:
    """Read a window editor's ``manifest.json``; ``source`` is for messages. Raises ArtifactError."""
    data, version = read.read_object(content, source)
    if version > FORMAT_VERSION:
        raise read.too_new(source, version, FORMAT_VERSION)
    if "kind" not in data:
        raise ArtifactError(
            f"{source.parent} is a stream editor, this is the window mode: leave --mode window out, or give "
            "a window editor's artifact (python -m export --reference)"
        )
    read.check_keys(data, {entry.name for entry in fields(WindowManifest)}, source)
    manifest = WindowManifest(
        format_version=version,
        kind=read.text(data, "kind", source),
        name=read.text(data, "name", source),
        files=read.files(data, source),
        crop_size=read.whole(data, "crop_size", source),
        window=read.whole(data, "window", source),
        nominal_fps=read.number(data, "nominal_fps", source),
        inputs=read.tensors(data, "inputs", source),
        outputs=read.tensors(data, "outputs", source),
        bpm_grid=read.bpm_grid(data, source),
        text_encoder=read.text(data, "text_encoder", source),
        vae=read.text(data, "vae", source),
        pulse_direction=read.colours(data, "pulse_direction", source),
        training=read.mapping(data, "training", source),
        measured=read.mapping(data, "measured", source),
        licence=read.text(data, "licence", source),
    )
    _check(manifest, source)
    return manifest


def _check(manifest: WindowManifest, source: Path) -> None:
    """Ranges, and that the tensors are the contract's."""
    if manifest.format_version != FORMAT_VERSION:
        raise read.bad(source, f"format_version should be {FORMAT_VERSION}")
    if manifest.kind != WINDOW_KIND:
        raise read.bad(source, f"kind {manifest.kind!r} is not {WINDOW_KIND!r}")
    read.check_crop(manifest.crop_size, manifest.nominal_fps, source)
    if not 2 <= manifest.window <= MAX_WINDOW:
        raise read.bad(source, f"window {manifest.window} is outside 2 to {MAX_WINDOW}")
    read.check_grid(manifest.bpm_grid, source)
    inputs = read.by_name(manifest.inputs, "inputs", source)
    outputs = read.by_name(manifest.outputs, "outputs", source)
    pictures = (1, manifest.window, 3, manifest.crop_size, manifest.crop_size)
    read.expect(inputs, TensorSpec(CROPS, pictures, "float32"), source)
    read.expect(inputs, TensorSpec(PHASE, (1, manifest.window, 2), "float32"), source)
    read.expect_text(inputs, TEXT, source)
    read.expect(outputs, TensorSpec(EDITED, pictures, "float32"), source)
    if len(inputs) != 3 or len(outputs) != 1:
        raise read.bad(source, f"the graph should take {CROPS}, {TEXT}, {PHASE} and give {EDITED} only")
