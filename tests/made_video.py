"""Films of the built-in portrait with a known pulse, as lossless files."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import numpy as np

from model.data.portrait import builtin_portrait
from model.data.settings import ClipSettings
from model.data.video import render_video
from streamfilter.capture.source import ColorTags, SourceInfo
from streamfilter.frame import ColorSpec
from streamfilter.sinks.codec_settings import CodecSettings
from streamfilter.sinks.video_file import VideoFileSink

FPS = 15


def film(
    path: Path, seconds: float, *, bpm: float = 53.0, strength: float = 0.006, grey: bool = False
) -> Path:
    """A still face, 160 x 160 pixels. ``grey``: without colour, so that nothing in it looks like skin."""
    size = 160
    settings = ClipSettings(frames=round(seconds * FPS), fps=FPS, motion=0, hr=bpm, strength=strength)
    video = render_video(np.random.default_rng(3), builtin_portrait(), settings, size)
    color = ColorSpec()
    info = SourceInfo(size, size, Fraction(FPS), None, color, False, "made", Fraction(1, 90_000), ColorTags())
    sink = VideoFileSink(path, info, CodecSettings(lossless=True))
    for drawn in video.frames():
        frame = drawn.frame
        if grey:
            frame = frame.with_planes(frame.y, np.full_like(frame.u, 128), np.full_like(frame.v, 128))
        sink.write(frame)
    sink.close()
    return path
