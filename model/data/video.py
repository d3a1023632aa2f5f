"""The generator at a camera's resolution: 8-bit frames for the runtime itself, with the truth beside them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from model.data.camera import noise_level
from model.data.clip import Plan, plan
from model.data.label import TERMS, crop_basis
from model.data.portrait import Portrait
from model.data.process import Rng, Signal
from model.data.render import frames
from model.data.settings import ClipSettings
from streamfilter.face.color import rgb_to_yuv_matrix
from streamfilter.frame import ColorSpec, Frame

Array32 = npt.NDArray[np.float32]

TIME_BASE = Fraction(1, 90_000)
_WIDE = (0.0, 0.15, 1.45)  # a camera's view in face coordinates: the face's crop takes 3/4 of the picture


@dataclass(frozen=True)
class VideoFrame:
    """One picture of S x S pixels and its truth.

    ``frame`` is what the camera gives: Y, U, V of ``pulse_free * (1 + p)``, rounded. ``pulse_free``
    (S, S, 3) float32 R, G, B 0..1 has the camera's noise and no pulse; ``p`` (S, S, 3) is the relative
    pulse and ``skin`` (S, S) float32 0..1 the mask.
    """

    frame: Frame
    pulse_free: Array32
    p: Array32
    skin: Array32


@dataclass(frozen=True)
class Video:
    """A video with a known pulse; `frames` draws it anew, the same each time.

    ``field`` (T, 10) and ``direction`` (3,) make p with the skin mask, over the picture's coordinates
    -1..1 (`label.py`); ``bvp`` and ``rate`` (T,) bpm; ``times`` (T,) seconds; ``hr`` bpm, 0 for no pulse.
    """

    size: int
    times: Signal
    bvp: Signal
    rate: Signal
    hr: float
    field: Array32
    direction: Array32
    identity: str
    ita: float
    settings: ClipSettings
    planned: Plan
    noise_seed: int
    color: ColorSpec

    def frames(self) -> Iterator[VideoFrame]:
        """The frames in order."""
        rng = np.random.default_rng(self.noise_seed)
        basis = crop_basis(self.size).reshape(TERMS, -1)
        shape = (self.size, self.size)
        for index, (rgb, skin) in enumerate(frames(self.planned.scene, self.size)):
            on_skin = skin[..., None] * self.direction
            breath = (self.planned.breath_field[index] @ basis).reshape(*shape, 1)
            clean = np.minimum(rgb * (1.0 + breath * on_skin), np.float32(0.985))
            p = np.asarray((self.field[index] @ basis).reshape(*shape, 1) * on_skin, np.float32)
            seen = clean * (1.0 + p)
            if self.settings.noise > 0.0:
                seen = seen + rng.standard_normal(seen.shape, np.float32) * noise_level(
                    seen, self.settings.noise
                )
            seen = np.clip(seen, 0.0, 1.0)
            pts = round(self.times[index] / TIME_BASE)
            yield VideoFrame(
                frame_of(seen, pts, self.color), np.asarray(seen / (1.0 + p), np.float32), p, skin
            )


def render_video(
    rng: Rng,
    footage: Portrait,
    settings: ClipSettings,
    size: int = 320,
    color: ColorSpec | None = None,
    view: tuple[float, float, float] = _WIDE,
) -> Video:
    """A video as ``settings`` says (but for its crop and codec), the camera standing still.

    ``size`` is the picture's side in pixels, even; ``view`` its centre and half side in face coordinates.
    """
    settings = replace(settings, view=view, codec="none")
    planned = plan(rng, footage, settings, size, tracked=False)
    pulse = planned.pulse
    return Video(
        size=size,
        times=planned.times,
        bvp=pulse.bvp,
        rate=pulse.rate,
        hr=pulse.hr if settings.strength > 0.0 else 0.0,
        field=planned.field,
        direction=planned.direction,
        identity=footage.identity,
        ita=footage.ita,
        settings=settings,
        planned=planned,
        noise_seed=int(rng.integers(2**63)),
        color=ColorSpec() if color is None else color,
    )


def render_frames(
    rng: Rng, footage: Portrait, settings: ClipSettings, size: int = 320
) -> Iterator[VideoFrame]:
    """The frames of `render_video`, for those who need nothing else of it."""
    return render_video(rng, footage, settings, size).frames()


def frame_of(rgb: Array32, pts: int, color: ColorSpec, time_base: Fraction = TIME_BASE) -> Frame:
    """An 8-bit 4:2:0 frame of an (H, W, 3) float32 picture 0..1, chroma sited left, rounded once."""
    matrix, offset = rgb_to_yuv_matrix(color)
    yuv = cv2.transform(rgb, np.column_stack([matrix, offset]).astype(np.float32))
    # Left siting: columns weighted 1 2 1 around each even one, rows averaged in pairs.
    across = cv2.sepFilter2D(
        yuv[..., 1:], -1, np.array([0.25, 0.5, 0.25]), np.array([1.0]), borderType=cv2.BORDER_REPLICATE
    )[:, ::2]
    last = across[-1:] if across.shape[0] % 2 else across[:0]
    chroma = np.concatenate([across, last])
    chroma = (chroma[0::2] + chroma[1::2]) * np.float32(0.5)

    def rounded(plane: npt.NDArray[Any]) -> npt.NDArray[np.uint8]:
        return np.clip(np.rint(plane), 0, 255).astype(np.uint8)

    planes = rounded(yuv[..., 0]), rounded(chroma[..., 0]), rounded(chroma[..., 1])
    return Frame(*planes, pts, time_base, color)
