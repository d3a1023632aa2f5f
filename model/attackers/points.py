"""The heartbeat in the head's motion: every beat's push of blood nods the head by a fraction of a millimetre.

Balakrishnan, Durand & Guttag, "Detecting Pulse from Head Motions in Video", CVPR 2013.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import cv2
import numpy as np
import numpy.typing as npt

from streamfilter.rppg.filters import band_pass, remove_line
from streamfilter.rppg.heart_rate import heart_rate, spectrum

Array64 = npt.NDArray[np.float64]

POINTS = 40
BAND_HZ = (0.75, 5.0)  # section 3.2
STILLEST = 0.75  # share of the moments that the components are found from: section 3.3
COMPONENTS = 5
_WINDOW = (15, 15)


def follow_points(lumas: Sequence[npt.NDArray[np.uint8]]) -> Array64:
    """Vertical places (T, P) in pixels of up to 40 points on the middle of the pictures, P those never lost.

    Section 3.1: Lucas & Kanade's tracker on features of the face.
    """
    height, width = lumas[0].shape
    mask = np.zeros((height, width), np.uint8)
    mask[height // 5 : 4 * height // 5, width // 4 : 3 * width // 4] = 255
    start = cv2.goodFeaturesToTrack(lumas[0], POINTS, 0.005, 4.0, mask=mask)
    if start is None:
        return np.zeros((len(lumas), 0))
    places = np.asarray(start, np.float32)
    path, kept = [places[:, 0, 1]], np.ones(len(places), bool)
    for before, now in itertools.pairwise(lumas):
        moved, found, _ = cv2.calcOpticalFlowPyrLK(before, now, places, places.copy(), winSize=_WINDOW)
        kept &= found[:, 0] == 1
        places = np.asarray(moved, np.float32)
        path.append(places[:, 0, 1])
    return np.asarray(np.stack(path)[:, kept], np.float64)


def motion_pulse(places: npt.ArrayLike, fs: float) -> Array64 | None:
    """The beat's waveform (T,) from vertical places (T, P); None where fewer than 3 points were followed.

    Section 3.3: the most erratic half of the points goes, principal components of the others in 0.75 to
    5 Hz are found from the stillest three quarters of the moments, and the most periodic one is taken.
    """
    tracks = np.asarray(places, np.float64)
    if tracks.shape[1] < 3:
        return None
    jumps = np.abs(np.diff(tracks, axis=0)).max(axis=0)
    tracks = tracks[:, jumps <= np.median(jumps)] if tracks.shape[1] >= 6 else tracks
    moves = band_pass(remove_line(tracks), fs, *BAND_HZ)
    size = np.linalg.norm(moves, axis=1)
    still = moves[size <= np.quantile(size, STILLEST)]
    _, _, directions = np.linalg.svd(still - still.mean(axis=0), full_matrices=False)
    waves = moves @ directions[:COMPONENTS].T
    return np.asarray(max(waves.T, key=lambda wave: _periodic(wave, fs)))


def _periodic(wave: Array64, fs: float) -> float:
    """Share of the power at the strongest frequency and its first harmonic: section 3.4."""
    rate = heart_rate(wave, fs)
    if not np.isfinite(rate):
        return 0.0
    freq, power = spectrum(wave, fs)
    beat = rate / 60.0
    near = (np.abs(freq - beat) < 0.1) | (np.abs(freq - 2.0 * beat) < 0.1)
    return float(power[near].sum() / max(float(power.sum()), 1e-300))
