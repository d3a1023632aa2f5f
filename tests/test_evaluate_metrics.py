"""The evaluation's figures: they find a pulse that is there, and none where there is none."""

from __future__ import annotations

import hashlib
from concurrent.futures import ThreadPoolExecutor
from fractions import Fraction
from pathlib import Path
from threading import Event

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from model.evaluate.clip import EvalClip, KnownPulse, Labels, choose_target, longest_run, read_range
from model.evaluate.codecs import CAMERAS, CODECS, open_channel
from model.evaluate.metrics import Fidelity, attack, early_attack, hits, leaks, readings
from model.evaluate.reading import BLOCKS, face_trace, patch_traces, sums_of
from streamfilter.face.box import FaceBox
from streamfilter.face.crop import CROP_SIZE
from streamfilter.frame import ColorSpec, Frame

FPS, SECONDS = 30.0, 20.0
TIMES = np.arange(int(FPS * SECONDS)) / FPS
DIRECTION = np.array([0.43, 1.0, 0.69])


def pulse_trace(*waves: tuple[float, float], seed: int = 0, noise: float = 2e-4) -> npt.NDArray[np.float64]:
    """A face's colour with pulses of (bpm, amplitude)."""
    rng = np.random.default_rng(seed)
    change = sum(size * np.sin(2 * np.pi * bpm / 60 * TIMES) for bpm, size in waves)
    level = np.array([0.6, 0.45, 0.35])
    shaken = rng.normal(0.0, noise, (TIMES.size, 3))
    return np.asarray(level * (1.0 + np.outer(change, DIRECTION) + shaken), np.float64)


def clip_with_pulse(true_bpm: float, target: float) -> EvalClip:
    count = TIMES.size
    bvp = np.sin(2 * np.pi * true_bpm / 60 * TIMES)
    field = np.zeros((count, 10), np.float32)
    field[:, 0] = 0.005 * bvp
    free = np.ones((count, 4, BLOCKS, BLOCKS), np.float32)
    return EvalClip(
        name="made",
        labels=Labels("synthetic"),
        path=Path("none"),
        seed=0,
        size=(144, 144),
        times=TIMES,
        boxes=np.tile([72.0, 72.0, 100.0], (count, 1)),
        skin=np.full((count, CROP_SIZE, CROP_SIZE), 255, np.uint8),
        read=(0, count),
        target=target,
        true_bpm=true_bpm,
        pulse=KnownPulse(field, DIRECTION.astype(np.float32), "box", bvp, free),
        codecs=False,
    )


def blocks_of(trace: npt.NDArray[np.float64]) -> npt.NDArray[np.float32]:
    """Block sums of a face whose blocks all have this colour."""
    weights = np.full((len(trace), 1), (CROP_SIZE / BLOCKS) ** 2)
    sums = np.concatenate([trace * weights, weights], axis=1)
    return np.broadcast_to(sums[:, :, None, None], (len(trace), 4, BLOCKS, BLOCKS)).astype(np.float32)


def test_a_shown_pulse_is_read_and_the_hidden_one_is_found_once_it_is_notched_out() -> None:
    trace = pulse_trace((120.0, 0.006), (70.0, 0.001))
    figures = readings(trace, clip_with_pulse(70.0, 120.0), slice(0, TIMES.size))
    assert max(value for value in figures["error"].values()) < 0.5
    assert figures["hits"] == 4
    assert figures["shown_true"] == 0


def test_without_a_hidden_pulse_no_attacker_finds_one_reliably() -> None:
    found = sum(
        hits(attack(pulse_trace((120.0, 0.006), seed=seed), FPS, 120.0), 70.0)
        + hits(early_attack(pulse_trace((120.0, 0.006), seed=seed), FPS, 120.0), 70.0)
        for seed in range(6)
    )
    assert found <= 10  # of 48; a window of 6 bpm of 140 catches one in 20 by chance


def test_an_estimator_that_reads_nothing_is_no_hit() -> None:
    assert hits({"POS": None, "CHROM": 71.0, "GREEN": 73.1}, 70.0) == 1


def test_leak_tells_an_untouched_pulse_from_a_removed_one() -> None:
    clip, span = clip_with_pulse(70.0, 120.0), slice(0, TIMES.size)
    untouched = leaks(blocks_of(pulse_trace((70.0, 0.005))), clip, span)
    removed = [leaks(blocks_of(pulse_trace((120.0, 0.005), seed=k)), clip, span) for k in range(4)]
    assert untouched["face_mean"] > 0.95
    assert untouched["patch_mean"] > 0.95
    assert untouched["left"] == pytest.approx(1.0, abs=0.05)
    assert np.mean([r["face_mean"] for r in removed]) < 0.3
    assert max(r["left"] for r in removed) < 0.05


def test_reading_a_flat_picture_gives_its_colour_in_every_place() -> None:
    color = ColorSpec("bt709")
    frame = Frame(
        np.full((144, 144), 120, np.uint8),
        np.full((72, 72), 110, np.uint8),
        np.full((72, 72), 150, np.uint8),
        0,
        Fraction(1, 30),
        color,
    )
    skin = np.full((CROP_SIZE, CROP_SIZE), 128, np.uint8)
    blocks = np.stack([sums_of(frame, np.array([70.0, 74.0, 96.0]), skin)] * 3)
    face = face_trace(blocks)
    patches = patch_traces(blocks)
    assert len(patches) == 16
    for patch in patches:
        np.testing.assert_allclose(patch, face, atol=1e-5)
    matrix_free_luma = 0.2126 * face[0, 0] + 0.7152 * face[0, 1] + 0.0722 * face[0, 2]
    assert matrix_free_luma == pytest.approx((120 - 16) / 219, abs=1e-5)


def test_a_patch_without_skin_is_left_out() -> None:
    blocks = blocks_of(pulse_trace((70.0, 0.005)))
    blocks[:, :, 3:6, 3:6] = 0.0
    assert len(patch_traces(blocks)) == 15


@given(st.lists(st.booleans(), max_size=40))
def test_longest_run_is_all_true_and_cannot_grow(values: list[bool]) -> None:
    found = np.array(values, bool)
    start, end = longest_run(found)
    assert found[start:end].all()
    runs = "".join("1" if v else "0" for v in values).split("0")
    assert end - start == max(len(run) for run in runs)


def test_reading_starts_after_the_shield_and_ends_with_the_face() -> None:
    found = np.zeros(TIMES.size, bool)
    found[30:400] = True
    assert read_range(TIMES, found) == (30 + 45, 400)


@given(st.floats(45.0, 170.0), st.integers(0, 50))
@settings(max_examples=60)
def test_the_target_hides_nothing_of_the_true_rate(true_bpm: float, seed: int) -> None:
    target = choose_target(np.random.default_rng(seed), true_bpm)
    assert 40.0 <= target <= 180.0
    assert abs(target - true_bpm) >= 30.0
    assert all(abs(k * target - true_bpm) >= 12.0 for k in (1, 2, 3))


@pytest.mark.parametrize("name", [*CODECS, *CAMERAS])
def test_every_channel_gives_each_frame_back_in_order(name: str) -> None:
    count, side = 20, 64
    channel = open_channel(name, side, side, 30.0)
    out: list[Frame] = []
    for index in range(count):
        y = np.full((side, side), 40 + 8 * index, np.uint8)
        chroma = np.full((side // 2, side // 2), 128, np.uint8)
        out += channel.send(Frame(y, chroma, chroma, index, Fraction(1, 30), ColorSpec()))
    out += channel.finish()
    assert len(out) == count
    levels = np.array([float(frame.y.mean()) for frame in out])
    np.testing.assert_allclose(levels, 40 + 8 * np.arange(count), atol=4)
    assert channel.bytes > 0


def test_a_busy_machine_gets_the_same_pictures_through_a_call() -> None:
    rows = np.sin(np.arange(480)[:, None] / 9) * np.cos(np.arange(640) / 13)

    def received() -> list[bytes]:
        rng, channel, out = np.random.default_rng(1), open_channel("VP8 1.5", 640, 480, 30.0), []
        for index in range(25):
            noisy = 128 + 60 * np.roll(rows, 3 * index, axis=1) + rng.normal(0.0, 6.0, rows.shape)
            y = noisy.clip(0, 255).astype(np.uint8)
            for frame in channel.send(
                Frame(y, y[::2, ::2], y[1::2, 1::2], index, Fraction(1, 30), ColorSpec())
            ):
                out.append(frame.y.tobytes())
        return out

    done = Event()

    def keep_busy() -> None:
        while not done.is_set():
            hashlib.sha256(bytes(1 << 20))  # the interpreter is free meanwhile

    alone = received()
    with ThreadPoolExecutor(4) as threads:
        for _ in range(4):
            threads.submit(keep_busy)
        try:
            assert received() == alone
        finally:
            done.set()


def test_fidelity_of_no_edit_and_of_one_level() -> None:
    rng = np.random.default_rng(0)
    box = FaceBox(32.0, 32.0, 40.0)
    same, moved = Fidelity(), Fidelity()
    for _ in range(3):
        picture = rng.integers(20, 200, (64, 64, 3), dtype=np.uint8)
        same.add(picture, picture, box)
        moved.add(picture, picture + np.uint8(1), box)
    assert same.figures() == {
        "psnr": None,
        "psnr_planes": None,
        "ssim_face": 1.0,
        "ssim_frame": 1.0,
        "flicker": 1.0,
    }
    assert moved.figures()["psnr"] == pytest.approx(20 * np.log10(255.0), abs=0.01)
    assert moved.figures()["flicker"] == pytest.approx(1.0)
