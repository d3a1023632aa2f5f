"""The reference network over a whole window as an artifact for the runtime's window mode."""

from __future__ import annotations

import math
import shutil
import tempfile
from pathlib import Path

import numpy as np
import onnxruntime as ort
import torch
from torch import Tensor, nn

from export.build import graph_tensors
from export.onnx import save_checked, traced
from model.physiolatent import StreamSettings
from model.reference.checkpoint import Trained
from model.reference.network import ReferenceNetwork
from streamfilter.contract import CONDITIONING, WINDOW_KIND
from streamfilter.errors import ArtifactError
from streamfilter.window import contract
from streamfilter.window.artifact import load_window_artifact, write_window_manifest

CROP = 72
FPS = 30.0
TOLERANCE = 1e-4  # of the output, whose range is 0..1


class WindowGraph(nn.Module):
    """``ReferenceNetwork`` with the contract's names."""

    def __init__(self, network: ReferenceNetwork) -> None:
        super().__init__()
        self.network = network

    def forward(self, crops: Tensor, text: Tensor, phase: Tensor) -> Tensor:
        edited: Tensor = self.network(crops, text, phase)
        # Without its phase the network would leave that input out of the graph.
        return edited if self.network.settings.phase else edited + 0.0 * phase.sum()


def build_window_artifact(
    trained: Trained,
    folder: Path,
    *,
    name: str,
    training: dict[str, object],
    crop: int = CROP,
) -> float:
    """Write the window artifact of ``trained`` to ``folder`` (replaced if it is there) and return the largest
    difference between its graph and the network.

    Raises ArtifactError where that is more than ``TOLERANCE``; what was at ``folder`` is then untouched.
    """
    folder.parent.mkdir(parents=True, exist_ok=True)
    settings = trained.settings
    with tempfile.TemporaryDirectory(prefix=f".{folder.name}-", dir=folder.parent) as place:
        aside = Path(place) / folder.name
        aside.mkdir()
        frames = settings.window.frames
        export_window(trained.network, aside / contract.GRAPH, frames, crop)
        error = window_parity(trained.network, aside / contract.GRAPH, frames, crop)
        if not error < TOLERANCE:
            raise ArtifactError(
                f"the exported graph differs from the network by {error:.2g}, more than {TOLERANCE:g}: "
                "not written"
            )
        table = trained.table
        np.savez_compressed(
            aside / CONDITIONING,
            bpm=np.asarray(table.bpm, np.int64),
            embedding=np.asarray(table.embedding, np.float32),
        )
        inputs, outputs = graph_tensors(aside / contract.GRAPH)
        manifest = contract.WindowManifest(
            format_version=contract.FORMAT_VERSION,
            kind=WINDOW_KIND,
            name=name,
            files={},
            crop_size=crop,
            window=frames,
            nominal_fps=FPS,
            inputs=inputs,
            outputs=outputs,
            bpm_grid=tuple(int(bpm) for bpm in table.bpm),
            text_encoder=trained.text_encoder,
            vae=settings.vae.kind,
            pulse_direction=StreamSettings().pulse_direction,
            training={**training, "step": trained.step, "settings": settings.to_table()},
            measured={"validation": _finite(trained.metrics), "parity_max_error": error},
            licence="Apache-2.0",
        )
        write_window_manifest(aside, manifest)
        load_window_artifact(aside)
        if folder.exists():
            shutil.rmtree(folder)
        aside.replace(folder)
    return error


def example(network: ReferenceNetwork, frames: int, crop: int, seed: int = 0) -> dict[str, Tensor]:
    """A window of a moving, pulsing, noisy picture, a random embedding and an even beat, by input's name."""
    rng = np.random.default_rng(seed)
    picture = rng.uniform(0.2, 0.8, (3, crop, crop))
    beat = 1.0 + 0.005 * np.sin(2.0 * np.pi * 1.2 * np.arange(frames) / FPS)
    moved = np.stack([np.roll(picture, index // 20, axis=-1) * beat[index] for index in range(frames)])
    moved = (moved + 0.002 * rng.standard_normal(moved.shape)).clip(0.0, 1.0)
    angle = 2.0 * np.pi * 1.5 * np.arange(frames) / FPS
    text = rng.standard_normal((1, network.settings.text_dim))
    return {
        contract.CROPS: torch.from_numpy(moved[None].astype(np.float32)),
        contract.TEXT: torch.from_numpy(text.astype(np.float32)),
        contract.PHASE: torch.from_numpy(
            np.stack([np.cos(angle), np.sin(angle)], axis=-1)[None].astype(np.float32)
        ),
    }


@torch.no_grad()
def export_window(network: ReferenceNetwork, path: Path, frames: int, crop: int) -> None:
    """Write ``window.onnx`` for exactly ``frames`` crops of ``crop`` pixels: VAE, fusion and modulated
    decoder, whose hooks are traced with it."""
    graph = traced(WindowGraph(network), example(network, frames, crop), [contract.EDITED])
    names = [value.name for value in graph.graph.input], [value.name for value in graph.graph.output]
    if names != ([contract.CROPS, contract.TEXT, contract.PHASE], [contract.EDITED]):
        raise RuntimeError(f"the exported graph has other inputs and outputs: {names}")
    save_checked(graph, path)


@torch.no_grad()
def window_parity(network: ReferenceNetwork, graph: Path, frames: int, crop: int, windows: int = 3) -> float:
    """Largest difference of the output (range 0..1) between ONNX Runtime and torch over a few windows."""
    session = ort.InferenceSession(graph, providers=["CPUExecutionProvider"])
    worst = 0.0
    for seed in range(1, windows + 1):
        inputs = example(network, frames, crop, seed)
        ours = network(*inputs.values())
        theirs = session.run([contract.EDITED], {key: value.numpy() for key, value in inputs.items()})[0]
        worst = max(worst, float(np.abs(theirs - ours.numpy()).max()))
    return worst


def _finite(metrics: dict[str, float]) -> dict[str, float]:
    return {key: value for key, value in metrics.items() if math.isfinite(value)}
