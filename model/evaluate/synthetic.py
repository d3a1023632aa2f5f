"""The held-out synthetic set: identities never trained on, at a camera's resolution, with exact labels."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from model.data.camera import noise_level
from model.data.clip import Plan, plan
from model.data.collection import still_paths
from model.data.label import TERMS, monomials
from model.data.portrait import Portrait, builtin_portrait, load_still
from model.data.render import frames as pulse_free_frames
from model.data.settings import ClipSettings
from model.data.splits import require_split
from model.evaluate.clip import SKIP_SECONDS, EvalClip, KnownPulse, Labels, choose_target
from model.evaluate.reading import even
from model.evaluate.store import Recorder, load_clip, save_clip
from streamfilter.face.color import rgb_to_yuv_matrix
from streamfilter.frame import ColorSpec, Frame, Plane
from streamfilter.rppg.heart_rate import heart_rate

Array32 = npt.NDArray[np.float32]

CACHE_VERSION = 2
VIEW = 1.35  # half side of the picture over that of the face's box
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
        about |= {"still": None if self.footage is None else self.footage.name, "version": CACHE_VERSION}
        return hashlib.sha256(json.dumps(about, sort_keys=True).encode()).hexdigest()[:16]


def synthetic_specs(faces: Path | None, quick: bool, seed: int = 2) -> list[SyntheticSpec]:
    """The set: motion x tone, then light, frame rate, camera, and clips that also go through the codecs."""
    stills = _by_tone(faces)
    rng = np.random.default_rng(seed)
    specs = []
    for number, (motion, tone, light, fps, camera, codecs) in enumerate(_cells(quick)):
        still = stills[tone][int(rng.integers(len(stills[tone])))]
        seconds = SKIP_SECONDS + (20.0 if codecs else 30.0)
        settings = _settings(rng, round(seconds * fps), fps, motion, tone, light)
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
    cells = [(m, t, "even", 30.0, "raw", False) for m in range(5) for t in ("light", "dark")] * 2
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
        view=(0.0, 0.05, VIEW),
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


def pictures(
    rng: np.random.Generator, planned: Plan, settings: ClipSettings, size: int
) -> Iterator[tuple[Array32, Array32, Array32]]:
    """Yields (with pulse, without, skin): R, G, B (H, W, 3) with the same camera noise, and skin (H, W)."""
    axis = (np.arange(size) + 0.5) / size * 2.0 - 1.0
    gx, gy = np.meshgrid(axis, axis)
    basis = monomials(gx, gy).reshape(-1, TERMS).astype(np.float32)
    for index, (clean, skin) in enumerate(pulse_free_frames(planned.scene, size)):
        breath, pulse = (
            (basis @ field[index]).reshape(size, size) * skin
            for field in (planned.breath_field, planned.field)
        )
        free = np.minimum(clean * (1.0 + breath[..., None] * planned.direction), np.float32(0.985))
        noise = rng.standard_normal(free.shape, np.float32) * noise_level(free, settings.noise)
        yield free * (1.0 + pulse[..., None] * planned.direction) + noise, free + noise, skin


def to_frame(rgb: Array32, pts: int, time_base: Fraction, color: ColorSpec) -> Frame:
    """8-bit planes of R, G, B (H, W, 3) 0..1; chroma sited left, as in H.264. H and W are even."""
    matrix, offset = rgb_to_yuv_matrix(color)
    yuv = np.clip(rgb, 0.0, 1.0) @ matrix.T.astype(np.float32) + offset.astype(np.float32)
    y, u, v = (np.ascontiguousarray(yuv[..., k]) for k in range(3))
    return Frame(_eight_bit(y), _halved(u), _halved(v), pts, time_base, color)


def _halved(plane: Array32) -> Plane:
    rows = 0.5 * (plane[0::2] + plane[1::2])
    soft = cv2.filter2D(rows, -1, np.array([[0.25, 0.5, 0.25]], np.float32), borderType=cv2.BORDER_REPLICATE)
    return _eight_bit(np.asarray(soft[:, 0::2], np.float32))


def _eight_bit(plane: Array32) -> Plane:
    return np.clip(np.rint(plane), 0, 255).astype(np.uint8)


def _render(spec: SyntheticSpec, folder: Path) -> None:
    settings = spec.settings
    rng = np.random.default_rng(spec.seed)
    portrait = portrait_of(spec)
    planned = plan(rng, portrait, settings, spec.size, tracked=False)
    color = ColorSpec(full_range=spec.camera == "mjpeg")
    time_base = Fraction(1, 90000)
    recorder = Recorder(folder, (spec.size, spec.size), settings.fps, color, spec.camera)
    with recorder:
        for index, (seen, free, skin) in enumerate(pictures(rng, planned, settings, spec.size)):
            pts = round(float(planned.times[index]) * 90000)
            recorder.add(to_frame(seen, pts, time_base, color), to_frame(free, pts, time_base, color), skin)
    first, last = recorder.read_range()
    rate = planned.pulse.rate
    bvp = even(planned.pulse.bvp[first:last], planned.times[first:last], settings.fps)
    true_bpm = heart_rate(bvp, settings.fps)
    pulse = KnownPulse(
        field=planned.field,
        direction=planned.direction,
        frame_of="picture",
        bvp=planned.pulse.bvp,
        rate=rate,
        free=recorder.free_blocks(),
    )
    labels = Labels(
        "synthetic", settings.motion, _tone_of(portrait.ita), settings.light, settings.fps, spec.camera
    )
    target = choose_target(np.random.default_rng(spec.seed), true_bpm)
    clip = recorder.clip(spec.name, labels, spec.seed, target, true_bpm, pulse)
    save_clip(folder, clip)


def _tone_of(ita: float) -> str:
    return "light" if ita >= LIGHT_TONE else "dark" if ita < DARK_TONE else "middle"
