"""Small clips made on the fly, and readers for what came out."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from typing import cast

import av
import numpy as np
from av.audio.frame import AudioFrame
from av.audio.stream import AudioStream
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from streamfilter.frame import ColorSpec, Frame


def noise_frames(
    width: int = 64,
    height: int = 48,
    pts: list[int] | None = None,
    time_base: Fraction = Fraction(1, 30),
    seed: int = 1,
) -> list[Frame]:
    rng = np.random.default_rng(seed)
    half = ((height + 1) // 2, (width + 1) // 2)
    return [
        Frame(
            rng.integers(16, 236, (height, width), dtype=np.uint8),
            rng.integers(16, 241, half, dtype=np.uint8),
            rng.integers(16, 241, half, dtype=np.uint8),
            stamp,
            time_base,
            ColorSpec(),
        )
        for stamp in (list(range(10)) if pts is None else pts)
    ]


def write_clip(
    path: Path,
    *,
    width: int = 64,
    height: int = 48,
    pts: list[int] | None = None,
    time_base: Fraction = Fraction(1, 30),
    rate: Fraction = Fraction(30),
    codec: str = "libx264",
    pix_fmt: str = "yuv420p",
    options: dict[str, str] | None = None,
    audio: str | None = None,
    rotation: float | None = None,
    tags: tuple[int, int, int, int] | None = None,
    container_options: dict[str, str] | None = None,
) -> Path:
    """A moving ramp (10 frames unless ``pts`` says otherwise), with a tone if ``audio`` names a codec."""
    pts = list(range(10)) if pts is None else pts
    with av.open(str(path), "w", options=container_options or {}) as container:
        stream = cast(VideoStream, container.add_stream(codec, rate=rate, options=options or {}))
        stream.width, stream.height, stream.pix_fmt = width, height, pix_fmt
        stream.codec_context.time_base = time_base
        stream.time_base = time_base
        if tags is not None:
            context = stream.codec_context
            context.color_primaries, context.color_trc, context.colorspace, context.color_range = tags
        if rotation is not None:
            stream.set_display_rotation(rotation)
        sound = None
        if audio is not None:
            sound = cast(AudioStream, container.add_stream(audio, rate=48000, layout="mono"))
        ramp = np.add.outer(np.arange(height), 3 * np.arange(width))
        for index, stamp in enumerate(pts):
            rgb = np.stack([(ramp + 5 * index) % 200 + 30, (ramp // 2) % 200 + 20, 128 + 0 * ramp], axis=2)
            picture = VideoFrame.from_ndarray(rgb.astype(np.uint8), format="rgb24").reformat(format=pix_fmt)
            picture.pts, picture.time_base = stamp, time_base
            container.mux(stream.encode(picture))
        container.mux(stream.encode(None))
        if sound is not None:
            seconds = float((pts[-1] + 1) * time_base)
            wave = (8000 * np.sin(np.arange(int(48000 * seconds)) * 0.05)).astype(np.int16)[None]
            frame = AudioFrame.from_ndarray(wave, format="s16", layout="mono")
            frame.sample_rate, frame.pts, frame.time_base = 48000, 0, Fraction(1, 48000)
            container.mux(sound.encode(frame))
            container.mux(sound.encode(None))
    return path


def packets(path: Path, kind: str) -> list[tuple[Fraction, bytes]]:
    """Time in seconds and payload of every packet of the first stream of ``kind``."""
    with av.open(str(path)) as container:
        stream = getattr(container.streams, kind)[0]
        return [(Fraction(p.pts or 0) * p.time_base, bytes(p)) for p in container.demux(stream) if p.size]


def video_times(path: Path) -> list[Fraction]:
    with av.open(str(path)) as container:
        return [Fraction(f.pts or 0) * Fraction(f.time_base or 0) for f in container.decode(video=0)]
