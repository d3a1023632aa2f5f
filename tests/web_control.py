"""A filter for the page's tests: pictures of a face, waveforms and their spectra, a note of every command."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cache

import cv2
import numpy as np

from streamfilter.errors import UsageError
from streamfilter.frame import Frame
from streamfilter.live.status import Pulse, Spectra, State, Status
from streamfilter.shield import shield_frame
from streamfilter.web.control import Preview
from tests.face_scene import frame_of, portrait

CAMERAS = ("Integrated Camera", "HD Pro Webcam C920")
TRUE_BPM = 63.0
_RATE = 30.0  # readings a second
_WINDOW = 20.0  # seconds


@cache
def spectra(true: float, shown: float | None, seed: int = 0) -> Spectra:
    """Waveforms as POS gives them, of 0.4 % with noise and one harmonic, and their spectra on 40..180 bpm."""
    noise = np.random.default_rng(seed)
    seconds = np.arange(-round(_WINDOW * _RATE), 1) / _RATE

    def wave(bpm: float | None, strength: float) -> np.ndarray:
        angle = 2 * np.pi * (bpm or 0.0) / 60 * seconds
        clean = np.sin(angle) + 0.3 * np.sin(2 * angle + 0.8) if bpm else np.zeros_like(seconds)
        rough = np.convolve(noise.standard_normal(seconds.size), np.ones(5) / 5, "same")
        return strength * (clean * (1 + 0.15 * np.sin(2 * np.pi * 0.23 * seconds)) + 0.25 * rough)

    before, after = wave(true, 0.004), wave(shown, 0.0045)
    bpm = np.arange(40.0, 180.5, 0.5)
    basis = np.exp(-2j * np.pi * np.outer(bpm / 60, seconds)) * np.hanning(seconds.size)
    powers = [np.abs(basis @ trace) ** 2 / seconds.size for trace in (before, after)]
    return Spectra(seconds, before, after, bpm, powers[0], powers[1])


@cache
def pictures(width: int, height: int) -> tuple[Preview, ...]:
    """A dozen moments: the picture sways by a few pixels; after is redder by one level, as an edit may be."""
    face = frame_of(cv2.resize(portrait()[6:294], (width, height)).astype(np.uint8))  # 16 : 9
    moments = []
    for index in range(12):
        turn = 2 * np.pi * index / 12
        shift = np.array([[1, 0, 3 * np.sin(turn)], [0, 1, 2 * np.cos(turn)]])
        y = cv2.warpAffine(face.y, shift, (width, height), borderMode=cv2.BORDER_REPLICATE).astype(np.uint8)
        before = replace(face.with_planes(y, face.u, face.v), pts=index * 80_000)
        after = before.with_planes(y, face.u, np.minimum(face.v, 254) + np.uint8(1))
        moments.append(Preview(before, after))
    return tuple(moments)


@dataclass
class FakeFilter:
    """Keeps the protocol ``Control``. ``calls`` holds every command in order, as (name, argument)."""

    size: tuple[int, int] = (640, 360)
    state: State = State.FILTERING
    reason: str | None = None
    target: str = "90"
    true: float | None = TRUE_BPM
    dropped: Mapping[str, int] = field(default_factory=lambda: {"late": 3})
    shielded: Mapping[str, int] = field(default_factory=lambda: {"settling": 41, "face lost": 12})
    calls: list[tuple[str, object]] = field(default_factory=list)
    camera: str = CAMERAS[0]
    previews: int = 0

    def __post_init__(self) -> None:
        self._lock = threading.Lock()
        self._clock = itertools.count()
        self._moment: Preview | None = None

    def status(self) -> Status:
        with self._lock:
            number = next(self._clock)
            wanted = self._wanted()
            shown = wanted + 0.2 if wanted is not None and self.state is State.FILTERING else None
            return Status(
                state=self.state,
                reason=self.reason,
                camera=self.camera,
                output="physio-cam (/dev/video10)",
                engine="OpenVINO, CPU",
                target=self.target,
                fps_in=30.0,
                fps_out=29.98,
                latency_p50=8.62 + 0.1 * (number % 5),
                latency_p99=14.1,
                frames=21_000 + 6 * number,
                dropped=self.dropped,
                shielded=self.shielded,
                restarts=1,
                watchers=1,
                pulse=Pulse(self.true, shown, wanted, spectra(TRUE_BPM, wanted, number // 5 % 4)),
                uptime=710.0 + number / 5,
            )

    def preview(self) -> Preview | None:
        with self._lock:
            self.previews += 1
            if self.state in (State.WAITING, State.STARTING):
                return None
            moments = pictures(*self.size)
            moment = moments[self.previews % len(moments)]
            if self.state is State.FILTERING:
                return moment
            return Preview(moment.before, shield_frame(moment.before, self.reason or self.state.value))

    def set_target(self, text: str) -> None:
        self._note("target", text)
        if text[0].isdigit() and not 40 <= float(text) <= 180:
            raise UsageError(f"{text} bpm is out of range: 40 to 180.")
        self.target = text

    def pause(self, on: bool) -> None:
        self._note("pause", on)
        self.state = State.PAUSED if on else State.FILTERING

    def cameras(self) -> Sequence[str]:
        return CAMERAS

    def choose_camera(self, name: str) -> None:
        self._note("camera", name)
        self.camera = name

    def last(self, name: str) -> object:
        """The newest command of that name; None where there is none."""
        with self._lock:
            return next((argument for called, argument in reversed(self.calls) if called == name), None)

    def last_frame(self) -> Frame:
        return pictures(*self.size)[0].before

    def _note(self, name: str, argument: object) -> None:
        with self._lock:
            self.calls.append((name, argument))

    def _wanted(self) -> float | None:
        if self.target == "hide":
            return None
        if self.target.startswith("scale "):
            return (self.true or TRUE_BPM) * float(self.target.removeprefix("scale "))
        return float(self.target)
