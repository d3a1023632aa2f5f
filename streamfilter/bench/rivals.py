"""What else takes the same frames: the band-stop baseline here, MediaPipe's in a process of their own."""

from __future__ import annotations

import json
import math
import subprocess
import tempfile
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np

from streamfilter import band_stop
from streamfilter.artifact import Artifact
from streamfilter.bench.contest import Taken
from streamfilter.bench.footage import Footage, frame_of
from streamfilter.clock import wanted_wave
from streamfilter.composite import apply_gain
from streamfilter.errors import EngineError
from streamfilter.face.crop import crop_rgb
from streamfilter.face.finder import FaceFinder
from streamfilter.frame import Frame
from streamfilter.skin_cells import oval

BAND_STOP = "band-stop"
BACKGROUND = "background-blur"
BACKGROUND_LEAN = "background-blur-lean"
SLIDING_MEAN = "sliding-mean"
ABOUT = {
    BAND_STOP: "the baseline: a causal band-stop on the face's mean colour and a wave, written alike",
    BACKGROUND: "MediaPipe selfie segmentation (landscape) and a blurred background, what calls run, "
    "as MediaPipe's guide does it: on the whole picture in RGB",
    BACKGROUND_LEAN: "the same, written to save time: the model sees a picture of 256 pixels, and the "
    "frame's own planes are blended",
    SLIDING_MEAN: "the published removal filter: the face's skin becomes the mean of its last 5 frames; "
    "MediaPipe Face Mesh finds the skin (Bhutani, Elgendi, Menon, Preserving privacy and video quality "
    "through remote physiological signal removal, Communications Engineering, 2025)",
}
_LIMIT = 0.02  # of the correction, relative
_AMPLITUDE = 0.0045  # of the wave in green
_TARGET_HZ = 70.0 / 60.0


class RivalAbsentError(EngineError):
    """This rival cannot run here, or has ended, and why."""


class BandStop:
    """The face's mean log colour less its pulse band, without delay, plus a wave; one gain for all skin."""

    kind = "rival"
    name = BAND_STOP

    def __init__(self, artifact: Artifact, footage: Footage) -> None:
        self._footage, self._decoder = footage, footage.decoder()
        self._finder = FaceFinder()
        self._size = artifact.manifest.crop_size
        direction = np.array(artifact.manifest.pulse_direction, np.float32)
        self._direction = direction / direction[1] * np.float32(_AMPLITUDE)
        self._oval = oval(self._size)
        self._faces: dict[int, tuple[band_stop.Values, band_stop.Values]] = {}
        self._index = 0

    def take(self, index: int) -> Taken:
        """See :class:`streamfilter.bench.contest.Contestant`."""
        frame = frame_of(self._decoder.decode(self._footage.buffer(index)), index)
        worked, start = time.process_time(), time.perf_counter()
        self.edit(frame)
        took = 1000 * (time.perf_counter() - start)
        return Taken({}, took, took, 1000 * (time.process_time() - worked), len(self._faces))

    def edit(self, frame: Frame) -> Frame:
        """The next frame, 1/30 s after the last one, edited."""
        found = self._finder.find(frame)
        faces, edited = {}, frame
        for face in found:
            crop = crop_rgb(frame, face.box, self._size)
            mean = (crop * self._oval).sum(axis=(1, 2)) / self._oval.sum()
            level = np.log(np.maximum(mean, 1e-3)).astype(np.float32)
            former, state = self._faces.get(face.id, (level, band_stop.start((3,))))
            band, state = band_stop.in_band(level - former, 1 / 30, state)
            faces[face.id] = (level, state)
            wave = np.float32(wanted_wave(2.0 * math.pi * _TARGET_HZ * frame.seconds)) * self._direction
            change = np.clip(-band, -_LIMIT, _LIMIT) + wave
            gain = np.asarray(change[:, None, None] * self._oval, np.float32)
            edited = apply_gain(edited, gain, crop, face.box, index=self._index)
        self._faces = faces
        self._index += 1
        return edited

    def close(self) -> None:
        """Nothing is held open."""


class Worker:
    """A rival of ``mediapipe_worker.py``: I420 in, I420 out, the times taken by the worker itself.

    ``python`` is one that has MediaPipe, which need not be this one: the two need different releases of what
    they share. Raises RivalAbsentError where it does not start or MediaPipe is missing.
    """

    kind = "rival"

    def __init__(self, name: str, footage: Footage, python: str) -> None:
        self.name = name
        self._folder = tempfile.TemporaryDirectory(prefix="physio-bench-")
        self._process: subprocess.Popen[str] | None = None
        frames = Path(self._folder.name) / "frames.i420"
        pictures = footage.frames()
        with frames.open("wb") as out:
            for picture in pictures:
                for plane in (picture.y, picture.u, picture.v):
                    out.write(np.ascontiguousarray(plane).tobytes())
        script = Path(__file__).with_name("mediapipe_worker.py")
        size = (str(footage.size.width), str(footage.size.height), str(len(pictures)))
        self._said = (Path(self._folder.name) / "said").open("w+", encoding="utf-8")
        try:
            self._process = subprocess.Popen(
                [python, str(script), name, str(frames), *size],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=self._said,
                text=True,
            )
            self._answer()
        except OSError as error:
            self.close()
            raise RivalAbsentError(f"{name} does not start: {error.strerror}") from error
        except RivalAbsentError:
            self.close()
            raise

    def take(self, index: int) -> Taken:
        """See :class:`streamfilter.bench.contest.Contestant`. Raises RivalAbsentError where it has ended."""
        process = self._process
        if process is None or process.stdin is None:
            raise RivalAbsentError(f"{self.name} is closed")
        try:
            process.stdin.write(f"{index}\n")
            process.stdin.flush()
        except OSError as error:
            raise RivalAbsentError(f"the process of {self.name} has ended") from error
        told = self._answer()
        stages: dict[str, float] = told["stages"]
        took = sum(stages.values())
        return Taken(stages, took, took, told["cpu"], told["faces"])

    def close(self) -> None:
        """End the process."""
        process, self._process = self._process, None
        if process is not None:
            if process.stdin is not None:
                with suppress(OSError):  # it has ended by itself
                    process.stdin.close()
            try:
                process.wait(5)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
            if process.stdout is not None:
                process.stdout.close()
        self._said.close()
        self._folder.cleanup()

    def _answer(self) -> dict[str, Any]:
        assert self._process is not None and self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            self._said.seek(0)
            last = [text for text in self._said.read().splitlines() if text.strip()][-1:]
            raise RivalAbsentError(last[0].strip() if last else "its process ended without a word")
        told: dict[str, Any] = json.loads(line)
        if "absent" in told:
            raise RivalAbsentError(told["absent"])
        return told
