"""Where the skin and the head are in a portrait: soft masks from colour, seeded on the cheeks.

Face coordinates u = (x, y) span -1..1 from above the hairline to the neck (x to the right, y down):
see `portrait.py`.
"""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt

Image = npt.NDArray[np.float32]

_SEEDS = ((-0.26, 0.14, 0.10), (0.26, 0.14, 0.10), (0.0, 0.08, 0.07), (0.0, -0.33, 0.12))


def lab(rgb: Image) -> Image:
    """CIE L*a*b* (L 0..100) of sRGB 0..1, same shape (H, W, 3)."""
    return np.asarray(cv2.cvtColor(np.ascontiguousarray(rgb, np.float32), cv2.COLOR_RGB2LAB), np.float32)


def _seed_mask(u: Image, v: Image) -> npt.NDArray[np.bool_]:
    seeds = np.zeros(u.shape, bool)
    for cx, cy, radius in _SEEDS:
        seeds |= (u - cx) ** 2 + (v - cy) ** 2 < radius**2
    return seeds


def skin_mask(rgb: Image, u: Image, v: Image) -> Image:
    """Soft skin mask (H, W) in 0..1: face, ears, neck; not eyes, brows, lips' inside, hair, clothes.

    ``rgb`` (H, W, 3) is 0..1; ``u`` and ``v`` (H, W) are each pixel's face coordinates. The skin's colour
    is a robust Gaussian in Lab around the cheeks' median, refined once on what it found.
    """
    colour = cv2.GaussianBlur(lab(rgb), (0, 0), max(0.6, rgb.shape[0] / 400))
    seeds = _seed_mask(u, v)
    region = 1.0 / (1.0 + np.exp(np.clip(((u / 0.72) ** 2 + ((v - 0.12) / 0.95) ** 2 - 1.0) * 14.0, -30, 30)))
    mask = np.zeros(u.shape, np.float32)
    for widen in (1.0, 1.25):
        picked = colour[seeds]
        middle = np.median(picked, axis=0)
        near = picked[np.abs(picked[:, 0] - middle[0]) < 0.3 * middle[0] + 4]
        middle = np.median(near, axis=0)
        spread = 1.48 * np.median(np.abs(near - middle), axis=0)
        # Below: hair and shadow end the skin. Above: sheen on skin stays skin.
        down = np.clip(2.2 * spread[0], 0.13 * middle[0] + 1.5, 0.20 * middle[0] + 2.0) * widen
        up = 0.22 * middle[0] + 8.0
        sigma_l = np.where(colour[..., 0] < middle[0], down, up)
        # Sheen is paler than the skin under it: chroma may shrink as lightness grows.
        sheen = np.clip(1.0 - (colour[..., 0] - middle[0]) / (1.3 * (104.0 - middle[0])), 0.3, 1.0)
        sheen = np.where((u / 0.55) ** 2 + ((v - 0.05) / 0.62) ** 2 < 1.0, sheen, 1.0)
        sigma_ab = np.clip(2.0 * spread[1:], 3.5, 5.0) * widen
        distance = ((colour[..., 0] - middle[0]) / sigma_l) ** 2
        distance += (((colour[..., 1:] - middle[1:] * sheen[..., None]) / sigma_ab) ** 2).sum(axis=-1)
        mask = (region / (1.0 + np.exp(np.clip((distance - 5.0) * 1.2, -30, 30)))).astype(np.float32)
        seeds = mask > 0.6
        if seeds.sum() < 30:
            seeds = _seed_mask(u, v)
    return _keep_connected(mask, u, v)


def _keep_connected(mask: Image, u: Image, v: Image) -> Image:
    """Drop islands that do not touch the face (clothes and walls of skin's colour), smooth the rest."""
    size = max(3, int(mask.shape[0] / 90) | 1)
    mask = np.asarray(cv2.medianBlur((mask * 255).astype(np.uint8), size), np.float32) / 255.0
    _, labels = cv2.connectedComponents((mask > 0.35).astype(np.uint8))
    kept = np.unique(labels[_seed_mask(u, v) & (mask > 0.35)])
    near = np.isin(labels, kept[kept > 0]).astype(np.float32)
    near = np.asarray(cv2.GaussianBlur(near, (0, 0), max(0.8, mask.shape[0] / 250)), np.float32)
    return np.asarray(np.minimum(mask, np.clip(near * 2.0, 0.0, 1.0)), np.float32)


def tone(rgb: Image, mask: Image) -> float:
    """Individual typology angle of the skin (degrees): above 41 light, below 10 dark (Chardon 1991)."""
    colour = lab(rgb)[mask > 0.6]
    if len(colour) == 0:
        return 20.0
    middle = np.median(colour, axis=0)
    return float(np.degrees(np.arctan2(middle[0] - 50.0, middle[2])))


def head_mask(rgb: Image, skin: Image, u: Image, v: Image) -> Image:
    """Soft mask (H, W) of what moves with the head: face, hair, neck. GrabCut seeded by the skin."""
    scale = 128.0 / rgb.shape[0]
    small = cv2.resize(rgb, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    shape = (small.shape[1], small.shape[0])
    us, vs = cv2.resize(u, shape), cv2.resize(v, shape)
    radius = (us / 0.85) ** 2 + (vs / 1.1) ** 2
    # Portraits have a plain room: what is unlike its corners is the person.
    colour = lab(np.asarray(small, np.float32))
    corners = [colour[(np.sign(us) == side) & (np.abs(us) > 0.85) & (vs < -0.6)] for side in (-1.0, 1.0)]
    far = np.min([np.linalg.norm(colour - np.median(c, axis=0), axis=-1) for c in corners if len(c)], axis=0)
    labels = np.where((far > 15.0) & (radius < 2.2), cv2.GC_PR_FGD, cv2.GC_PR_BGD).astype(np.uint8)
    labels[(far < 7.0) & (radius > 0.4)] = cv2.GC_BGD
    labels[(far > 25.0) & (radius < 1.0)] = cv2.GC_FGD
    labels[(cv2.resize(skin, shape) > 0.6) & (radius < 1.1)] = cv2.GC_FGD
    labels[(us / 0.4) ** 2 + ((vs - 0.05) / 0.55) ** 2 < 1.0] = cv2.GC_FGD
    labels[(radius > 2.6) & (vs < 0.5)] = cv2.GC_BGD
    picture = np.clip(small * 255.0, 0, 255).astype(np.uint8)
    empty_b, empty_f = np.zeros((1, 65)), np.zeros((1, 65))
    cv2.setRNGSeed(1)
    cv2.grabCut(picture, labels, (0, 0, 1, 1), empty_b, empty_f, 3, cv2.GC_INIT_WITH_MASK)
    found = np.isin(labels, (cv2.GC_FGD, cv2.GC_PR_FGD)).astype(np.float32)
    closed = cv2.morphologyEx(found, cv2.MORPH_CLOSE, np.ones((5, 5), np.uint8))
    soft = cv2.GaussianBlur(closed, (0, 0), 1.2)
    size = (rgb.shape[1], rgb.shape[0])
    return np.asarray(cv2.resize(soft, size, interpolation=cv2.INTER_LINEAR), np.float32)
