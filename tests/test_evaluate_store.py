"""What a clip's cache holds: which frames are read, and the truth as it was written."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from model.data.portrait import builtin_portrait
from model.data.settings import ClipSettings
from model.data.video import render_video
from model.evaluate.clip import LEAST_SKIN, Labels, has_skin, longest_run
from model.evaluate.memory import fingerprint, keep, recall
from model.evaluate.reading import BLOCKS, block_sums, even, face_trace
from model.evaluate.real import SteadySkin, real_specs
from model.evaluate.store import TRUTH, Recorder, load_clip, save_clip
from model.evaluate.synthetic import SyntheticSpec, open_synthetic, synthetic_specs
from streamfilter.errors import SinkError, SourceError
from streamfilter.face.box import FaceBox
from streamfilter.face.crop import CROP_SIZE
from streamfilter.frame import ColorSpec, Frame
from tests.made_video import FPS
from tests.media_clips import noise_frames

SHAPE = (CROP_SIZE, CROP_SIZE)
BOX = (30.0, 24.0, 40.0)


def record(folder: Path, skin: npt.NDArray[np.bool_], face: npt.NDArray[np.bool_] | None = None) -> Recorder:
    """A clip of noise whose frames have skin, and a face, where these say so."""
    frames = noise_frames(pts=list(range(skin.size)), time_base=Fraction(1, FPS))
    recorder = Recorder(folder, (64, 48), FPS, ColorSpec())
    with recorder:
        for index, frame in enumerate(frames):
            cells = np.full(SHAPE, 200 if skin[index] else 0, np.uint8)
            recorder.add_cells(frame, BOX if face is None or face[index] else None, cells, None)
    return recorder


def spans(count: int, *ranges: tuple[int, int]) -> npt.NDArray[np.bool_]:
    out = np.zeros(count, bool)
    for start, end in ranges:
        out[start:end] = True
    return out


def test_frames_without_skin_are_not_read(tmp_path: Path) -> None:
    """As in a clip whose light goes out: a mean over no skin would be 0 / 0."""
    skin = spans(240, (0, 60), (70, 200))
    recorder = record(tmp_path / "clip", skin)
    assert recorder.read_range() == (70 + 23, 200)  # 1.5 s after the skin is seen again, to the last of it
    clip = recorder.clip("dim", Labels("real"), 1, 100.0, None, None)
    blocks = np.stack([block_sums(frame, clip, k) for k, frame in enumerate(clip.frames())])
    assert np.isnan(face_trace(blocks)).any()
    assert np.isfinite(even(face_trace(blocks[93:200]), clip.times[93:200], clip.fps)).all()


def test_a_face_without_skin_and_skin_without_a_face_are_both_left_out(tmp_path: Path) -> None:
    with pytest.raises(
        SourceError, match=r"2\.\d s can be read, 5 s .* 200 frames, 120 show a face and 60 skin"
    ):
        record(tmp_path / "clip", spans(200, (60, 200)), spans(200, (0, 120))).read_range()


def test_a_clip_that_never_shows_skin_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match=r"0\.0 s can be read, .* 120 show a face and 0 skin"):
        record(tmp_path / "clip", spans(120)).read_range()


def test_little_skin_is_too_little() -> None:
    level = 255.0 * LEAST_SKIN
    masks = np.stack([np.full(SHAPE, value, np.uint8) for value in (0, level - 1, level + 1, 255)])
    np.testing.assert_array_equal(has_skin(masks), [False, False, True, True])


def test_a_mask_outlasts_a_moment_without_skin() -> None:
    """Why gaps are not bridged: a moment is none, and what is one is long."""
    color = ColorSpec()
    flat = np.full((72, 72), 150, np.uint8)
    warm = Frame(
        flat, np.full((36, 36), 105, np.uint8), np.full((36, 36), 150, np.uint8), 0, Fraction(1), color
    )
    grey = warm.with_planes(flat, np.full((36, 36), 128, np.uint8), np.full((36, 36), 128, np.uint8))
    steady, box = SteadySkin(FPS), FaceBox(36.0, 36.0, 60.0)
    masks = [steady.next(warm if k < 30 or k >= 35 else grey, box) for k in range(60)]
    shown = has_skin(np.rint(np.stack(masks) * 255.0).astype(np.uint8))
    assert shown.all()
    masks += [steady.next(grey, box) for _ in range(60)]
    shown = has_skin(np.rint(np.stack(masks) * 255.0).astype(np.uint8))
    assert 60 < longest_run(shown)[1] < 90


def test_a_clip_comes_back_as_it_was_saved(tmp_path: Path) -> None:
    recorder = record(tmp_path / "clip", spans(120, (0, 120)))
    clip = recorder.clip("kept", Labels("real", fps=15.0), 3, 90.0, 53.0, None)
    save_clip(tmp_path / "clip", clip)
    back = load_clip(tmp_path / "clip")
    assert (back.name, back.labels, back.seed, back.size) == ("kept", clip.labels, 3, (64, 48))
    assert (back.read, back.target, back.true_bpm, back.pulse) == (clip.read, 90.0, 53.0, None)
    np.testing.assert_array_equal(back.boxes, clip.boxes)
    np.testing.assert_array_equal(back.skin, clip.skin)
    for own, given in zip(back.frames(), noise_frames(pts=list(range(120))), strict=True):
        np.testing.assert_array_equal(own.y, given.y)


def test_a_failed_recording_leaves_no_video(tmp_path: Path) -> None:
    recorder = Recorder(tmp_path / "clip", (64, 48), FPS, ColorSpec())
    bad = noise_frames(width=32)[0]
    with pytest.raises(SinkError), recorder:
        recorder.add_cells(bad, BOX, np.full(SHAPE, 255, np.uint8), None)
    assert list((tmp_path / "clip").iterdir()) == []


def test_a_camera_that_compresses_keeps_frame_and_truth_together(tmp_path: Path) -> None:
    """H.264 gives its frames back some calls later; each must meet its own times and pulse-free twin."""
    settings = ClipSettings(frames=105, fps=FPS, motion=4, hr=66.0, strength=0.01)
    spec = SyntheticSpec("camera", None, 4, settings, 160, "h264")
    clip = open_synthetic(spec, tmp_path)
    assert clip.pulse is not None and clip.labels.camera == "h264"
    assert clip.true_bpm == pytest.approx(66.0, abs=4.0)
    assert clip.read == (23, 105)
    drawn = render_video(np.random.default_rng(4), builtin_portrait(), settings, 160, ColorSpec()).frames()
    raw = np.stack([each.frame.y for each in drawn]).astype(int)
    seen = np.stack([frame.y for frame in clip.frames()])
    blocks = np.stack([block_sums(frame, clip, k) for k, frame in enumerate(clip.frames())])
    for ours, theirs in ((seen, raw), (blocks, clip.pulse.free)):
        apart = [float(np.abs(np.roll(ours, k, axis=0) - theirs)[4:-4].mean()) for k in range(-3, 4)]
        assert apart.pop(3) < 0.5 * min(apart)
    elsewhere = open_synthetic(spec, tmp_path / "elsewhere")
    np.testing.assert_array_equal(seen, np.stack([frame.y for frame in elsewhere.frames()]))
    written = (tmp_path / f"camera-{spec.key()}" / TRUTH).stat().st_mtime_ns
    again = open_synthetic(spec, tmp_path)
    assert again.read == clip.read
    assert (tmp_path / f"camera-{spec.key()}" / TRUTH).stat().st_mtime_ns == written


def test_every_condition_is_in_the_set_and_each_clip_has_its_own_cache() -> None:
    specs = synthetic_specs(None, quick=False)
    assert {spec.settings.motion for spec in specs} == {0, 1, 2, 3, 4}
    assert {spec.settings.fps for spec in specs} == {15.0, 24.0, 30.0, 60.0}
    assert {spec.camera for spec in specs} == {"raw", "mjpeg", "h264"}
    assert len({spec.key() for spec in specs}) == len({spec.name for spec in specs}) == len(specs)
    assert [spec.key() for spec in synthetic_specs(None, quick=False)] == [spec.key() for spec in specs]
    lengths = {round(spec.settings.frames / spec.settings.fps, 1) for spec in specs}
    assert lengths == {31.5, 21.5}
    short = synthetic_specs(None, quick=True, seconds=6.0)
    assert {round(spec.settings.frames / spec.settings.fps, 1) for spec in short} == {7.5}


def test_clips_of_unknown_pulse_are_planted_and_the_known_one_is_repeated(tmp_path: Path) -> None:
    for name in ("evm_face.mp4", "lp_d10.mp4", "other.AVI", "README.md"):
        (tmp_path / name).write_bytes(b"")
    names = [spec.name for spec in real_specs(tmp_path, quick=False)]
    assert names == [
        "evm_face",
        "lp_d10",
        "other",
        "evm_face-seed2",
        "evm_face-seed3",
        "lp_d10-planted",
        "other-planted",
    ]
    assert len({spec.key() for spec in real_specs(tmp_path, quick=False)}) == len(names)
    assert [spec.name for spec in real_specs(tmp_path, quick=True)] == [
        "evm_face",
        "evm_face-seed2",
        "evm_face-seed3",
        "lp_d10-planted",
    ]


def test_figures_are_kept_for_as_long_as_nothing_they_follow_from_changes(
    tmp_path: Path, tiny_artifact: Path
) -> None:
    truth = tmp_path / "truth"
    truth.write_bytes(b"one")
    direction, turned = (0.001, 0.006, 0.003), (0.002, 0.006, 0.003)

    def mark(
        editor: str, artifact: Path | None = None, engine: str = "auto", toward: object = direction
    ) -> str:
        assert isinstance(toward, tuple)
        return fingerprint(editor, truth, artifact, engine, toward, False)

    assert mark("none", toward=turned) == mark("none", tiny_artifact) == mark("none")
    assert mark("oracle", tiny_artifact) == mark("oracle") != mark("oracle", toward=turned)
    assert len({mark("artifact"), mark("artifact", tiny_artifact), mark("artifact", engine="openvino")}) == 3
    before = mark("none")
    truth.write_bytes(b"two")
    assert mark("none") != before

    assert recall(tmp_path, "clip--none", "a") is None
    keep(tmp_path, "clip--none", "a", {"hits": 3})
    assert recall(tmp_path, "clip--none", "a") is None  # its trace is not there
    np.savez(tmp_path / "clip--none.npz", rgb=np.zeros((2, BLOCKS)))
    assert recall(tmp_path, "clip--none", "a") == {"hits": 3}
    assert recall(tmp_path, "clip--none", "b") is None
