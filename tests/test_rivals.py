"""The comparison editors: what their papers' optimum asks for, checked on short generated clips."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import torch

from model.data.portrait import builtin_portrait
from model.data.settings import ClipSettings
from model.data.video import render_video
from model.evaluate.metrics import rgb_of
from model.rivals import privacy_phys
from model.rivals.faces import Face, find_faces
from model.rivals.physnet import PhysNet, physnet_of
from model.rivals.privacy_phys import PrivacyPhys, steps_towards, waveform_loss, windows
from model.rivals.protocol import Frames, round_stochastically, target_wave
from model.rivals.pulse_edit import PulseEdit, detrended
from model.rivals.pulse_edit import least_change as resembling_change
from model.rivals.region_edit import RegionEdit, band_basis, least_change, region_sums, share_out
from streamfilter.errors import UsageError
from streamfilter.rppg.heart_rate import heart_rate

Array64 = npt.NDArray[np.float64]
FPS, SECONDS, TRUE, TARGET = 15.0, 8.0, 66.0, 100.0


@cache
def clip() -> tuple[Frames, Array64]:
    """A still face with a pulse of 66 bpm, 8 s at 15 frames a second."""
    settings = ClipSettings(frames=int(SECONDS * FPS), fps=FPS, motion=0, hr=TRUE, strength=0.006, noise=1.0)
    video = render_video(np.random.default_rng(3), builtin_portrait(), settings, 128)
    frames = np.stack([rgb_of(drawn.frame) for drawn in video.frames()])
    return frames, np.asarray(video.times, np.float64)


@cache
def pulse_edited() -> Frames:
    return PulseEdit().edit(*clip(), TARGET)


@cache
def region_edited() -> Frames:
    return RegionEdit().edit(*clip(), TARGET)


@cache
def faces() -> list[Face | None]:
    return find_faces(*clip())


def skin_trace(frames: Frames) -> Array64:
    """Mean R, G, B of the input's skin, the same pixels whatever is read."""
    sums = region_sums(frames, faces()).sum(axis=2)
    return np.asarray(sums[:, :3] / sums[:, 3:])


@pytest.mark.parametrize("edit", [pulse_edited, region_edited])
def test_the_mean_colour_shows_the_wanted_rate(edit: Callable[[], Frames]) -> None:
    frames, edited = clip()[0], edit()
    before = heart_rate(skin_trace(frames)[:, 1], FPS)
    after = heart_rate(skin_trace(edited)[:, 1], FPS)
    assert abs(before - TRUE) < 4
    assert abs(after - TARGET) < 4
    assert edited.shape == frames.shape and edited.dtype == np.uint8


def test_region_edit_makes_the_mean_follow_the_wanted_trace() -> None:
    pts, edited = clip()[1], region_edited()
    basis = band_basis(pts)
    trace = skin_trace(edited)[:, 1]
    wanted = trace.mean() * RegionEdit().direction[1] * target_wave(pts, TARGET)
    missed = basis.T @ (trace - wanted)
    assert np.linalg.norm(missed) < 0.1 * np.linalg.norm(basis.T @ wanted)


@pytest.mark.parametrize(("edit", "most"), [(region_edited, 6), (pulse_edited, 12)])
def test_the_edit_changes_skin_only(edit: Callable[[], Frames], most: int) -> None:
    frames, edited = clip()[0], edit()
    face = faces()[10]
    assert face is not None
    region, weight = face.pixels(*frames.shape[1:3])
    changed = (edited[10] != frames[10]).any(axis=2)
    outside = changed.copy()
    outside[region] &= weight > 0
    assert np.array_equal(outside, changed)
    assert changed[region][weight > 0.5].mean() > 0.2
    assert np.abs(edited.astype(int) - frames.astype(int)).max() <= most


def test_detrending_takes_out_the_light_and_leaves_the_pulse() -> None:
    seconds = np.arange(240) / 30.0
    drift = 5.0 * np.sin(2 * np.pi * 0.05 * seconds) + 0.4 * seconds + 120.0
    beat = 0.5 * np.sin(2 * np.pi * 1.2 * seconds)
    left = detrended((drift + beat)[:, None], (2 * np.pi * 40 / 60 / 30) ** -2)[:, 0]
    inner = slice(30, -30)  # at its ends a trend is held by less
    assert np.linalg.norm((left - beat)[inner]) < 0.15 * np.linalg.norm(beat[inner])


def test_detrending_is_the_minimum_that_the_paper_asks_for() -> None:
    rng = np.random.default_rng(4)
    signal, mu = rng.normal(size=(60, 1)).cumsum(axis=0), 3.0

    def cost(part: Array64) -> float:
        return float(0.5 * np.square(part).sum() + mu * np.abs(np.diff(signal - part, 2, axis=0)).sum())

    found = detrended(signal, mu)
    others = [found + 0.02 * rng.normal(size=found.shape) for _ in range(50)]
    assert cost(found) < min(cost(other) for other in (*others, 0.98 * found, 1.02 * found))


def test_one_change_for_all_regions_makes_them_resemble_the_wanted_trace() -> None:
    seconds = np.arange(180) / 30.0
    pulse, wanted = np.sin(2 * np.pi * 1.1 * seconds), np.sin(2 * np.pi * 1.8 * seconds)
    noise = np.random.default_rng(5).normal(0.0, 0.2, (180, 12))
    signals = 0.4 * pulse[:, None] + noise
    mild, strong = (resembling_change(signals, wanted, weight) for weight in (3.0, 0.01))
    assert mild.shape == (180, 3)
    assert np.square(mild).mean() < np.square(strong).mean()
    for k in range(12):
        after = signals[:, k] + strong[:, k % 3]
        assert np.corrcoef(after, wanted)[0, 1] > 0.9 > np.corrcoef(signals[:, k], wanted)[0, 1]


def test_the_temporal_change_is_the_least_squares_optimum() -> None:
    rng = np.random.default_rng(0)
    pts = np.sort(rng.uniform(0.0, 6.0, 90))
    signal, wanted = rng.normal(size=(90, 3)), rng.normal(size=(90, 3))
    basis = band_basis(pts)
    change = least_change(signal, wanted, basis)
    # The general solver's least-norm answer to the same equations.
    other = np.linalg.lstsq(basis.T, basis.T @ (wanted - signal), rcond=None)[0]
    assert np.allclose(change, other, atol=1e-9)
    assert np.allclose(basis.T @ (signal + change), basis.T @ wanted, atol=1e-9)


def test_drift_and_level_are_not_taken_for_a_pulse() -> None:
    pts = np.arange(300) / 30.0
    basis = band_basis(pts)
    drift = 100.0 + 3.0 * np.cos(2 * np.pi * 0.05 * pts) + 0.4 * pts
    beat = np.sin(2 * np.pi * 1.2 * pts)
    assert np.linalg.norm(basis.T @ drift) < 0.05 * np.linalg.norm(drift - drift.mean())
    assert np.linalg.norm(basis.T @ beat) > 0.95 * np.linalg.norm(beat)


def test_the_spatial_change_is_the_least_squares_optimum() -> None:
    rng = np.random.default_rng(1)
    weight = rng.random((6, 8)).astype(np.float32)
    number = np.repeat(np.array([[0] * 4 + [1] * 4]), 6, axis=0)
    change = rng.normal(size=(3, 2))
    shift = share_out(change, weight, number)
    for m in range(2):
        part = number == m
        w = weight[part].astype(np.float64)
        least = np.linalg.pinv((w / w.sum())[None]) @ change[:, m][None]
        assert np.allclose(shift[part], least, atol=1e-5)


def test_rounding_is_unbiased() -> None:
    values = np.repeat(np.array([[3.0, 100.25, 200.9]], np.float32), 40_000, axis=0)
    rounded = round_stochastically(values, np.random.default_rng(0))
    assert np.allclose(rounded.mean(axis=0), values[0], atol=0.01)
    assert set(np.unique(rounded[:, 1])) == {100, 101}
    assert (rounded[:, 0] == 3).all()


class Tiny(torch.nn.Module):
    """A random network that reads a wave: convolutions in space and time, then the mean over space."""

    def __init__(self) -> None:
        super().__init__()
        self.first = torch.nn.Conv3d(3, 4, 3, padding=1)
        self.second = torch.nn.Conv3d(4, 1, 3, padding=1)

    def forward(self, video: torch.Tensor) -> torch.Tensor:
        wave: torch.Tensor = self.second(torch.tanh(self.first(8.0 * (video - 0.5)))).mean(dim=(3, 4))[:, 0]
        return wave


def test_gradient_steps_bring_the_wave_to_the_wanted_one() -> None:
    torch.manual_seed(0)
    network = Tiny().requires_grad_(False)
    rng = np.random.default_rng(0)
    crops = rng.uniform(0.3, 0.7, (48, 16, 16, 3)).astype(np.float32)
    wanted = np.sin(np.arange(48) * 0.9).astype(np.float32)
    change = steps_towards(network, crops, wanted)

    def loss(video: npt.NDArray[np.float32]) -> float:
        wave = network(torch.tensor(video).permute(3, 0, 1, 2)[None])
        return float(waveform_loss(wave, torch.tensor(wanted)[None]))

    assert loss(crops) > 0.7
    assert loss(crops + change) < 1.0 - privacy_phys.ENOUGH + 0.01
    assert np.sqrt(np.square(change).mean()) * 255 <= privacy_phys.STEP * privacy_phys.STEPS


def test_privacy_phys_edits_every_window_in_whole_levels(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(privacy_phys, "STEPS", 2)
    torch.manual_seed(0)
    frames, pts = clip()[0][:40], clip()[1][:40]
    edited = PrivacyPhys(tiny()).edit(frames, pts, TARGET)
    difference = edited.astype(int) - frames.astype(int)
    assert (np.abs(difference).reshape(len(frames), -1).max(axis=1) > 0).mean() > 0.95
    assert np.abs(difference).max() < 12


@pytest.mark.parametrize("length", [1, 100, 128, 129, 256, 300])
def test_windows_edit_each_frame_once(length: int) -> None:
    count = np.zeros(length, int)
    for start, fresh in windows(length):
        count[start + fresh : start + 128] += 1
    assert (count == 1).all()


def test_physnet_refuses_weights_that_answer_differently() -> None:
    torch.manual_seed(0)
    net = PhysNet().eval()
    probe = np.random.default_rng(0).random((1, 32, 32, 32, 3)).astype(np.float32)
    with torch.no_grad():
        answer = net(torch.tensor(probe).permute(0, 4, 1, 2, 3))[0].numpy()
    arrays: dict[str, Any] = {k: v.numpy() for k, v in net.state_dict().items()}
    again = physnet_of(arrays | {"probe": probe, "answer": answer})
    assert not any(p.requires_grad for p in again.parameters())
    with pytest.raises(UsageError, match="does not answer"):
        physnet_of(arrays | {"probe": probe, "answer": np.roll(answer, 5)})
    with pytest.raises(UsageError, match="no weights of PhysNet"):
        physnet_of({"probe": probe, "answer": answer})


def test_a_clip_without_a_face_is_refused() -> None:
    frames = np.full((4, 64, 64, 3), 90, np.uint8)
    with pytest.raises(UsageError, match="face"):
        PulseEdit().edit(frames, np.arange(4) / 30.0, TARGET)


def tiny() -> PhysNet:
    """PhysNet with random weights and few channels."""
    return PhysNet((4,) * 9).eval().requires_grad_(False)
