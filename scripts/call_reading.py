"""What the receiver of a call has read: its frames by number, whole passes of a looped clip, heart rates.

Frames are as ``readFrame`` of call_parts.js gives them.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from scripts.webcam_clip import frame_number
from streamfilter.errors import SourceError
from streamfilter.face.color import yuv_to_rgb_matrix
from streamfilter.face.crop import skin_prior
from streamfilter.frame import ColorSpec
from streamfilter.rppg.estimators import ESTIMATORS
from streamfilter.rppg.heart_rate import heart_rate, heart_rate_after_notch

CELLS = 24
EDGE = 0.3  # seconds that may be missing at the end of a whole pass
AT_TARGET, AT_TRUE = 2.0, 4.0  # bpm: this near is there
_RTP_PERIOD, _RTP_CLOCK = 2**32, 90_000

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Pass:
    """A whole pass through the clip.

    ``numbers`` (N,) of the frames that arrived, ascending; ``seconds`` (N,) by the sender's stamps; ``rgb``
    (N, 3) mean R, G, B over the face; ``wanted``: how many frames there were to arrive.
    """

    numbers: npt.NDArray[np.int64]
    seconds: Floats
    rgb: Floats
    wanted: int

    @property
    def fps(self) -> float:
        """Frames a second that arrived."""
        return float((len(self.numbers) - 1) / (self.seconds[-1] - self.seconds[0]))

    @property
    def longest_gap(self) -> float:
        """Seconds between two frames that arrived, at the most."""
        return float(np.diff(self.seconds).max())

    def speed(self, fps: float) -> float:
        """How fast the clip, of ``fps``, was played: 1 is as it was taken."""
        return float(np.polyfit(self.seconds, self.numbers / fps, 1)[0])

    def by_number(self, first: int, last: int) -> Floats:
        """(last - first, 3): one row a frame of the clip, those that did not arrive filled in."""
        return self._even(np.arange(first, last), self.numbers)

    def by_time(self, fs: float) -> Floats:
        """(T, 3) at ``fs`` rows a second of the sender's time."""
        return self._even(np.arange(self.seconds[0], self.seconds[-1], 1.0 / fs), self.seconds)

    def _even(self, at: npt.NDArray[Any], known: npt.NDArray[Any]) -> Floats:
        return np.stack([np.interp(at, known, self.rgb[:, c]) for c in range(3)], axis=1)


@dataclass(frozen=True, slots=True)
class Reading:
    """Heart rates (bpm) of one estimator: as shown, and after the target was notched out."""

    estimator: str
    shown: float
    after_notch: float

    def finds(self, truth: float) -> bool:
        """Whether either rate is the true one."""
        return min(abs(self.shown - truth), abs(self.after_notch - truth)) < AT_TRUE


def read_pulse(rgb: Floats, fs: float, target: float, names: Collection[str]) -> list[Reading]:
    """What each estimator reads from the receiver's trace (T, 3)."""
    waves = {name: ESTIMATORS[name](rgb, fs) for name in names}
    return [
        Reading(name, heart_rate(wave, fs), heart_rate_after_notch(wave, fs, target))
        for name, wave in waves.items()
    ]


def whole_pass(
    frames: Sequence[dict[str, Any]],
    count: int,
    fps: float,
    warm_up: float,
    settle: float,
    least: float = 0.5,
) -> Pass:
    """The fullest whole pass through a clip of ``count`` frames, ``least`` of which must have arrived (0..1).

    Frames before ``warm_up`` (the sender's bitrate still rises) and the clip's first ``settle`` seconds
    (a filter may still settle there) are left out. Raises SourceError where no whole pass arrived.
    """
    prior = skin_prior(CELLS).reshape(-1)
    seconds = _sender_seconds(frames)
    passes: list[dict[int, int]] = []
    before = -1
    for at, frame in enumerate(frames):
        number = frame_number(frame["mark"])
        if number is None or number >= count:
            continue  # the strip did not survive: as good as a dropped frame
        if number < before - count // 2:
            passes.append({})
        before = number
        if passes and frame["time"] - frames[0]["time"] >= warm_up:
            passes[-1][number] = at
    first = int(settle * fps)
    wanted = count - first
    whole = [p for p in passes if len(p) and min(p) <= first and max(p) >= count - EDGE * fps]
    if not whole:
        raise SourceError("no whole pass through the clip arrived: the machine is too slow for this call")
    fullest = max(whole, key=len)
    numbers = np.array(sorted(number for number in fullest if number >= first), np.int64)
    if len(numbers) < least * wanted:
        raise SourceError(
            f"only {len(numbers)} of {wanted} frames arrived: the machine is too slow for this call"
        )
    rows = [fullest[int(number)] for number in numbers]
    return Pass(numbers, seconds[rows], np.stack([_mean_rgb(frames[row], prior) for row in rows]), wanted)


def _sender_seconds(frames: Sequence[dict[str, Any]]) -> Floats:
    """By RTP's stamps; where the browser does not tell them, by the receiver's own."""
    stamps = [frame.get("rtp") for frame in frames]
    if None in stamps:
        return np.array([frame["time"] for frame in frames], np.float64)
    seconds: Floats = np.unwrap(np.array(stamps, np.float64), period=_RTP_PERIOD) / _RTP_CLOCK
    return seconds


def _mean_rgb(frame: dict[str, Any], prior: npt.NDArray[np.float32]) -> Floats:
    full_range = bool(frame["fullRange"])
    color = ColorSpec("bt709" if frame["matrix"] == "bt709" else "bt601", full_range)
    to_rgb, offset = yuv_to_rgb_matrix(color)
    cells = np.array(frame["means"], dtype=np.float64)
    seen = np.isfinite(cells).all(axis=0)
    mean = cells[:, seen] @ prior[seen] / prior[seen].sum()
    rgb: Floats = to_rgb @ mean + offset
    return rgb
