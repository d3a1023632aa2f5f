"""The figures of one clip and editor: what is read, what leaks, what the edit costs."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
from skimage.metrics import structural_similarity

from model.evaluate.clip import EvalClip
from model.evaluate.reading import block_traces, even, face_trace, patch_traces
from streamfilter.face.box import FaceBox
from streamfilter.frame import Frame
from streamfilter.rppg.coherence import coherence
from streamfilter.rppg.estimators import ESTIMATORS
from streamfilter.rppg.filters import band_pass
from streamfilter.rppg.heart_rate import heart_rate, heart_rate_after_notch, notch_out

Array32 = npt.NDArray[np.float32]
Array64 = npt.NDArray[np.float64]
Rgb = npt.NDArray[np.uint8]
Rates = dict[str, float | None]

LEAK_SIGNALS = ("POS", "CHROM", "GREEN")
ATTACKERS = ("POS", "CHROM", "GREEN", "PCA")
HIT_BPM = 3.0
SSIM_EVERY = 30  # frames


def _number(value: float) -> float | None:
    """JSON knows no NaN."""
    return None if not np.isfinite(value) else round(float(value), 4)


def read_rates(trace: Array64, fps: float, names: tuple[str, ...]) -> Rates:
    """The heart rate (bpm) that each estimator reads from a trace (T, 3) on an even grid."""
    return {name: _number(heart_rate(ESTIMATORS[name](trace, fps), fps)) for name in names}


def attack(trace: Array64, fps: float, target: float) -> dict[str, float | None]:
    """The rate that each attacker finds once the target and its harmonics are notched out of the waveform."""
    return {
        name: _number(heart_rate_after_notch(ESTIMATORS[name](trace, fps), fps, target)) for name in ATTACKERS
    }


def early_attack(trace: Array64, fps: float, target: float) -> dict[str, float | None]:
    """As `attack`, by one who notches R, G and B before the estimator can adapt to the shown pulse."""
    mean = trace.mean(axis=0)
    clean = np.stack([notch_out(column, fps, target) for column in trace.T], axis=1)
    return attack(clean - clean.mean(axis=0) + mean, fps, target)


def hits(found: dict[str, float | None], true_bpm: float, within: float = HIT_BPM) -> int:
    """How many attackers found the true rate."""
    return sum(rate is not None and abs(rate - true_bpm) <= within for rate in found.values())


def leaks(blocks: Array32, clip: EvalClip, span: slice) -> dict[str, Any]:
    """Squared coherence with the true pulse: whole face by signal, and over the patches."""
    if clip.pulse is None or clip.true_bpm is None:
        return {}
    times, fps, true_bpm = clip.times[span], clip.fps, clip.true_bpm
    reference = even(clip.pulse.bvp[span].astype(np.float64), times, fps)

    def leak(name: str, trace: Array64) -> float:
        return coherence(ESTIMATORS[name](even(trace, times, fps), fps), reference, fps, true_bpm)

    face = {name: leak(name, face_trace(blocks)) for name in LEAK_SIGNALS}
    patches = [leak(name, trace) for trace in patch_traces(blocks) for name in LEAK_SIGNALS]
    return {
        "face": {name: _number(value) for name, value in face.items()},
        "face_mean": _number(float(np.mean(list(face.values())))),
        "face_max": _number(max(face.values())),
        "left": _number(_share_left(blocks, clip, span, reference)),
        "patch_mean": _number(float(np.mean(patches))) if patches else None,
        "patch_p90": _number(float(np.percentile(patches, 90))) if patches else None,
    }


def _share_left(blocks: Array32, clip: EvalClip, span: slice, reference: Array64) -> float:
    """Amplitude of GREEN's part that follows the true pulse over the pulse's own on the skin (1: untouched).

    Coherence says whether a trace is there, this how large it is.
    """
    if clip.pulse is None:
        return float("nan")
    times, fps = clip.times[span], clip.fps
    true = float(np.abs(clip.pulse.field[span, 0]).std() / max(np.abs(clip.pulse.bvp[span]).std(), 1e-12))
    wave = band_pass(reference, fps)
    seen = ESTIMATORS["GREEN"](even(face_trace(blocks), times, fps), fps)
    fit = float(seen @ wave) / max(float(wave @ wave), 1e-12)
    return abs(fit) / max(true, 1e-12)


def leak_map(blocks: Array32, clip: EvalClip, span: slice) -> Array32:
    """Coherence of each block's GREEN with the true pulse: (B, B), NaN off the skin."""
    traces, covered = block_traces(blocks)
    out = np.full(covered.shape, np.nan, np.float32)
    if clip.pulse is None or clip.true_bpm is None:
        return out
    times, fps = clip.times[span], clip.fps
    reference = even(clip.pulse.bvp[span].astype(np.float64), times, fps)
    for row, column in zip(*np.nonzero(covered), strict=True):
        trace = even(traces[:, :, row, column], times, fps)
        wave = ESTIMATORS["GREEN"](trace, fps)
        out[row, column] = coherence(wave, reference, fps, clip.true_bpm)
    return out


def readings(trace: Array64, clip: EvalClip, span: slice, full: bool = True) -> dict[str, Any]:
    """Rates, errors to the target and notch attacks on a face trace (T, 3) at the clip's times."""
    fps, target = clip.fps, clip.target
    regular = even(trace, clip.times[span], fps)
    rates = read_rates(regular, fps, tuple(ESTIMATORS) if full else ATTACKERS)
    out: dict[str, Any] = {"hr": rates, "notch": attack(regular, fps, target)}
    out["error"] = {
        name: None if rate is None else _number(abs(rate - target)) for name, rate in rates.items()
    }
    if full:
        out["early_notch"] = early_attack(regular, fps, target)
    if clip.true_bpm is not None:
        out["hits"] = hits(out["notch"], clip.true_bpm)
        out["shown_true"] = hits(rates, clip.true_bpm)
        if full:
            out["early_hits"] = hits(out["early_notch"], clip.true_bpm)
    return out


def rgb_of(frame: Frame) -> Rgb:
    """The frame as 8-bit R, G, B (H, W, 3), as a viewer's BT.601 conversion shows it."""
    height, width = frame.height // 2 * 2, frame.width // 2 * 2
    half = (height // 2, width // 2)
    planes = [frame.y[:height, :width], frame.u[: half[0], : half[1]], frame.v[: half[0], : half[1]]]
    packed = np.concatenate([p.reshape(-1) for p in planes]).reshape(height * 3 // 2, width)
    return np.asarray(cv2.cvtColor(packed, cv2.COLOR_YUV2RGB_I420), np.uint8)


class Fidelity:
    """Accumulates what the edit changed: over the face's box and over the whole frame."""

    def __init__(self) -> None:
        self._squares: list[float] = []
        self._planes: list[tuple[float, int]] = []
        self._flicker: list[tuple[float, float]] = []
        self._face: list[float] = []
        self._frame: list[float] = []
        self._last: tuple[FaceBox, Rgb, Rgb] | None = None

    def add(self, before: Rgb, after: Rgb, box: FaceBox) -> None:
        """One frame before and after, both (H, W, 3)."""
        height, width = before.shape[:2]
        top, bottom = max(0, round(box.top)), min(height, round(box.top + box.size))
        left, right = max(0, round(box.left)), min(width, round(box.left + box.size))
        face = (slice(top, bottom), slice(left, right))
        difference = cv2.absdiff(before[face], after[face])
        self._squares.append(float(cv2.norm(difference, cv2.NORM_L2SQR)) / difference.size)
        if self._last is not None:
            self._flicker.append(
                tuple(
                    float(cv2.absdiff(now[face], last[face]).mean())
                    for now, last in ((before, self._last[1]), (after, self._last[2]))
                )  # type: ignore[arg-type]
            )
        if (len(self._squares) - 1) % SSIM_EVERY == 0:
            self._face.append(_ssim(before[face], after[face]))
            self._frame.append(_ssim(before, after))
        self._last = (box, before, after)

    def add_planes(self, before: Frame, after: Frame, box: FaceBox) -> None:
        """The same frame in the 8-bit planes that leave: every sample of Y, U and V counts alike."""
        for name, scale in (("y", 1), ("u", 2), ("v", 2)):
            own, given = getattr(after, name), getattr(before, name)
            top, left, side = (max(0, round(v / scale)) for v in (box.top, box.left, box.size))
            region = (slice(top, top + side), slice(left, left + side))
            square = float(cv2.norm(cv2.absdiff(given[region], own[region]), cv2.NORM_L2SQR))
            self._planes.append((square, given[region].size))

    def figures(self) -> dict[str, float | None]:
        """``psnr`` over the box in R, G, B and ``psnr_planes`` in Y, U, V, dB; ``ssim_face``,
        ``ssim_frame``; ``flicker`` (1: as the input's)."""
        mean = float(np.mean(self._squares))
        before, after = np.mean(self._flicker, axis=0)
        planes = sum(square for square, _ in self._planes) / max(sum(size for _, size in self._planes), 1)
        return {
            "psnr": None if mean == 0 else _number(10 * np.log10(255.0**2 / mean)),
            "psnr_planes": None if planes == 0 else _number(10 * np.log10(255.0**2 / planes)),
            "ssim_face": _number(float(np.mean(self._face))),
            "ssim_frame": _number(float(np.mean(self._frame))),
            "flicker": _number(float(after / max(before, 1e-9))),
        }


def _ssim(before: Rgb, after: Rgb) -> float:
    return float(
        structural_similarity(  # type: ignore[no-untyped-call]
            before, after, channel_axis=2, data_range=255
        )
    )
