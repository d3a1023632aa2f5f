"""Encoders as a call sets them, and what the other side reads from the decoded pictures."""

from __future__ import annotations

import io
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
import numpy.typing as npt

from streamfilter.errors import SinkError
from streamfilter.face.box import FaceBox
from streamfilter.face.crop import crop_rgb, skin_prior
from streamfilter.frame import ColorSpec, Frame
from streamfilter.rppg.coherence import coherence
from streamfilter.rppg.estimators import ESTIMATORS
from streamfilter.rppg.heart_rate import heart_rate, heart_rate_after_notch, snr

FPS = 30
SETTLE = 45  # frames left out at the start
READ_BY = ("POS", "CHROM", "GREEN", "PCA")
CODECS = (
    ("h264", 500),
    ("h264", 1500),
    ("h264", 4000),
    ("vp8", 500),
    ("vp8", 1500),
    ("vp8", 4000),
    ("vp9", 1500),
)
_ENCODERS = {
    "h264": ("libx264", {"preset": "veryfast", "tune": "zerolatency", "profile": "baseline"}),
    "vp8": ("libvpx", {"cpu-used": "-6", "static-thresh": "1", "qmin": "2", "qmax": "56"}),
    "vp9": ("libvpx-vp9", {"cpu-used": "7", "aq-mode": "3"}),
}
_REALTIME = {"deadline": "realtime", "lag-in-frames": "0", "error-resilient": "1"}

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Read:
    """What READ_BY read: SNR of the target (dB) and coherence with the true pulse of each, and counts.

    ``at_target``: within 1.5 bpm of the target; ``true_found``: within 4 bpm of the true rate after the
    target was notched out. ``reference`` is POS of this clip: of the raw clip, it is the true pulse.
    """

    snr: tuple[float, ...]
    coherence: tuple[float, ...]
    at_target: int
    true_found: int
    reference: Floats


def decode(source: Path | io.BytesIO, limit: int | None = None) -> list[Frame]:
    """The pictures of a video as frames of even time (BT.601, limited range)."""
    frames = []
    with av.open(source if isinstance(source, io.BytesIO) else str(source), "r") as container:
        for number, picture in enumerate(container.decode(video=0)):
            if limit is not None and number >= limit:
                break
            width, height = picture.width & ~1, picture.height & ~1
            packed = np.asarray(picture.reformat(width, height, "yuv420p").to_ndarray(), np.uint8)
            frames.append(_frame(packed, width, height, number))
    return frames


def encode(frames: list[Frame], codec: str, kbps: int) -> list[Frame]:
    """The frames after a round trip through ``codec`` (h264, vp8, vp9) at ``kbps``, one key frame."""
    name, options = _ENCODERS[codec]
    rate = {"maxrate": f"{kbps}k", "bufsize": f"{kbps // 2 if codec == 'h264' else kbps}k"}
    if codec != "h264":
        rate |= _REALTIME | {"minrate": f"{kbps}k"}
    buffer = io.BytesIO()
    with av.open(buffer, "w", format="matroska") as container:
        stream = container.add_stream(name, rate=FPS, options=options | rate)
        if not isinstance(stream, av.VideoStream):
            raise SinkError(f"{name} is no video encoder: build PyAV with it")
        stream.width, stream.height, stream.pix_fmt = frames[0].width, frames[0].height, "yuv420p"
        stream.bit_rate, stream.gop_size = kbps * 1000, 3000
        stream.codec_context.thread_count = 1
        for number, frame in enumerate(frames):
            picture = av.VideoFrame.from_ndarray(_packed(frame), format="yuv420p")
            picture.pts = number
            container.mux(stream.encode(picture))
        container.mux(stream.encode())
    buffer.seek(0)
    return decode(buffer)


def read(frames: list[Frame], box: FaceBox, target: float, truth: float, reference: Floats | None) -> Read:
    """Read the face's pulse; without a ``reference`` the clip is its own."""
    prior = skin_prior()
    rgb = np.stack([(crop_rgb(f, box) * prior).sum((1, 2)) / prior.sum() for f in frames[SETTLE:]])
    waves = [ESTIMATORS[name](rgb, FPS) for name in READ_BY]
    pulse = waves[0] if reference is None else reference
    shown = [heart_rate(w, FPS) for w in waves]
    left = [heart_rate_after_notch(w, FPS, target) for w in waves]
    return Read(
        tuple(snr(w, FPS, target) for w in waves),
        tuple(coherence(w, pulse, FPS, truth) for w in waves),
        sum(abs(rate - target) <= 1.5 for rate in shown),
        sum(abs(rate - truth) < 4.0 for rate in left),
        waves[0],
    )


def face_psnr(before: list[Frame], after: list[Frame], box: FaceBox) -> tuple[float, float]:
    """PSNR in dB over the face's box, 8 bit, every tenth frame: in R, G, B, and over samples of Y, U, V."""
    half = box.size / 2
    top, left = max(0, int(box.cy - half)) & ~1, max(0, int(box.cx - half)) & ~1
    area = np.s_[top : int(box.cy + half), left : int(box.cx + half)]
    area_c = np.s_[top // 2 : int(box.cy + half) // 2, left // 2 : int(box.cx + half) // 2]
    rgb, planes = [], []
    for old, new in zip(before[::10], after[::10], strict=True):
        pictures = [cv2.cvtColor(_packed(f), cv2.COLOR_YUV2RGB_I420)[area].astype(float) for f in (old, new)]
        rgb.append(np.mean((pictures[0] - pictures[1]) ** 2))
        pairs = [(old.y[area], new.y[area]), (old.u[area_c], new.u[area_c]), (old.v[area_c], new.v[area_c])]
        squares = [(a.astype(float) - b).ravel() ** 2 for a, b in pairs]
        planes.append(np.mean(np.concatenate(squares)))
    return _psnr(rgb), _psnr(planes)


def _psnr(squares: list[Any]) -> float:
    return float(10 * np.log10(255**2 / np.mean(squares)))


def _packed(frame: Frame) -> npt.NDArray[np.uint8]:
    flat = np.concatenate([frame.y.ravel(), frame.u.ravel(), frame.v.ravel()])
    return flat.reshape(frame.height * 3 // 2, frame.width)


def _frame(packed: npt.NDArray[np.uint8], width: int, height: int, number: int) -> Frame:
    flat, size, half = packed.reshape(-1), width * height, (height // 2, width // 2)
    y, u, v = np.split(flat, [size, size + size // 4])
    return Frame(
        y.reshape(height, width), u.reshape(half), v.reshape(half), number, Fraction(1, FPS), ColorSpec()
    )
