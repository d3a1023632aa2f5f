"""What a camera and a codec add to the picture: shot and read noise, 8-bit rounding, real round trips."""

from __future__ import annotations

import io
from collections.abc import Iterable, Iterator
from typing import cast

import av
import numpy as np
import numpy.typing as npt
from av.video.stream import VideoStream

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


def pictures(rng: Rng, rgbs: Iterable[Array32], settings: ClipSettings) -> Iterator[Picture]:
    """8-bit pictures (H, W, 3) of ``rgbs`` (0..1), each with a pixel's own noise.

    The noise is cut at random from one large field: drawing it afresh would take longer than all the rest.
    """
    field: Array32 | None = None
    for rgb in rgbs:
        if settings.noise <= 0.0:
            seen = rgb * np.float32(255.0)
        else:
            height, width = rgb.shape[:2]
            if field is None:
                field = rng.standard_normal((2 * height, 2 * width, 3), np.float32)
            y, x = int(rng.integers(height)), int(rng.integers(width))
            seen = noise_level(rgb, settings.noise)
            seen *= field[y : y + height, x : x + width]
            seen += rgb
            seen *= np.float32(255.0)
        seen += np.float32(0.5)
        np.clip(seen, 0.0, 255.0, out=seen)
        yield seen.astype(np.uint8)


def round_trip(given: Iterable[Picture], size: int, settings: ClipSettings) -> Iterator[Picture]:
    """The pictures (``size`` squared) after MJPEG, H.264 or VP8 as ``settings`` says: a real round trip."""
    rate = max(1, round(settings.fps))
    names = {"mjpeg": "mjpeg", "h264": "libx264", "vp8": "libvpx"}
    buffer = io.BytesIO()
    count = 0
    with av.open(buffer, "w", format="matroska") as container:
        if settings.codec == "mjpeg":
            options = {"qmin": str(settings.quality), "qmax": str(settings.quality)}
        elif settings.codec == "h264":
            options = {"preset": "ultrafast", "tune": "zerolatency", "threads": "1"}
        else:
            options = {"deadline": "realtime", "cpu-used": "-6", "lag-in-frames": "0", "threads": "1"}
        stream = cast(VideoStream, container.add_stream(names[settings.codec], rate=rate, options=options))
        stream.width, stream.height = size, size
        stream.pix_fmt = "yuvj420p" if settings.codec == "mjpeg" else "yuv420p"
        if settings.codec != "mjpeg":
            stream.bit_rate = settings.bitrate
        for rgb in given:
            count += 1
            container.mux(stream.encode(av.VideoFrame.from_ndarray(rgb, format="rgb24")))
        container.mux(stream.encode(None))
    buffer.seek(0)
    with av.open(buffer, "r") as container:
        for frame in container.decode(video=0):
            count -= 1
            yield np.asarray(frame.to_ndarray(format="rgb24"), np.uint8)
    if count != 0:
        raise RuntimeError(f"{settings.codec} lost {count} of the pictures")
