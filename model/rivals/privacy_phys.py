"""Privacy-Phys: gradient steps on the pixels until a pretrained 3-D CNN reads the wanted wave.

Sun and Li 2022, "Privacy-Phys: Facial Video-Based Physiological Modification for Privacy Protection", IEEE
Signal Processing Letters 29. No code of the authors is public, the paper was not to be had; a public
reading note gives: x, a copy of the video z, is the unknown; a pretrained 3-D CNN with frozen parameters
reads a wave from it; gradient steps on x reduce −ρ(wave, wanted) + λ ‖x − z‖² / (pixels), ρ Pearson's
correlation, λ = 0.1; pixels off the skin are put back. It says that the PSNR came to 51 dB and more. Here
it differs:

- the network is PhysNet with its published weights, in windows of 128 frames, as it was trained; the last one
  ends with the clip and overlaps;
- no λ term: the gradient is scaled to a root mean square of ``STEP`` grey levels a step, and steps end at a
  correlation of ``ENOUGH`` or after ``STEPS``: the fewer steps, the smaller the change;
- the change is found on the network's own 32 × 32 view of a close square around the face, without a mask of
  the skin, and enlarged to its pixels (for an area average the same as steps on the pixels, up to the
  enlargement's smoothness);
- pixels are rounded at random, since whole steps would erase a change of less than a level.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import cv2
import numpy as np
import torch
from torch import Tensor, nn

from model.rivals.faces import Face, find_faces
from model.rivals.physnet import FRAMES, SIDE
from model.rivals.protocol import Array32, Array64, Frames, round_stochastically, target_wave
from streamfilter.face.box import MARGIN, FaceBox

STEP = 0.1
STEPS = 30
ENOUGH = 0.95
_TIGHT = 1.1 / MARGIN  # the face itself, as estimators are trained on it


@dataclass(frozen=True)
class PrivacyPhys:
    """The editor. ``network``: (1, 3, 128, 32, 32) pixels 0..1 to a wave (1, 128), frozen."""

    network: nn.Module
    seed: int = 0

    def edit(self, frames: Frames, pts: Array64, bpm: float) -> Frames:
        """As `protocol.Rival.edit`."""
        faces = [None if face is None else tight(face) for face in find_faces(frames, pts)]
        crops = _crops(frames, faces)
        wave = target_wave(pts, bpm, self.seed)
        change = np.zeros_like(crops)
        for start, fresh in windows(len(frames)):
            part = slice(start, min(start + FRAMES, len(frames)))
            given, wanted = _padded(crops[part]), _padded(wave[part].astype(np.float32))
            found = steps_towards(self.network, given, wanted)
            change[start + fresh : part.stop] = found[fresh : part.stop - start]
        rng = np.random.default_rng(self.seed)
        out = frames.copy()
        for index, face in enumerate(faces):
            if face is None:
                continue
            region, _ = face.pixels(*frames.shape[1:3])
            height, width = (part.stop - part.start for part in region)
            shift = cv2.resize(change[index] * np.float32(255.0), (width, height))
            out[index][region] = round_stochastically(frames[index][region] + shift, rng)
        return out


def tight(face: Face) -> Face:
    """The same face in the closer square that the network is used to."""
    box = face.box
    return replace(face, box=FaceBox(box.cx, box.cy, box.size * _TIGHT))


def windows(length: int) -> list[tuple[int, int]]:
    """(start, how many of its first frames an earlier window has edited) of windows that cover the clip."""
    starts = [*range(0, max(length - FRAMES, 0), FRAMES), max(length - FRAMES, 0)]
    ends = [0, *(start + FRAMES for start in starts[:-1])]
    return [(start, max(0, end - start)) for start, end in zip(starts, ends, strict=True)]


def steps_towards(network: nn.Module, crops: Array32, wanted: Array32) -> Array32:
    """The change (T, S, S, 3) of ``crops`` (T, S, S, 3) 0..1 that brings the network's wave to ``wanted``."""
    start = torch.tensor(crops).permute(3, 0, 1, 2)[None]
    goal = torch.tensor(wanted)[None]
    change = torch.zeros_like(start)
    for _ in range(STEPS):
        change.requires_grad_(True)
        loss = waveform_loss(network(start + change), goal)
        if loss.item() <= 1.0 - ENOUGH:
            break
        (slope,) = torch.autograd.grad(loss, change)
        size = slope.square().mean().sqrt().clamp_min(1e-12)
        change = (change.detach() - slope * (STEP / 255.0 / size)).detach()
    return np.asarray(change.detach()[0].permute(1, 2, 3, 0).numpy(), np.float32)


def waveform_loss(wave: Tensor, wanted: Tensor) -> Tensor:
    """1 − Pearson's correlation of waves (B, T), the mean of the batch."""
    a, b = wave - wave.mean(1, keepdim=True), wanted - wanted.mean(1, keepdim=True)
    return (1.0 - (a * b).sum(1) / (a.norm(dim=1) * b.norm(dim=1)).clamp_min(1e-9)).mean()


def _crops(frames: Frames, faces: list[Face | None]) -> Array32:
    """(T, 32, 32, 3) 0..1; frames without a face repeat the last one seen."""
    out = np.zeros((len(frames), SIDE, SIDE, 3), np.float32)
    for index, face in enumerate(faces):
        if face is None:
            out[index] = out[index - 1] if index else 0.0
            continue
        region, _ = face.pixels(*frames.shape[1:3])
        part = frames[index][region].astype(np.float32)
        out[index] = cv2.resize(part, (SIDE, SIDE), interpolation=cv2.INTER_AREA) / np.float32(255.0)
    return out


def _padded(values: Array32) -> Array32:
    """The first axis brought to 128 by repeating its last entry."""
    missing = FRAMES - len(values)
    return values if missing <= 0 else np.concatenate([values, np.repeat(values[-1:], missing, axis=0)])
