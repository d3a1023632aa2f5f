"""PhysNet: a 3-D CNN that reads the pulse from a face, with a gradient.

Yu, Li and Zhao 2019, "Remote Photoplethysmograph Signal Measurement from Facial Videos Using Spatio-Temporal
Networks", section 3 (encoder and decoder). Layer sizes as in the weights that open-rppg publishes: nine
convolutions, pools of space and of time, two transposed convolutions in time, 32 × 32 pixels in.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from model.estimators.client import EstimatorProcess
from streamfilter.errors import UsageError

SIDE, FRAMES = 32, 128
WIDTHS = (16, 32, 64, 64, 64, 64, 64, 64, 64)
PARITY = 0.99  # least correlation with the package's own answer; it computes in 16-bit floats
_POOL_AFTER = {0: (1, 2, 2), 2: (2, 2, 2), 4: (2, 2, 2), 6: (1, 2, 2)}
_NORM_EPS = 1e-3  # of the published weights' framework


class PhysNet(nn.Module):
    """(B, 3, T, 32, 32) R, G, B of any scale to a wave (B, T) of mean 0 and deviation 1; T divides by 4."""

    def __init__(self, widths: tuple[int, ...] = WIDTHS) -> None:
        super().__init__()
        sizes = (3, *widths)
        self.blocks = nn.ModuleList()
        for k, (before, after) in enumerate(zip(sizes, widths, strict=False)):
            kernel = (1, 5, 5) if k == 0 else (3, 3, 3)
            conv = nn.Conv3d(before, after, kernel, padding=(kernel[0] // 2, kernel[1] // 2, kernel[2] // 2))
            self.blocks.append(nn.Sequential(conv, nn.BatchNorm3d(after, eps=_NORM_EPS), nn.ReLU()))
        last = widths[-1]
        self.ups = nn.ModuleList(
            nn.Sequential(
                nn.ConvTranspose3d(last, last, (4, 1, 1), (2, 1, 1), (1, 0, 0)),
                nn.BatchNorm3d(last, eps=_NORM_EPS),
                nn.ELU(),
            )
            for _ in range(2)
        )
        self.head = nn.Conv3d(last, 1, 1)

    def forward(self, video: Tensor) -> Tensor:
        mean = video.mean(dim=(2, 3, 4), keepdim=True)
        x = (video - mean) / (video.std(dim=(2, 3, 4), keepdim=True, correction=0) + 1e-6)
        for k, block in enumerate(self.blocks):
            x = block(x)
            if k in _POOL_AFTER:
                x = nn.functional.max_pool3d(x, _POOL_AFTER[k])
        for up in self.ups:
            x = up(x)
        wave: Tensor = self.head(x.mean(dim=(3, 4), keepdim=True))[:, 0, :, 0, 0]
        wave = wave - wave.mean(dim=1, keepdim=True)
        return wave / (wave.std(dim=1, keepdim=True, correction=0) + 1e-6)


def physnet_of(arrays: Mapping[str, npt.NDArray[np.float32]]) -> PhysNet:
    """The network with published parameters, checked against the answer that came with them.

    ``arrays``: what the worker's ``physnet`` writes. Raises UsageError where the answer is another.
    """
    net = PhysNet()
    probe, answer = arrays["probe"], arrays["answer"]
    named = {k: torch.tensor(np.asarray(v, np.float32)) for k, v in arrays.items()}
    states = {k: v for k, v in named.items() if k not in ("probe", "answer")}
    missing = net.load_state_dict(states, strict=False)
    unknown = [k for k in missing.missing_keys if not k.endswith("num_batches_tracked")]
    if unknown or missing.unexpected_keys:
        raise UsageError(f"these are no weights of PhysNet: {unknown or missing.unexpected_keys}")
    net.eval().requires_grad_(False)
    with torch.no_grad():
        own = net(torch.tensor(probe).permute(0, 4, 1, 2, 3))[0].numpy()
    likeness = float(np.corrcoef(own, answer)[0, 1])
    if not likeness >= PARITY:
        raise UsageError(f"PhysNet does not answer as the published one does: correlation {likeness:.4f}")
    return net


def published_physnet(process: EstimatorProcess, weights: str = "rlap") -> PhysNet:
    """PhysNet with open-rppg's weights, converted as they are loaded. Raises as `physnet_of`."""
    path: Path = process.file("physnet.npz")
    process.ask(op="physnet", model=weights, out=str(path))
    with np.load(path) as data:
        return physnet_of(dict(data))
