"""The held-out synthetic set: identities never trained on, at a camera's resolution, with exact labels."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from model.data.collection import still_paths
from model.data.portrait import Portrait, builtin_portrait, load_still
from model.data.settings import ClipSettings
from model.data.splits import require_split
from model.data.video import frame_of, render_video
from model.evaluate.clip import READ_SECONDS, SKIP_SECONDS, EvalClip, KnownPulse, Labels, choose_target
from model.evaluate.reading import even
from model.evaluate.store import Recorder, clips_mark, load_clip, save_clip
from streamfilter.frame import ColorSpec
from streamfilter.rppg.heart_rate import heart_rate

CODEC_SECONDS = 20.0  # read at most of a clip that goes through the codecs
LIGHTS: dict[str, dict[str, Any]] = {
    "even": {},
    "side": {"side": 0.3, "shading": 0.25, "sheen": 0.08},
    "screen": {"screen_steps": 0.015},
    "beat": {"screen_steps": 0.008, "screen_beat": 0.003},
    "flicker": {"flicker": 0.003, "flicker_hz": 1.9},
    "dim": {"exposure": 0.4, "noise": 3.5},
    "auto": {"auto_exposure": 0.01, "white_balance": 0.004},
}
LIGHT_TONE, DARK_TONE = 28.0, 10.0  # individual typology angle, degrees (Chardon 1991)


@dataclass(frozen=True)
class SyntheticSpec:
    """One generated clip. ``footage`` is a still's path, None for the built-in portrait (not held out)."""

    name: str
    footage: Path | None
    seed: int
    settings: ClipSettings
    size: int
    camera: str = "raw"
    codecs: bool = False

    def key(self) -> str:
        """Names the clip's cache: changes with everything that changes its pixels."""
        about = asdict(replace(self, footage=None, codecs=False))
        about |= {"still": None if self.footage is None else self.footage.name, "code": clips_mark()}
        return hashlib.sha256(json.dumps(about, sort_keys=True).encode()).hexdigest()[:16]


def synthetic_specs(
    faces: Path | None, quick: bool, seed: int = 2, seconds: float = READ_SECONDS
) -> list[SyntheticSpec]:
    """The set: motion x tone, then light, frame rate, camera, and clips that also go through the codecs.

    ``seconds`` of each are read, of those that go through the codecs 20 at most.
    """
    stills = _by_tone(faces)
    rng = np.random.default_rng(seed)
    specs = []
    for number, (motion, tone, light, fps, camera, codecs) in enumerate(_cells(quick)):
        still = stills[tone][int(rng.integers(len(stills[tone])))]
        length = SKIP_SECONDS + (min(seconds, CODEC_SECONDS) if codecs else seconds)
        settings = _settings(rng, round(length * fps), fps, motion, tone, light)
        name = f"{number:02d}-{tone}-motion{motion}-{light}-{fps:g}fps-{camera}"
        size = 384 if codecs else 288
        specs.append(SyntheticSpec(name, still, seed * 1000 + number, settings, size, camera, codecs))
    return specs


def _cells(quick: bool) -> list[tuple[int, str, str, float, str, bool]]:
    """Motion, tone, light, fps, camera, and whether the clip also goes through the codecs."""
    pairs = ((1, "light"), (3, "dark"))
    if quick:
        cells = [(m, t, "even", 30.0, "raw", False) for m in (0, 4) for t in ("light", "dark")]
        return [*cells, (2, "light", "screen", 30.0, "raw", True), (1, "dark", "dim", 15.0, "mjpeg", False)]
    cells = [(m, t, "even", 30.0, "raw", False) for m in (0, 1, 2, 3, 4, 0, 4) for t in ("light", "dark")]
    cells += [(m, t, light, 30.0, "raw", False) for light in LIGHTS if light != "even" for m, t in pairs]
    cells += [(m, t, "even", fps, "raw", False) for fps in (15.0, 24.0, 60.0) for m, t in pairs]
    cells += [(1, "light", "even", 30.0, "mjpeg", False), (3, "dark", "even", 30.0, "h264", False)]
    through = ((0, "light"), (2, "dark"), (3, "light"), (4, "dark"))
    return [*cells, *((m, t, "even", 30.0, "raw", True) for m, t in through)]


def _by_tone(faces: Path | None) -> dict[str, list[Path | None]]:
    """Held-out stills by skin tone; the built-in portrait where there is no folder."""
    if faces is None:
        return {"light": [None], "dark": [None]}
    found: dict[str, list[Path | None]] = {"light": [], "dark": []}
    for path in still_paths(faces, "test"):
        angle = load_still(path).ita
        if angle >= LIGHT_TONE:
            found["light"].append(path)
        elif angle < DARK_TONE:
            found["dark"].append(path)
    return found


def _settings(
    rng: np.random.Generator, frames: int, fps: float, motion: int, tone: str, light: str
) -> ClipSettings:
    direction = np.array([0.33, 0.77, 0.53]) / 0.77 * rng.uniform(0.85, 1.15, 3)
    direction /= direction[1]
    weaker = 0.6 if tone == "dark" else 1.0
    drawn = ClipSettings(
        frames=frames,
        fps=fps,
        motion=motion,
        hr=float(np.round(rng.uniform(48.0, 110.0), 1)),
        strength=float(weaker * np.exp(rng.uniform(np.log(0.0025), np.log(0.006)))),
        direction=(float(direction[0]), 1.0, float(direction[2])),
        uneven=float(rng.uniform(0.15, 0.45)),
        delay=float(rng.uniform(0.01, 0.04)),
        drift=float(rng.uniform(0.004, 0.02)),
        tint=float(rng.uniform(0.002, 0.008)),
        noise=float(rng.uniform(1.0, 2.0)),
        light=light,
    )
    return replace(drawn, **LIGHTS[light])


def open_synthetic(spec: SyntheticSpec, cache: Path) -> EvalClip:
    """The clip of ``spec``, drawn on first use and read from ``cache`` from then on."""
    folder = cache / f"{spec.name}-{spec.key()}"
    if not (folder / "truth.npz").is_file():
        _render(spec, folder)
    return replace(load_clip(folder), codecs=spec.codecs)


def portrait_of(spec: SyntheticSpec) -> Portrait:
    if spec.footage is None:
        return builtin_portrait()
    portrait = load_still(spec.footage)
    require_split(portrait.identity, "test")
    return portrait


def _render(spec: SyntheticSpec, folder: Path) -> None:
    settings = spec.settings
    portrait = portrait_of(spec)
    color = ColorSpec(full_range=spec.camera == "mjpeg")
    video = render_video(np.random.default_rng(spec.seed), portrait, settings, spec.size, color)
    recorder = Recorder(folder, (spec.size, spec.size), settings.fps, color, spec.camera)
    with recorder:
        for drawn in video.frames():
            free = frame_of(drawn.pulse_free, drawn.frame.pts, color)
            recorder.add(drawn.frame, free, drawn.skin)
    first, last = recorder.read_range()
    bvp = even(video.bvp[first:last], video.times[first:last], settings.fps)
    true_bpm = heart_rate(bvp, settings.fps)
    pulse = KnownPulse(
        field=video.field,
        direction=video.direction,
        frame_of="picture",
        bvp=video.bvp,
        free=recorder.free_blocks(),
    )
    labels = Labels(
        "synthetic", settings.motion, _tone_of(portrait.ita), settings.light, settings.fps, spec.camera
    )
    target = choose_target(np.random.default_rng(spec.seed), true_bpm)
    save_clip(folder, recorder.clip(spec.name, labels, spec.seed, target, true_bpm, pulse))


def _tone_of(ita: float) -> str:
    return "light" if ita >= LIGHT_TONE else "dark" if ita < DARK_TONE else "middle"
