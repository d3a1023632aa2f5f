"""The artifact: one folder with the trained editor, the only thing that passes from training to run time.

:func:`load_artifact` reads and checks it, :func:`write_manifest` is its counterpart for the export. Both
know the layout from :mod:`streamfilter.contract` and the JSON form from :mod:`streamfilter.manifest`.
"""

from __future__ import annotations

import hashlib
import io
import zipfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt

from streamfilter.contract import (
    CONDITIONING,
    MANIFEST,
    SERVING_GRAPH,
    STEP_GRAPH,
    TEXT,
    Manifest,
    TensorSpec,
)
from streamfilter.errors import ArtifactError, UsageError
from streamfilter.manifest import check_manifest, format_manifest, parse_manifest

REQUIRED_FILES = (STEP_GRAPH, CONDITIONING)


def default_artifact_path() -> Path:
    """The folder of the artifact that ships inside the package."""
    return Path(__file__).parent / "artifacts" / "default"


@dataclass(frozen=True, slots=True, eq=False)
class Conditioning:
    """The frozen text embeddings of ``conditioning.npz``.

    ``bpm`` is (N,) int64, strictly increasing, beats a minute; ``embedding`` is (N, D) float32, its rows
    belong to the rates of ``bpm``.
    """

    bpm: npt.NDArray[np.int64]
    embedding: npt.NDArray[np.float32]

    def text(self, bpm: float, name: str) -> npt.NDArray[np.float32]:
        """The embedding of a heart rate, (1, D) float32, interpolated linearly between the grid's rates.

        Raises UsageError where ``bpm`` is outside them; ``name`` is the artifact's, for the message.
        """
        grid, rows = self.bpm, self.embedding
        if not grid[0] <= bpm <= grid[-1]:
            raise UsageError(
                f"a heart rate of {bpm:g} bpm is outside what the artifact {name!r} can show: "
                f"choose one from {grid[0]} to {grid[-1]}"
            )
        upper = int(np.searchsorted(grid, bpm))
        if grid[upper] == bpm:
            return rows[upper : upper + 1].copy()
        low, high = float(grid[upper - 1]), float(grid[upper])
        weight = np.float32((bpm - low) / (high - low))
        return rows[upper - 1 : upper] * (1 - weight) + rows[upper : upper + 1] * weight


@dataclass(frozen=True, slots=True, eq=False)
class Artifact:
    """A checked artifact. ``graph`` is the content of ``step.onnx`` whose hash was verified, ``serving`` that
    of ``serving.onnx``, or None where the artifact has none."""

    path: Path
    manifest: Manifest
    conditioning: Conditioning
    graph: bytes = field(repr=False)
    serving: bytes | None = field(repr=False, default=None)

    def text(self, bpm: float) -> npt.NDArray[np.float32]:
        """The embedding of a heart rate, (1, D) float32, interpolated linearly between the grid's rates.

        Raises UsageError where ``bpm`` is outside the rates that the artifact was trained for.
        """
        return self.conditioning.text(bpm, self.manifest.name)


def load_artifact(path: Path | None = None) -> Artifact:
    """Read the artifact in the folder ``path``, or the packaged default where it is None.

    Raises ArtifactError where the folder or a file is missing or unreadable, a file's sha256 differs from
    the manifest's, the manifest is damaged or of a newer format, or the files contradict each other.
    """
    folder = default_artifact_path() if path is None else path
    if not folder.is_dir():
        raise ArtifactError(
            f"there is no artifact folder at {folder}: "
            + ("reinstall physio-cam" if path is None else "give the folder that holds manifest.json")
        )
    manifest = parse_manifest(read_file(folder, MANIFEST), folder / MANIFEST)
    contents = read_files(folder, manifest.files, REQUIRED_FILES)
    conditioning = parse_conditioning(contents[CONDITIONING], folder / CONDITIONING)
    check_conditioning(conditioning, manifest.bpm_grid, manifest.inputs, folder)
    return Artifact(folder, manifest, conditioning, contents[STEP_GRAPH], contents.get(SERVING_GRAPH))


def write_manifest(folder: Path, manifest: Manifest) -> Manifest:
    """Write ``manifest.json`` beside the files that the export has put into ``folder``.

    ``manifest.files`` is computed here (the caller leaves it empty): the sha256 of ``step.onnx``,
    ``conditioning.npz`` and of every name that it already lists. The file appears whole or not at all.
    Returns the manifest as written. Raises ArtifactError where a file is missing or the manifest
    contradicts the contract.
    """
    names = dict.fromkeys((*REQUIRED_FILES, *manifest.files))
    complete = replace(manifest, files=digests_of(folder, names))
    check_manifest(complete, folder / MANIFEST)
    write_whole(folder / MANIFEST, format_manifest(complete))
    return complete


def digests_of(folder: Path, names: Iterable[str]) -> dict[str, str]:
    """The sha256 of each file of ``folder``. Raises ArtifactError where one is missing."""
    return {name: hashlib.sha256(read_file(folder, name)).hexdigest() for name in names}


def write_whole(path: Path, content: str) -> None:
    """Write a text file that appears whole or not at all."""
    staged = path.with_name(path.name + ".part")
    staged.write_text(content, encoding="utf-8")
    staged.replace(path)


def read_files(folder: Path, digests: Mapping[str, str], required: Iterable[str]) -> dict[str, bytes]:
    """The contents of the files that a manifest lists. Raises ArtifactError where a ``required`` one is not
    listed, or one is missing or has another sha256."""
    for name in required:
        if name not in digests:
            raise ArtifactError(f"{folder / MANIFEST} does not list {name}: export the artifact again")
    return {name: _read_verified(folder, name, digest) for name, digest in digests.items()}


def read_file(folder: Path, name: str) -> bytes:
    """The content of a file of an artifact. Raises ArtifactError where it cannot be read."""
    try:
        return (folder / name).read_bytes()
    except FileNotFoundError:
        raise ArtifactError(
            f"{folder} holds no {name}: give a complete artifact folder, or export it again"
        ) from None
    except OSError as error:
        raise ArtifactError(
            f"{folder / name} cannot be read ({error.strerror}): check its permissions"
        ) from error


def _read_verified(folder: Path, name: str, digest: str) -> bytes:
    content = read_file(folder, name)
    if hashlib.sha256(content).hexdigest() != digest:
        raise ArtifactError(f"{folder / name} is damaged (wrong sha256): copy or export the artifact again")
    return content


def parse_conditioning(content: bytes, source: Path) -> Conditioning:
    """Read ``conditioning.npz``. Raises ArtifactError where its arrays are not what they should be."""
    try:
        with np.load(io.BytesIO(content), allow_pickle=False) as arrays:
            bpm, embedding = arrays["bpm"], arrays["embedding"]
    except (KeyError, ValueError, OSError, EOFError, zipfile.BadZipFile) as error:
        raise ArtifactError(
            f"{source} holds no arrays bpm and embedding: export the artifact again"
        ) from error
    if not (bpm.ndim == 1 and embedding.ndim == 2 and 0 < len(bpm) == len(embedding)):
        raise ArtifactError(
            f"{source}: bpm {bpm.shape} and embedding {embedding.shape} should be (N,) and (N, D): "
            "export the artifact again"
        )
    if bpm.dtype.kind not in "iu" or embedding.dtype != np.float32 or not np.isfinite(embedding).all():
        raise ArtifactError(
            f"{source}: bpm should be integers and embedding finite float32: export the artifact again"
        )
    return Conditioning(bpm.astype(np.int64), embedding)


def check_conditioning(
    conditioning: Conditioning, bpm_grid: tuple[int, ...], inputs: tuple[TensorSpec, ...], folder: Path
) -> None:
    """Raise ArtifactError where the embeddings do not fit the manifest's rates or the graph's input."""
    if tuple(conditioning.bpm.tolist()) != bpm_grid:
        raise ArtifactError(
            f"{folder}: {CONDITIONING} and {MANIFEST} differ in their heart rates: export it again"
        )
    wanted = next(spec.shape for spec in inputs if spec.name == TEXT)
    if wanted != (1, conditioning.embedding.shape[1]):
        raise ArtifactError(
            f"{folder}: embeddings have {conditioning.embedding.shape[1]} numbers, the graph takes {wanted}: "
            "export it again"
        )
