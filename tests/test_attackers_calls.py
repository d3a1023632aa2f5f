"""Attackers at the other end of a call: what a codec does to a clip, and the study of the natural pulse."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from model.attackers.calls import CALLS, FACE_SHARE, PICTURE, PLANES, Call, after, call_names
from model.attackers.layout import Recording, load
from model.attackers.natural import Variant, cache_name, figures_of, parse
from model.attackers.natural_reading import plain_readings, shown_readings
from model.attackers.natural_report import markdown
from model.attackers.record import record_versions
from model.attackers.scenes import FPS, draw_scenes
from model.data.video import render_frames
from model.evaluate.codecs import Channel
from streamfilter.config import NATURAL, FilterSettings
from streamfilter.errors import UsageError
from streamfilter.face_filter import build_filter
from streamfilter.frame import ColorSpec, Frame, Plane
from tests.test_attackers import recording

SIDE = 176
CLIPS = 10


def noisy(count: int, seed: int, flicker: float = 0.0) -> list[Frame]:
    """Still texture with a camera's noise; ``flicker`` is the share of chroma samples moved by a level."""
    rng = np.random.default_rng(seed)
    coarse = rng.uniform(60, 190, (SIDE // 8, SIDE // 8))
    texture = np.kron(coarse, np.ones((8, 8)))

    def plane(mean: np.ndarray | float, side: int, noise: float, moved: float) -> Plane:
        grey = mean + noise * rng.standard_normal((side, side)) + (rng.random((side, side)) < moved)
        return np.clip(np.rint(grey), 0, 255).astype(np.uint8)

    return [
        Frame(
            plane(texture, SIDE, 1.2, 0.0),
            plane(110.0, SIDE // 2, 0.4, flicker),
            plane(145.0, SIDE // 2, 0.4, flicker),
            index,
            Fraction(1, 30),
            ColorSpec(),
        )
        for index in range(count)
    ]


def received(call: str, frames: Sequence[Frame]) -> tuple[list[Frame], float]:
    """What comes out, and the bits a second that went over the line."""
    line = Call(call, SIDE, FPS)
    out = [line.through(frame) for frame in frames]
    return out, line.bytes * 8 * FPS / len(frames)


def flicker_of_v(frames: Sequence[Frame]) -> float:
    planes = np.stack([frame.v.astype(np.float64) for frame in frames])[len(frames) // 2 :]
    return float(np.mean(np.diff(planes, axis=0) ** 2))


def sharpness(planes: Sequence[Plane], frames: Sequence[Frame]) -> float:
    """PSNR of luma in dB once the first second is over."""
    pairs = list(zip(planes, frames, strict=True))[30:]
    error = np.mean([np.mean((seen.astype(float) - frame.y) ** 2) for seen, frame in pairs])
    return float(10.0 * np.log10(255.0**2 / error))


@pytest.mark.parametrize("name", CALLS)
def test_a_call_gives_every_frame_back_at_its_rate(name: str) -> None:
    frames = noisy(75, 0)
    out, rate = received(name, frames)
    assert len(out) == len(frames)
    assert all(one.y.shape == (SIDE, SIDE) and one.u.shape == one.v.shape == (88, 88) for one in out)
    error = np.mean([np.abs(a.y.astype(int) - b.y).mean() for a, b in zip(frames, out, strict=True)])
    assert 0.2 < error < 8.0
    meant = CALLS[name].megabits * 1e6 * FACE_SHARE * SIDE * SIDE / PICTURE
    assert rate < 1.3 * meant


def test_a_call_drowns_the_flicker_of_single_samples() -> None:
    still, moved = noisy(60, 1), noisy(60, 1, flicker=0.5)
    assert flicker_of_v(moved) > 1.5 * flicker_of_v(still)
    for name in ("vp8-1.5", "vp8-0.5"):
        assert flicker_of_v(received(name, moved)[0]) < 0.3 * flicker_of_v(still)


@pytest.mark.parametrize("name", ["vp8-1.5", "vp8-0.5", "h264-1.5"])
def test_a_scene_alone_comes_out_as_sharp_as_in_the_middle_of_a_room(name: str) -> None:
    scene = draw_scenes(None, "train", 1, 1.0)[0]
    drawn = render_frames(np.random.default_rng(scene.seed), scene.portrait(), scene.settings, SIDE)
    alone = [one.frame for one in drawn]
    rng = np.random.default_rng(0)
    walls = [rng.uniform(60, 190, (9, 16)), np.full((9, 16), 126.0), np.full((9, 16), 130.0)]

    def in_room(frame: Frame) -> Frame:
        planes = []
        for wall, face, side in zip(walls, (frame.y, frame.u, frame.v), (40, 20, 20), strict=True):
            room = np.kron(wall, np.ones((side, side)))
            plane = np.rint(room + rng.standard_normal(room.shape)).astype(np.uint8)
            top, left = ((whole - own) // 2 for whole, own in zip(plane.shape, face.shape, strict=True))
            plane[top : top + len(face), left : left + len(face)] = face
            planes.append(plane)
        return frame.with_planes(*planes)

    call = CALLS[name]
    room = Channel(call.of(640 * 360, share=1.0), 640, 360, FPS)
    seen = [one for frame in alone for one in room.send(in_room(frame))]
    inside = [one.y[92:268, 232:408] for one in seen]
    pairs = (sharpness(inside, alone), sharpness([one.y for one in received(name, alone)[0]], alone))
    assert pairs[0] == pytest.approx(pairs[1], abs=1.5)
    assert min(pairs) > 30.0


def test_names_of_calls() -> None:
    assert call_names("none, vp8-1.5,none") == ("none", "vp8-1.5")
    with pytest.raises(UsageError, match="vp9"):
        call_names("none,vp9")
    assert after("raw", PLANES) == "raw"
    assert len({after("raw", name) for name in (PLANES, *CALLS)}) == 1 + len(CALLS)


def test_a_recording_holds_each_version_before_and_after_a_call(tiny_artifact: Path, tmp_path: Path) -> None:
    scene = draw_scenes(None, "train", 1, 3.0)[0]
    calls = (PLANES, "vp8-0.5")
    settings = FilterSettings(artifact=tiny_artifact, target_bpm=scene.targets[0], seed=1)
    names = ("raw", "out")
    record_versions(scene, tmp_path, names, lambda _, finder: build_filter(settings), calls)
    clip = load(scene, tmp_path, [after(name, call) for name in names for call in calls])
    for name in names:
        planes, seen = clip.versions[name], clip.versions[after(name, "vp8-0.5")]
        assert planes.cells.shape == seen.cells.shape == (89, 9, 9, 3)
        assert 1e-4 < np.abs(planes.face - seen.face).mean() < 0.02
        chroma = [5, 8]
        assert seen.pixels[1:, chroma].mean() < 0.5 * planes.pixels[1:, chroma].mean()
    alone = tmp_path / "alone"
    record_versions(scene, alone, ("raw",), lambda _, finder: build_filter(settings))
    again = load(scene, alone, ("raw",)).versions["raw"]
    np.testing.assert_array_equal(again.face, clip.versions["raw"].face)


def test_other_calls_and_variants_have_another_cache() -> None:
    names = {cache_name("graph", calls) for calls in ((PLANES,), (PLANES, "vp8-1.5"), ("vp8-1.5",))}
    assert len(names | {cache_name("other", (PLANES,))}) == 4
    assert cache_name("graph", (PLANES,)) in names


def test_readings_find_the_truth_where_it_was_left_and_chance_where_it_was_not() -> None:
    kept = shown_readings([recording(n, removed=False) for n in range(CLIPS)], "out")
    gone = shown_readings([recording(n, removed=True) for n in range(CLIPS)], "out")
    assert kept["found after the notch"] > 0.9 and kept["gain"]["low"] > 0.5 and not kept["met"]
    assert gone["met"] and gone["at the target"] > 0.9 and gone["error"] < 2.0
    assert gone["at the true rate"] == 0.0
    assert plain_readings([recording(n, removed=True) for n in range(3)], "raw")["at the true rate"] == 1.0


def test_one_clip_is_no_measure_of_chance() -> None:
    alone = shown_readings([recording(0, removed=True)], "out")
    assert alone["clips beside"] == 0 and "gain" not in alone


def test_the_page_tells_each_call_s_figures() -> None:
    call = "vp8-0.5"

    def sent(one: Recording) -> Recording:
        return replace(one, versions={after(name, call): version for name, version in one.versions.items()})

    clips = [sent(recording(n, removed=True, flicker=1.6)) for n in range(CLIPS)]
    variants = {"out": Variant(NATURAL, 1.0, 0.0)}
    found = figures_of(clips, call, variants, folds=2, seeds=1)
    told = found["variants"]["natural, strength 1, masking × 0"]["detector"]["raw"]["detectors"]
    assert told["marks of pixels"]["value"] > 0.9
    figures = {PLANES: found, call: found}
    meta = {
        "command": "python -m x",
        "commit": "abc1234",
        "artifact": "tiny",
        "scenes": CLIPS,
        "seconds": 8.0,
        "subjects": 8,
    }
    page = markdown(meta, figures)
    assert page.index("## The planes as they leave the filter") < page.index("## After vp8-0.5")
    assert page.count("| natural, strength 1, masking × 0 |") == 5
    assert f"| {told['marks of pixels']['value']:.2f}, marks of pixels" in page
    assert "libvpx, 0.5 Mbit/s" in page and "nan" not in page


def test_options_that_make_no_study_are_refused() -> None:
    with pytest.raises(SystemExit):
        parse(["--scenes", "3"])
    assert call_names(parse([]).codecs)[0] == PLANES
