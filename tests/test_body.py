"""Skin beyond the face: edited once, without a seam; its true pulse goes, the wanted one comes."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction

import cv2
import numpy as np
import numpy.typing as npt
import pytest

from streamfilter import band_stop
from streamfilter.body import BodyEditor, BodyState, Wearer
from streamfilter.body_paint import paint
from streamfilter.composite import apply_gain
from streamfilter.dither import Dither
from streamfilter.face.box import FaceBox
from streamfilter.face.color import rgb_to_yuv_matrix, yuv_to_rgb_matrix
from streamfilter.face.crop import crop_rgb
from streamfilter.frame import ColorSpec, Frame
from streamfilter.rppg.coherence import coherence
from streamfilter.rppg.estimators import ESTIMATORS
from streamfilter.rppg.heart_rate import heart_rate, heart_rate_after_notch
from streamfilter.skin import Tone
from streamfilter.skin_cells import cells_of, grid_of, skin_like

SKIN, GREY = np.array([0.75, 0.52, 0.42]), np.array([0.45, 0.47, 0.50])
RED, BLUE = (float(np.log((SKIN[k] + 0.02) / (SKIN[1] + 0.02))) for k in (0, 2))
TONE = Tone(RED, BLUE, float(SKIN[1]))
BOX = FaceBox(101.3, 80.7, 97.0)
SIGNATURE = np.array([0.33, 0.77, 0.53]) / 0.77
WANTED = (0.001, 0.006, 0.0026)
GAIN = np.array(WANTED, np.float32)  # a face without a pulse of its own, at the top of the wanted one
Mask = npt.NDArray[np.bool_]


def skin_at(*places: tuple[int, int, int, int], size: tuple[int, int] = (240, 320)) -> Mask:
    """(H, W): skin in rectangles (top, bottom, left, right), even numbers."""
    mask = np.zeros(size, np.bool_)
    for top, bottom, left, right in places:
        mask[top:bottom, left:right] = True
    return mask


def frame_with(skin: Mask, pulse: float = 0.0, seconds: float = 0.0, seed: int = 0) -> Frame:
    """Skin, its colour changed by ``pulse`` (relative, green), before grey; camera noise of a level."""
    matrix, offset = rgb_to_yuv_matrix(ColorSpec())
    grey = matrix @ GREY + offset
    own = matrix @ (SKIN * (1.0 + pulse * SIGNATURE)) + offset
    rng = np.random.default_rng(seed)
    planes = []
    for k, mask in enumerate((skin, skin[::2, ::2], skin[::2, ::2])):
        level = np.where(mask, own[k], grey[k]) + rng.normal(0.0, 1.0, mask.shape)
        planes.append(np.rint(level).astype(np.uint8))
    return Frame(planes[0], planes[1], planes[2], round(seconds * 3000), Fraction(1, 3000), ColorSpec())


def editor(masking: float = 0.0) -> BodyEditor:
    return BodyEditor(np.random.default_rng(1), WANTED, masking)


def edited(frame: Frame, boxes: list[FaceBox], strength: float = 1.0) -> Frame:
    body, _ = editor().find(frame, [Wearer(BOX, TONE, 0.0, GAIN)], boxes, strength, None)
    return body.beyond(frame, frame, boxes, Dither(), 0)


def test_without_skin_the_frame_stays_as_it_is() -> None:
    frame = frame_with(skin_at())
    made = edited(frame, [BOX])
    assert made.y is frame.y and made.u is frame.u and made.v is frame.v


def test_only_skin_beyond_the_boxes_changes_and_the_source_never() -> None:
    hand = (160, 220, 220, 290)
    frame = frame_with(skin_at((60, 104, 80, 122), hand))
    before = frame.y.copy()
    made = edited(frame, [BOX])
    np.testing.assert_array_equal(frame.y, before)
    changed = made.y != frame.y
    inside = changed[165:215, 225:285]
    assert inside.mean() > 0.2
    changed[130:, 190:] = False
    assert not changed.any(), "grey, or skin of the face, was changed"


def test_pixels_within_a_box_are_left_to_the_face_but_for_its_rim() -> None:
    everywhere = frame_with(skin_at((0, 240, 0, 320)))
    changed = edited(everywhere, [BOX]).y != everywhere.y
    rim = 2.5 * BOX.size / 72 + 1
    top, bottom = int(BOX.top + rim) + 1, int(BOX.top + BOX.size - rim)
    left, right = int(BOX.left + rim) + 1, int(BOX.left + BOX.size - rim)
    assert not changed[top:bottom, left:right].any()
    assert changed[:, int(BOX.left + BOX.size) + 3 :].mean() > 0.3


def test_the_faces_edit_and_this_one_add_up_to_one_across_the_border() -> None:
    """Both paint +3 levels of luma; averaged over frames and three samples no line shows around the box."""
    flat = np.full((240, 320), 100, np.uint8)
    grey = np.full((120, 160), 128, np.uint8)
    frame = Frame(flat, grey, grey, 0, Fraction(1, 30), ColorSpec())
    grid = grid_of(frame)
    offsets = np.zeros((3, *grid.shape), np.float32)
    offsets[0] = 3.0
    gain, crop = np.zeros((3, 72, 72), np.float32), crop_rgb(frame, BOX)
    matrix = rgb_to_yuv_matrix(ColorSpec())[0]
    gain += np.float32(3.0 / float(matrix[0] @ crop[:, 0, 0]))
    total = np.zeros(flat.shape)
    for index in range(64):
        face = apply_gain(frame, gain, crop, BOX, Dither(), index)
        total += paint(face, frame, offsets, np.ones(grid.shape, np.float32), grid, [BOX], Dither(), index).y
    mean = cv2.blur(total / 64 - 100.0, (3, 3))
    assert mean.min() > 2.7
    assert mean.max() < 3.3


def test_a_target_of_its_own_is_written_in_place() -> None:
    frame = frame_with(skin_at((160, 220, 220, 290)))
    target = frame.with_planes(frame.y.copy(), frame.u.copy(), frame.v.copy())
    body, _ = editor().find(frame, [Wearer(BOX, TONE, 0.0, GAIN)], [BOX], 1.0, None)
    assert body.beyond(target, frame, [BOX], Dither(), 0).y is target.y


def test_below_the_jaw_the_gain_takes_the_networks_place_and_at_hairline_and_ears_it_does_not() -> None:
    everywhere = frame_with(skin_at((0, 240, 0, 320)))
    state: BodyState | None = None
    for index in range(60):
        body, state = editor().find(
            replace(everywhere, pts=100 * index), [Wearer(BOX, TONE, 0.0, GAIN)], [BOX], 1.0, state
        )
    given = np.full((3, 72, 72), 0.02, np.float32)
    gain = body.within(given, BOX)
    np.testing.assert_allclose(gain[:, 36, 36], 0.02, rtol=0.02)
    assert abs(gain[1, 69, 36] - 0.02) > 0.005
    np.testing.assert_allclose(gain[:, 2, 36], 0.02)  # the forehead's end: oval and box are near it
    np.testing.assert_allclose(gain[:, 34, [7, -8]], 0.02)
    assert abs(gain[1, [3, 68]][:, [3, 68]] - 0.02).min() > 0.005  # a hand beside the head
    bare = frame_with(skin_at((40, 120, 60, 140)))
    nothing, _ = editor().find(bare, [Wearer(BOX, TONE, 0.0, GAIN)], [BOX], 1.0, None)
    np.testing.assert_allclose(nothing.within(given, BOX)[:, :, 0], 0.02)


@pytest.mark.parametrize("size", [(240, 320), (287, 361), (96, 128)])
def test_cells_are_the_exact_means_of_their_pixels(size: tuple[int, int]) -> None:
    rows, columns = size
    frame = frame_with(np.zeros(size, np.bool_), seed=3)
    half = (-(-rows // 2), -(-columns // 2))
    frame = frame.with_planes(frame.y, np.resize(frame.u, half), np.resize(frame.v, half))
    grid = grid_of(frame)
    cells = cells_of(frame, grid)
    assert cells.rgb.shape == (3, *grid.shape)
    c, h = grid.cell, grid.cell // 2
    yuv = [
        frame.y[0:c:2, c : 2 * c].mean(),
        frame.u[0:h, h : 2 * h].mean(),
        frame.v[0:h, h : 2 * h].mean(),
    ]
    matrix, offset = yuv_to_rgb_matrix(ColorSpec())
    np.testing.assert_allclose(cells.rgb[:, 0, 1], matrix @ np.array(yuv) + offset, atol=1e-5)


def test_the_tone_is_found_in_half_the_light_but_not_in_grey_or_darkness() -> None:
    frame = frame_with(skin_at((0, 240, 0, 160)))
    cells = cells_of(frame, grid_of(frame))
    like = skin_like(cells, TONE)
    assert like[:, :70].min() > 0.9 and like[:, 90:].max() < 0.05
    dim = replace(cells, rgb=0.5 * cells.rgb, logs=np.log(0.5 * cells.rgb + 0.02).astype(np.float32))
    assert skin_like(dim, TONE)[:, :70].min() > 0.7
    dark = replace(cells, rgb=0.03 * cells.rgb)
    assert skin_like(dark, TONE).max() < 0.05


def test_the_band_stop_takes_a_pulse_whole_and_leaves_slow_light_alone() -> None:
    for hertz, least, most in ((1.2, 0.97, 1.03), (0.02, 0.0, 0.25)):
        level = np.sin(2 * np.pi * hertz * np.arange(900) / 30).astype(np.float32)
        state, found = band_stop.start((1,)), []
        for change in np.diff(level, prepend=level[:1]):
            band, state = band_stop.in_band(np.array([change], np.float32), 1 / 30, state)
            found.append(float(band[0]))
        share = np.std(found[300:]) / np.std(level[300:])
        assert least <= share <= most, hertz


def test_planted_pulse_goes_and_the_wanted_one_is_read() -> None:
    """Golden case: 72 bpm on a hand, 120 ms late of the face; 96 bpm is asked for."""
    hand = skin_at((60, 120, 90, 150), size=(128, 160))
    rng = np.random.default_rng(4)
    times = np.arange(360) / 30
    beat = 2 * np.pi * 1.2 * times + 0.3 * np.sin(2 * np.pi * 0.1 * times) + 0.4 * np.sin(0.6 * times)
    pulse = np.cos(beat - 2 * np.pi * 1.2 * 0.12)
    face = FaceBox(40.0, 30.0, 44.0)
    body, state = editor(masking=0.001), None
    traces: dict[str, list[npt.NDArray[np.float64]]] = {"before": [], "after": []}
    matrix, offset = yuv_to_rgb_matrix(ColorSpec())
    for index, t in enumerate(times):
        frame = frame_with(hand, 0.005 * pulse[index], t, seed=int(rng.integers(1 << 30)))
        phase = 2 * np.pi * 1.6 * t
        edit, state = body.find(
            frame, [Wearer(face, TONE, phase, np.float32(np.cos(phase)) * GAIN)], [face], 1.0, state
        )
        made = edit.beyond(frame, frame, [face], Dither(), index)
        for name, shown in (("before", frame), ("after", made)):
            yuv = [shown.y[66:114, 96:144], shown.u[33:57, 48:72], shown.v[33:57, 48:72]]
            traces[name].append(matrix @ np.array([plane.mean() for plane in yuv]) + offset)
    read = {name: np.stack(trace)[60:] for name, trace in traces.items()}
    for name in ("POS", "CHROM", "GREEN", "PCA"):
        wave = {way: ESTIMATORS[name](trace, 30.0) for way, trace in read.items()}
        assert abs(heart_rate(wave["before"], 30.0) - 72) < 2
        assert abs(heart_rate(wave["after"], 30.0) - 96) < 1.5
        assert abs(heart_rate_after_notch(wave["after"], 30.0, 96.0) - 72) > 3
        if name != "PCA":
            assert coherence(wave["before"], pulse[60:], 30.0, 72.0) > 0.9
            assert coherence(wave["after"], pulse[60:], 30.0, 72.0) < 0.5


def test_what_tiles_estimate_short_of_the_pulse_is_made_up_for() -> None:
    hand, face = skin_at((60, 120, 90, 150), size=(128, 160)), FaceBox(40.0, 30.0, 44.0)
    rng, beat = np.random.default_rng(4), 2 * np.pi * 1.2 * np.arange(450) / 30
    body, state = editor(masking=0.0), None
    seen: dict[str, list[float]] = {"before": [], "after": []}
    for index, pulse in enumerate(np.cos(beat)):
        frame = frame_with(hand, 0.005 * pulse, index / 30, seed=int(rng.integers(1 << 30)))
        edit, state = body.find(frame, [Wearer(face, TONE, 0.0, 0.0 * GAIN)], [face], 0.0, state)
        for name, shown in (("before", frame), ("after", edit.beyond(frame, frame, [face], Dither(), index))):
            seen[name].append(float(shown.y[66:114, 96:144].mean()))
    waves = (np.asarray(trace)[90:] - np.mean(trace[90:]) for trace in seen.values())
    before, after = (wave @ np.exp(-1j * beat[90:]) for wave in waves)
    assert abs(after / before) < 0.055  # 0.07 without


def test_two_faces_lend_their_own_pulse_to_what_is_near() -> None:
    other = FaceBox(260.0, 60.0, 90.0)
    frame = frame_with(skin_at((160, 230, 0, 320)))
    wearers = [Wearer(BOX, TONE, 0.0, GAIN), Wearer(other, TONE, np.pi, -GAIN)]
    body, _ = editor().find(frame, wearers, [BOX, other], 1.0, None)
    left, right = body.gain[1, -10, 10], body.gain[1, -10, -10]
    assert left > 0.003 and right < -0.003


def test_another_size_of_picture_starts_afresh() -> None:
    frame, small = frame_with(skin_at((160, 220, 220, 290))), frame_with(skin_at(size=(96, 128)))
    wearers = [Wearer(BOX, TONE, 0.0, GAIN)]
    _, state = editor().find(frame, wearers, [BOX], 1.0, None)
    body, state = editor().find(small, wearers, [BOX], 1.0, state)
    assert body.mask.shape == state.mask.shape == grid_of(small).shape


def test_where_the_skin_moves_too_much_the_faces_own_edit_stands_in_below_the_chin_alone() -> None:
    """A change of a third of a per cent is a pulse's, one of several per cent is motion's. A wall beside the
    face that took the face's edit would show its pulse."""
    skin, face = skin_at((90, 124, 0, 160), size=(128, 160)), FaceBox(80.0, 30.0, 44.0)
    for swing, stands_in in ((0.003, False), (0.05, True)):
        body, state = editor(), None
        for index in range(105):
            pulse = swing * np.sin(2 * np.pi * 1.5 * index / 30)
            frame = frame_with(skin, pulse, index / 30, seed=index)
            wearers = [Wearer(face, TONE, np.pi / 2, 2.0 * GAIN)]
            edit, state = body.find(frame, wearers, [face], 0.0, state)
        neck, aside = edit.gain[1, -10, 40], edit.gain[1, -10, 5]
        assert (abs(neck - 2.0 * GAIN[1]) < 0.002) == stands_in
        assert abs(aside) < 0.003 < abs(neck - aside) or not stands_in


def test_what_is_far_brighter_than_the_face_is_no_skin() -> None:
    """A lamp-lit wall behind a dark face has its chroma; edited, it would outshine the face's own edit."""
    frame = frame_with(skin_at((0, 240, 0, 320)))
    cells = cells_of(frame, grid_of(frame))
    for times, like in ((1.0, 1.0), (1.6, 1.0), (2.6, 0.0)):
        tone = Tone(TONE.red, TONE.blue, TONE.light / times)
        assert float(np.median(skin_like(cells, tone))) == pytest.approx(like, abs=0.05)


@pytest.mark.parametrize("width", [320, 640, 1280])
def test_chroma_moves_in_blocks_whatever_the_size(width: int) -> None:
    """An encoder passes single samples on worse (docs/dither.md)."""
    height = width * 9 // 16
    luma, grey = np.full((height, width), 100, np.uint8), np.full((height // 2, width // 2), 128, np.uint8)
    frame = Frame(luma, grey, grey, 0, Fraction(1, 30), ColorSpec())
    grid = grid_of(frame)
    offsets = np.full((3, *grid.shape), 0.5, np.float32)
    moved = paint(frame, frame, offsets, np.ones(grid.shape, np.float32), grid, [], Dither(), 3).u
    blocks = moved.reshape(height // 4, 2, width // 4, 2)
    assert (blocks == blocks[:, :1, :, :1]).all()
    assert 0.4 < (moved != 128).mean() < 0.6
