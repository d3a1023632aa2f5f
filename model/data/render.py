"""Draws the frames: the portrait warped by the head's motion over its room, under the light, no pulse."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from model.data.light import Light
from model.data.motion import Motion
from model.data.portrait import Layers
from model.data.settings import ClipSettings

Array32 = npt.NDArray[np.float32]

_DEPTH = 0.5  # depth of the face's middle before its outline, in halves of the box
_JAW = 0.11  # how far the jaw drops when the mouth is wide open


@dataclass(frozen=True)
class Scene:
    """Everything that fixes a clip's pulse-free pictures, frame by frame."""

    layers: Layers
    motion: Motion
    light: Light
    settings: ClipSettings


def _graded(rgb: Array32, settings: ClipSettings) -> Array32:
    """Camera's gamma, exposure and white balance; highlights kept below 0.94 so that gains do not clip."""
    gains = np.asarray(settings.white, np.float32) * np.float32(settings.exposure)
    graded = np.power(np.clip(rgb, 0.004, 1.0), np.float32(settings.gamma)) * gains
    knee = np.float32(0.75)
    over = np.maximum(graded - knee, 0.0)
    return np.asarray(np.where(graded > knee, knee + over / (1.0 + over / 0.19), graded), np.float32)


def frames(scene: Scene, size: int, oversample: int = 1) -> Iterator[tuple[Array32, Array32]]:
    """Yields (pulse-free RGB (size, size, 3) float32 0..1, skin (size, size) float32 0..1) for each frame.

    ``oversample`` samples a cell that many times along each axis and averages: the crop's area average.
    """
    layers, motion, light, settings = scene.layers, scene.motion, scene.light, scene.settings
    fine = size * oversample
    graded = _graded(layers.rgb, settings)
    front = np.dstack([graded, layers.head]).astype(np.float32)
    room = _graded(layers.backdrop, settings)
    # The lid's colour: the cheek's, a little darker.
    cheek = np.median(graded[layers.skin > 0.6], axis=0) if (layers.skin > 0.6).any() else np.full(3, 0.5)
    lid = (0.85 * cheek).astype(np.float32)

    axis = ((np.arange(fine) + 0.5) / fine * 2.0 - 1.0).astype(np.float32)
    cells = ((np.arange(size) + 0.5) / size * 2.0 - 1.0).astype(np.float32)
    affine = motion.affine().astype(np.float32)
    px, py, half = float(layers.centre[0] - 0.5), float(layers.centre[1] - 0.5), float(layers.half)
    spot_x, spot_y, sheen = light.sheen
    *eyes, mouth = layers.places
    for index in range(len(affine)):
        m = affine[index]
        # Plain floats: a NumPy float64 would make every array below float64.
        yaw, pitch, jaw, lids = (
            float(values[index]) for values in (motion.yaw, motion.pitch, motion.jaw, motion.lids)
        )
        u, v = _face_grid(m, axis)
        bulge = _bulge(u, v)
        map_x = (u - yaw * bulge) * half + px
        map_y = v - pitch * bulge
        if jaw > 0.01:
            map_y -= _JAW * jaw * _jaw_weight(u, v, mouth[1])
        map_y = map_y * half + py
        near = cv2.remap(front, map_x, map_y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
        skin = cv2.remap(layers.skin, map_x, map_y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
        if oversample > 1:
            near = cv2.resize(near, (size, size), interpolation=cv2.INTER_AREA)
            skin = cv2.resize(skin, (size, size), interpolation=cv2.INTER_AREA)
        # Planes from here on: NumPy is several times faster over (3, S, S) than over (S, S, 3).
        *colours, head = cv2.split(near)
        picture = np.stack(colours)
        uc, vc = (u, v) if oversample == 1 else _face_grid(m, cells)
        raised = bulge if oversample == 1 else _bulge(uc, vc)
        if jaw > 0.01 or lids > 0.02:
            # Where the eyes and the mouth are now: they turn with the head.
            fu, fv = uc - yaw * raised, vc - pitch * raised
        if jaw > 0.01:
            height = 0.012 + 0.045 * jaw
            gap = np.exp(-(((fu - mouth[0]) / 0.13) ** 2) - ((fv - mouth[1] - 0.6 * height) / height) ** 2)
            gap = gap * min(1.0, 1.5 * jaw)
            picture *= (1.0 - 0.75 * gap).astype(np.float32)
            skin = skin * (1.0 - gap)
        if lids > 0.02:
            closed = sum(np.exp(-(((fu - x) / 0.11) ** 2) - (((fv - y) / 0.05) ** 2)) for x, y in eyes)
            closed = np.minimum(lids * closed, 1.0)
            picture += closed * (lid[:, None, None] - picture)
            skin = np.maximum(skin, 0.8 * closed)
        head = np.maximum(head, skin)
        behind = np.stack(cv2.split(_room_view(room, layers, motion.view[index], size)))
        # The screen lights the head three times as much as the room behind it.
        lit = 1.0 + light.level[index] + light.slope[index, 0] * uc + light.slope[index, 1] * vc
        if sheen:
            # The highlight belongs to the light: the face turns under it.
            hx, hy = spot_x - 0.4 * yaw, spot_y - 0.4 * pitch
            glow = np.exp(-(((uc - hx) / 0.12) ** 2) - ((vc - hy) / 0.08) ** 2)
            turned = 1.0 + 2.0 * (yaw + pitch)
            lit = lit + sheen * max(turned, 0.0) * glow * skin
        picture *= lit
        whole = 1.0 + light.room[index] + light.camera[index]
        picture *= (whole + light.front[index])[:, None, None]
        behind *= (whole + light.front[index] / 3.0)[:, None, None]
        behind += head * (picture - behind)
        np.clip(behind, 0.0, 0.985, out=behind)
        yield np.asarray(cv2.merge(list(behind)), np.float32), np.asarray(skin, np.float32)


def _face_grid(m: Array32, axis: Array32) -> tuple[Array32, Array32]:
    """Face coordinates (u, v) of the grid ``axis`` x ``axis`` of crop coordinates, by the affine ``m``."""
    u = m[0, 0] * axis[None, :] + (m[0, 1] * axis[:, None] + m[0, 2])
    v = m[1, 0] * axis[None, :] + (m[1, 1] * axis[:, None] + m[1, 2])
    return u, v


def _bulge(u: Array32, v: Array32) -> Array32:
    """How far the face stands out towards the camera, in halves of its box."""
    return np.asarray(np.maximum(1.0 - u * u * (1 / 0.75**2) - v * v, 0.0) * _DEPTH, np.float32)


def _jaw_weight(u: Array32, v: Array32, mouth: float) -> Array32:
    """How far a point follows the jaw: nothing above the lips' line, all of it at the chin."""
    below = np.clip((v - (mouth - 0.01)) * (1 / 0.06), 0.0, 1.0)
    fade = np.clip((0.95 - v) * (1 / 0.25), 0.0, 1.0)
    side = np.maximum(1.0 - (u * 2.0) ** 2, 0.0)
    return np.asarray(below * fade * side, np.float32)


def _room_view(room: Array32, layers: Layers, view: npt.NDArray[np.float64], size: int) -> Array32:
    """The room as the crop's box sees it: it stays where it is while the box moves."""
    scale = layers.backdrop_scale
    side = float(view[2]) * layers.half * scale
    step = 2.0 * side / size
    x0 = layers.centre[0] * scale + float(view[0]) * layers.half * scale - side + step / 2 - 0.5
    y0 = layers.centre[1] * scale + float(view[1]) * layers.half * scale - side + step / 2 - 0.5
    matrix = np.array([[step, 0.0, x0], [0.0, step, y0]])
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    return np.asarray(
        cv2.warpAffine(room, matrix, (size, size), flags=flags, borderMode=cv2.BORDER_REPLICATE), np.float32
    )
