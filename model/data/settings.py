"""What a generated clip is like: one frozen record, and how a random one is drawn."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np

from model.data.portrait import RUNTIME_VIEW
from model.data.process import Rng
from streamfilter.errors import UsageError

Codec = Literal["none", "mjpeg", "h264", "vp8"]

# Direction of the pulse in R, G, B under white light (de Haan & van Leest 2014, section 2), G = 1.
_DIRECTION = np.array([0.33, 0.77, 0.53]) / 0.77


@dataclass(frozen=True)
class ClipSettings:
    """One clip. Strengths are relative (0.01 = 1 % of the colour's value) unless said otherwise.

    ``strength`` is the pulse's amplitude (half of peak to peak, about) in G over the face on average,
    0 for none; ``direction`` its share in R, G, B relative to G. ``uneven`` is how far the strength
    differs over the face, ``edge`` how far it falls towards the face's edges (`label.smooth_strength`),
    ``delay`` the range of the pulse's delay over the face in seconds.
    ``noise`` is in grey levels of a camera's pixel, ``pixels`` how many of them a crop's cell averages.
    ``view`` is the crop's centre (x, y) and half side in face coordinates, while the head is at rest.
    ``bitrate`` (bit/s) is for H.264 and VP8 at ``codec_size`` pixels; MJPEG takes ``quality`` (2–31).
    """

    frames: int = 300
    fps: float = 30.0
    jitter: float = 0.02
    motion: int = 1
    hr: float = 70.0
    strength: float = 0.005
    direction: tuple[float, float, float] = (0.43, 1.0, 0.69)
    uneven: float = 0.4
    edge: float = 0.0
    delay: float = 0.04
    drift: float = 0.01
    tint: float = 0.005
    flicker: float = 0.0
    flicker_hz: float = 5.0
    screen_steps: float = 0.0
    screen_beat: float = 0.0
    side: float = 0.05
    shading: float = 0.1
    sheen: float = 0.0
    white: tuple[float, float, float] = (1.0, 1.0, 1.0)
    exposure: float = 1.0
    gamma: float = 1.0
    auto_exposure: float = 0.0
    white_balance: float = 0.0
    noise: float = 1.5
    pixels: float = 16.0
    view: tuple[float, float, float] = RUNTIME_VIEW
    codec: Codec = "none"
    bitrate: int = 400_000
    quality: int = 6
    codec_size: int = 216
    light: str = "even"

    def __post_init__(self) -> None:
        if not 0 <= self.motion <= 4:
            raise UsageError(f"motion level {self.motion} is out of range; give 0 (still) to 4 (strong)")
        if not 30.0 <= self.hr <= 240.0:
            raise UsageError(f"heart rate {self.hr} bpm is out of range; give 30 to 240")
        if self.frames < 2:
            raise UsageError(f"{self.frames} frames make no clip; give at least 2")


def _framing(rng: Rng) -> tuple[float, float, float]:
    """The runtime's crop, misplaced and missized by up to a tenth."""
    x, y, half = RUNTIME_VIEW
    scale = float(rng.uniform(0.9, 1.1))
    return x + float(rng.uniform(-0.1, 0.1)), y + float(rng.uniform(-0.1, 0.1)), half * scale


def draw_settings(rng: Rng, ita: float, frames: int = 300, **fixed: Any) -> ClipSettings:
    """Random settings for a face of skin tone ``ita`` (degrees); ``fixed`` fields are kept as given."""
    light = float(np.clip((ita + 10.0) / 55.0, 0.0, 1.0))
    weakest, strongest = 0.001 + 0.001 * light, 0.005 + 0.005 * light
    strength = float(np.exp(rng.uniform(np.log(weakest), np.log(strongest))))
    if rng.random() < 0.1:
        strength = 0.0
    direction = _DIRECTION * rng.uniform(0.8, 1.2, 3)
    direction /= direction[1]
    dim = rng.random() < 0.2
    kind = str(rng.choice(["even", "side", "screen", "beat", "flicker"], p=[0.3, 0.2, 0.2, 0.15, 0.15]))
    fps = float(rng.choice([30.0, 15.0, 24.0, 25.0, 60.0], p=[0.7, 0.1, 0.08, 0.04, 0.08]))
    if dim and rng.random() < 0.5:
        fps = 15.0
    codec = str(rng.choice(["none", "mjpeg", "h264", "vp8"], p=[0.85, 0.05, 0.05, 0.05]))
    white = np.exp(rng.normal(0.0, 0.08) * np.array([1.0, 0.0, -1.0]) + rng.normal(0.0, 0.02, 3))
    drawn = ClipSettings(
        frames=frames,
        fps=fps,
        jitter=float(rng.choice([0.0, 0.02, 0.1], p=[0.3, 0.5, 0.2])),
        motion=int(rng.choice(5, p=[0.15, 0.2, 0.25, 0.2, 0.2])),
        hr=float(rng.uniform(45.0, 170.0) if rng.random() < 0.6 else np.clip(rng.normal(75, 15), 45, 170)),
        strength=strength,
        direction=(float(direction[0]), 1.0, float(direction[2])),
        uneven=float(rng.uniform(0.1, 0.45)),
        delay=float(rng.uniform(0.0, 0.04)),
        drift=float(np.exp(rng.uniform(np.log(0.002), np.log(0.03)))),
        tint=float(np.exp(rng.uniform(np.log(0.001), np.log(0.01)))),
        flicker=float(rng.uniform(0.0005, 0.006)) if kind == "flicker" else 0.0,
        flicker_hz=float(rng.uniform(0.3, fps / 2)),
        screen_steps=float(rng.uniform(0.002, 0.03)) if kind in ("screen", "beat") else 0.0,
        screen_beat=float(np.exp(rng.uniform(np.log(0.0007), np.log(0.007)))) if kind == "beat" else 0.0,
        side=float(rng.uniform(0.1, 0.4)) if kind == "side" else float(rng.uniform(0.0, 0.1)),
        shading=float(rng.uniform(0.05, 0.3)),
        sheen=float(rng.uniform(0.0, 0.15)) if rng.random() < 0.4 else 0.0,
        white=(float(white[0]), float(white[1]), float(white[2])),
        exposure=float(rng.uniform(0.25, 0.6)) if dim else float(rng.uniform(0.75, 1.1)),
        gamma=float(rng.uniform(0.8, 1.25)),
        auto_exposure=float(rng.uniform(0.002, 0.02)) if rng.random() < 0.35 else 0.0,
        white_balance=float(rng.uniform(0.001, 0.008)) if rng.random() < 0.25 else 0.0,
        noise=float(rng.uniform(2.0, 5.0)) if dim else float(rng.uniform(0.5, 2.5)),
        pixels=float(np.exp(rng.uniform(np.log(2.0), np.log(36.0)))),
        view=_framing(rng),
        codec=codec,  # type: ignore[arg-type]
        bitrate=int(np.exp(rng.uniform(np.log(150e3), np.log(1e6)))),
        quality=int(rng.integers(3, 14)),
        light=("dim " if dim else "") + kind,
        edge=float(rng.spawn(1)[0].uniform(0.0, 0.7)),  # of its own: what is drawn next stays what it was
    )
    return replace(drawn, **fixed)
