"""One clip through every method at every target: what is read, what leaks, what the edit costs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from model.estimators.client import Reader
from model.evaluate.clip import EvalClip
from model.evaluate.learned.measure import Edited, Setup, attempt, planes_of, rgb_sums, streamed
from model.evaluate.metrics import HIT_BPM, Fidelity, attack, hits, leaks, read_rates, rgb_of
from model.evaluate.reading import block_sums, even, face_trace
from model.perceptual import Lpips
from model.rivals.protocol import Frames
from streamfilter.face.box import FaceBox

TARGETS = (60.0, 80.0, 100.0, 120.0)
CLASSICAL = ("POS", "CHROM", "PCA")
LPIPS_EVERY = 30  # frames
IN_PLANES = ("streaming", "band-stop", "oracle")
_OWN_NAMES = {"streaming": "artifact"}

Figures = dict[str, Any]


@dataclass(frozen=True)
class Methods:
    """``planes``: those of `model.evaluate.editors`, which write Y, U, V; ``setup`` holds the rivals, which
    write R, G, B, and the learned readers."""

    setup: Setup
    planes: Sequence[str] = IN_PLANES
    lpips: Lpips | None = None


def given_of(clip: EvalClip) -> Edited:
    """The clip before any edit, whole in memory."""
    planes = list(clip.frames())
    return Edited(planes, np.stack([rgb_of(frame) for frame in planes]))


def names_of(clip: EvalClip, methods: Methods) -> list[str]:
    """The methods that can be run on this clip: the oracle needs a contact wave."""
    names = [*methods.planes, *methods.setup.rivals]
    return [name for name in names if name != "oracle" or clip.pulse is not None]


def measure_method(
    name: str, clip: EvalClip, given: Edited, methods: Methods, targets: Sequence[float]
) -> Figures:
    """The figures of one method by target, `_after`."""
    made = {}
    for target in targets:
        aimed = replace(clip, target=target)
        made[f"{target:g}"] = _after(_edit(name, aimed, given, methods), given, aimed, methods)
    return made


def _edit(name: str, clip: EvalClip, given: Edited, methods: Methods) -> Edited:
    if name in methods.planes:
        return streamed(_OWN_NAMES.get(name, name), clip, given, methods.setup)
    rgb = methods.setup.rivals[name].edit(given.rgb, clip.times[: len(given.rgb)], clip.target)
    return Edited([planes_of(k, f) for k, f in zip(rgb, given.planes, strict=True)], rgb)


def measure_input(clip: EvalClip, given: Edited, methods: Methods) -> Figures:
    """The rates ``hr`` read before any edit, and the coherence with the contact wave."""
    blocks = np.stack([block_sums(given.planes[k], clip, k) for k in range(*clip.read)])
    rates = _rates(face_trace(blocks), clip) | _learned(given.rgb, clip, methods)
    return {"hr": rates} | _leak(blocks, clip)


def _after(edited: Edited, given: Edited, clip: EvalClip, methods: Methods) -> Figures:
    """``planes`` and ``rgb``: what is read from the Y, U, V that a call takes and from R, G, B as it is.

    Each has the rates ``hr`` and what leaks. ``learned``: what the learned readers read, of R, G, B. PSNR,
    SSIM and LPIPS are over the face.
    """
    indices = range(*clip.read)
    seen = {
        "planes": np.stack([block_sums(edited.planes[k], clip, k) for k in indices]),
        "rgb": np.stack([rgb_sums(edited.rgb[k], clip.box(k), clip.skin[k]) for k in indices]),
    }
    out: Figures = {
        kind: {"hr": _rates(face_trace(blocks), clip)} | _leak(blocks, clip) for kind, blocks in seen.items()
    }
    out["learned"] = _learned(edited.rgb, clip, methods)
    fidelity, distances = Fidelity(), []
    height, width = edited.rgb.shape[1:3]
    for k in indices:
        before, after = given.rgb[k][:height, :width], edited.rgb[k]
        fidelity.add(before, after, clip.box(k))
        fidelity.add_planes(given.planes[k], edited.planes[k], clip.box(k))
        if methods.lpips is not None and (k - indices.start) % LPIPS_EVERY == 0:
            distances.append(_lpips(methods.lpips, before, after, clip.box(k)))
    return out | fidelity.figures() | {"lpips": round(float(np.mean(distances)), 5) if distances else None}


def _rates(trace: npt.NDArray[np.float64], clip: EvalClip) -> dict[str, float | None]:
    return read_rates(even(trace, clip.times[slice(*clip.read)], clip.fps), clip.fps, CLASSICAL)


def _leak(blocks: npt.NDArray[np.float32], clip: EvalClip) -> Figures:
    """Coherence with the contact wave, and whether the true rate is found once the target is notched out."""
    span = slice(*clip.read)
    out: Figures = {"coherence": leaks(blocks, clip, span)}
    if clip.true_bpm is not None and abs(clip.true_bpm - clip.target) > 2 * HIT_BPM:
        trace = even(face_trace(blocks), clip.times[span], clip.fps)
        found = attack(trace, clip.fps, clip.target)
        out |= {"hits": hits(found, clip.true_bpm), "attackers": len(found)}
    return out


def _learned(rgb: Frames, clip: EvalClip, methods: Methods) -> dict[str, float | None]:
    part = rgb[slice(*clip.read)]
    readers: Mapping[str, Reader] = methods.setup.readers
    return {name: attempt(partial(_bpm, one, part, clip.fps)) for name, one in readers.items()}


def _bpm(reader: Reader, frames: Frames, fps: float) -> float:
    return reader.read(frames, fps).bpm


@torch.no_grad()
def _lpips(network: Lpips, before: Frames, after: Frames, box: FaceBox) -> float:
    """Of the face's box of two pictures (H, W, 3)."""
    height, width = before.shape[:2]
    rows = slice(max(0, round(box.top)), min(height, round(box.top + box.size)))
    columns = slice(max(0, round(box.left)), min(width, round(box.left + box.size)))
    pair = [
        torch.from_numpy(np.ascontiguousarray(one[rows, columns].transpose(2, 0, 1), np.float32) / 255.0)[
            None
        ]
        for one in (before, after)
    ]
    return float(network(*pair))
