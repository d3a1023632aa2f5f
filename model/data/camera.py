"""What a camera and a codec add to the picture: shot and read noise, 8-bit rounding, real round trips."""

from __future__ import annotations

import io

import av
import cv2
import numpy as np
import numpy.typing as npt

from model.data.process import Rng
from model.data.settings import ClipSettings

Array32 = npt.NDArray[np.float32]
Picture = npt.NDArray[np.uint8]


def noise_level(rgb: Array32, grey_levels: float) -> Array32:
    """Standard deviation of a pixel's noise at colour ``rgb`` (0..1): shot noise over a read floor.

    ``grey_levels`` is the deviation at mid-grey, of 255.
    """
    return np.asarray(np.sqrt(0.3 + 1.4 * rgb) * np.float32(grey_levels / 255.0), np.float32)


def averaged_noise(rng: Rng, rgb: Array32, settings: ClipSettings) -> Array32:
    """``rgb`` (..., 3) with the noise and the rounding of ``settings.pixels`` camera pixels averaged."""
    if settings.noise <= 0.0:
        return rgb
    rounding = 1.0 / (12.0 * 255.0**2)
    variance = noise_level(rgb, settings.noise) ** 2 + np.float32(rounding)
    noise = rng.standard_normal(rgb.shape, np.float32)
    noise *= np.sqrt(variance / np.float32(settings.pixels))
    return np.asarray(np.clip(rgb + noise, 0.0, 1.0), np.float32)


def picture(rng: Rng, rgb: Array32, settings: ClipSettings) -> Picture:
    """An 8-bit picture (H, W, 3) of ``rgb`` with a pixel's own noise."""
    noisy = rgb
    if settings.noise > 0.0:
        noise = rng.standard_normal(rgb.shape, np.float32)
        noisy = rgb + noise * noise_level(rgb, settings.noise)
    return np.clip(np.rint(noisy * 255.0), 0, 255).astype(np.uint8)


def round_trip(pictures: list[Picture], settings: ClipSettings) -> list[Picture]:
    """The pictures after the codec of ``settings`` (MJPEG, H.264 or VP8, encoded and decoded for real)."""
    height, width = pictures[0].shape[:2]
    rate = max(1, round(settings.fps))
    names = {"mjpeg": "mjpeg", "h264": "libx264", "vp8": "libvpx"}
    buffer = io.BytesIO()
    with av.open(buffer, "w", format="matroska") as container:
        if settings.codec == "mjpeg":
            options = {"qmin": str(settings.quality), "qmax": str(settings.quality)}
        elif settings.codec == "h264":
            options = {"preset": "veryfast", "tune": "zerolatency", "threads": "1"}
        else:
            options = {"deadline": "realtime", "cpu-used": "6", "lag-in-frames": "0", "threads": "1"}
        stream = container.add_stream(names[settings.codec], rate=rate, options=options)
        stream.width, stream.height = width, height
        stream.pix_fmt = "yuvj420p" if settings.codec == "mjpeg" else "yuv420p"
        if settings.codec != "mjpeg":
            stream.bit_rate = settings.bitrate
        for rgb in pictures:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(rgb, format="rgb24")))
        container.mux(stream.encode(None))
    buffer.seek(0)
    with av.open(buffer, "r") as container:
        decoded = [np.asarray(f.to_ndarray(format="rgb24"), np.uint8) for f in container.decode(video=0)]
    if len(decoded) != len(pictures):
        raise RuntimeError(f"{settings.codec} gave {len(decoded)} pictures for {len(pictures)}")
    return decoded


def reduced(pictures: list[Picture], size: int) -> Array32:
    """The area average of each picture at ``size``: (T, size, size, 3) float32 0..1."""
    reduced_ones = [
        cv2.resize(p.astype(np.float32), (size, size), interpolation=cv2.INTER_AREA) for p in pictures
    ]
    return np.asarray(np.stack(reduced_ones) / np.float32(255.0), np.float32)
