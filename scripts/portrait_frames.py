"""The built-in portrait, moving, in a room: footage of a real face for scripts that run the live filter."""

from __future__ import annotations

import numpy as np

from model.data.portrait import builtin_portrait
from model.data.settings import ClipSettings
from model.data.video import render_video
from streamfilter.frame import Frame, Plane

WIDTH, HEIGHT, FACE = 1280, 720, 560
DISTINCT = 60  # frames drawn; they are shown forth and back


def portrait_frames() -> list[Frame]:
    """1280 x 720 frames with the built-in portrait in the middle of a grey room."""
    settings = ClipSettings(frames=DISTINCT, fps=30.0, motion=2)
    video = render_video(np.random.default_rng(1), builtin_portrait(), settings, FACE)
    left, top = (WIDTH - FACE) // 4 * 2, (HEIGHT - FACE) // 4 * 2
    frames = []
    for drawn in video.frames():
        seen = drawn.frame

        def in_room(plane: Plane, scale: int, grey: int) -> Plane:
            room = np.full((HEIGHT // scale, WIDTH // scale), grey, np.uint8)
            room[top // scale : (top + FACE) // scale, left // scale : (left + FACE) // scale] = plane
            return room

        frames.append(
            seen.with_planes(in_room(seen.y, 1, 120), in_room(seen.u, 2, 128), in_room(seen.v, 2, 128))
        )
    return frames
