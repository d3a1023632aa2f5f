"""What a run measures."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path

from streamfilter.bench.contest import Rounds
from streamfilter.bench.footage import SIZES, Size
from streamfilter.bench.rivals import ABOUT

FRAME_ROUNDS, STEP_ROUNDS = Rounds(8, 12, 20), Rounds(12, 60, 60)
PARTS = ("frames", "steps", "starts", "streams", "allocations")


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """``engines`` empty: every one that this machine has. ``frame_rounds`` are of the filter,
    ``step_rounds`` of single steps. ``streams_size`` is of streams, cold start and allocations.
    ``mediapipe`` is a Python that has MediaPipe. ``command`` is what asked for all this."""

    command: str = "physio-bench"
    sizes: tuple[Size, ...] = tuple(SIZES.values())
    faces: tuple[int, ...] = (1, 2, 3, 4)
    engines: tuple[str, ...] = ()
    rivals: tuple[str, ...] = tuple(ABOUT)
    parts: tuple[str, ...] = PARTS
    camera: str = "mjpg"
    clip: Path | None = None
    artifact: Path | None = None
    threads: int = 1
    mediapipe: str = sys.executable
    frame_rounds: Rounds = FRAME_ROUNDS
    step_rounds: Rounds = STEP_ROUNDS
    streams_size: Size = SIZES["720p"]
    trial_seconds: float = 3.0
    start_runs: int = 5
    allocation_frames: int = 12


def quick(size: Size | None) -> dict[str, object]:
    """Fields of a :class:`Plan` that is done in half a minute, for a look."""
    return {
        "sizes": (SIZES["360p"] if size is None else size,),
        "faces": (1,),
        "frame_rounds": Rounds(4, 6, 12),
        "step_rounds": Rounds(5, 20, 20),
        "streams_size": SIZES["360p"] if size is None else size,
        "trial_seconds": 0.5,
        "start_runs": 1,
        "allocation_frames": 4,
    }
