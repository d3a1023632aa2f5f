"""The stream network: parallel form = step form, no look at the future, explicit state, what it starts as."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch import Tensor

from model.causal import CausalAttention, CausalTemporalConv, State, grow_age
from model.conditioning import wanted_wave
from model.frontend import BLACK, FrontEnd
from model.physiolatent import Edit, PhysioLatent, StreamSettings

SETTINGS = StreamSettings(channels=16, width=8, condition=16, context=24, text_dim=8)
Inputs = dict[str, Tensor]


@pytest.fixture(scope="module")
def network() -> PhysioLatent:
    """A network whose every branch is open: its gates and output layers start at zero otherwise."""
    torch.manual_seed(0)
    network = PhysioLatent(SETTINGS).eval()
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.add_(0.05 * torch.randn_like(parameter))
    return network


def clip(frames: int, batch: int = 2, seed: int = 1) -> Inputs:
    """Random inputs of ``frames`` frames at uneven times."""
    generator = torch.Generator().manual_seed(seed)

    def noise(*shape: int) -> Tensor:
        return torch.randn(*shape, generator=generator)

    return {
        "crop": (0.5 + 0.05 * noise(batch, 1, 3, 72, 72) + 0.01 * noise(batch, frames, 3, 72, 72)).clamp(
            0, 1
        ),
        "text": noise(batch, SETTINGS.text_dim),
        "phase": torch.nn.functional.normalize(noise(batch, frames, 2), dim=-1),
        "strength": torch.rand(batch, frames, 1, generator=generator),
        "dt": 1 / 60 + torch.rand(batch, frames, 1, generator=generator) / 20,
        "masking": 1e-3 * noise(batch, frames, 3, 3, 3),
    }


def part(inputs: Inputs, start: int, stop: int) -> Inputs:
    return {k: v if k == "text" else v[:, start:stop] for k, v in inputs.items()}


@torch.no_grad()
def run(network: PhysioLatent, inputs: Inputs, state: State) -> tuple[Edit, State]:
    edit, following = network(**inputs, state=state)
    return Edit(*edit), following


@pytest.mark.parametrize("lengths", [[40], [1] * 40, [7, 1, 20, 12]])
def test_parallel_and_step_forms_agree(network: PhysioLatent, lengths: list[int]) -> None:
    inputs = clip(40)
    whole, end = run(network, inputs, network.init_state(2))
    state, gains, start = network.init_state(2), [], 0
    for length in lengths:
        edit, state = run(network, part(inputs, start, start + length), state)
        gains.append(edit.gain)
        start += length
    assert float((torch.cat(gains, 1) - whole.gain).abs().max()) < 1e-5
    for name, value in end.items():
        assert torch.allclose(state[name], value, atol=1e-5), name


@pytest.mark.parametrize("prefix", [1, 13, 39])
def test_the_future_changes_nothing(network: PhysioLatent, prefix: int) -> None:
    inputs, other = clip(40), clip(40, seed=2)
    other["text"] = inputs["text"]
    mixed = {
        k: v if k == "text" else torch.cat([v[:, :prefix], other[k][:, prefix:]], 1)
        for k, v in inputs.items()
    }
    first, _ = run(network, inputs, network.init_state(2))
    second, _ = run(network, mixed, network.init_state(2))
    assert torch.allclose(first.gain[:, :prefix], second.gain[:, :prefix], atol=1e-6)
    assert not torch.allclose(first.gain[:, prefix:], second.gain[:, prefix:], atol=1e-4)


def test_the_newest_frame_is_used_at_once(network: PhysioLatent) -> None:
    """No added look-ahead or delay: a change of frame t changes the edit of frame t."""
    inputs = clip(20)
    changed = {k: v.clone() for k, v in inputs.items()}
    changed["crop"][:, -1] *= 1.01
    first, _ = run(network, inputs, network.init_state(2))
    second, _ = run(network, changed, network.init_state(2))
    assert float((first.gain[:, -1] - second.gain[:, -1]).abs().max()) > 1e-3


def test_streams_of_a_batch_are_independent(network: PhysioLatent) -> None:
    inputs = clip(12, batch=3)
    together, _ = run(network, inputs, network.init_state(3))
    alone, _ = run(network, {k: v[1:2] for k, v in inputs.items()}, network.init_state(1))
    assert torch.allclose(together.gain[1:2], alone.gain, atol=1e-5)


def test_forward_leaves_the_given_state_alone(network: PhysioLatent) -> None:
    state = network.init_state(2)
    before = {k: v.clone() for k, v in state.items()}
    run(network, clip(5), state)
    assert all(torch.equal(before[name], value) for name, value in state.items())
    assert set(run(network, clip(5), state)[1]) == set(state)


def test_untrained_network_is_the_front_end_alone() -> None:
    """With its learned part at zero it removes a pulse of the whole picture by more than 20 dB."""
    network = PhysioLatent(SETTINGS).eval()
    seconds = torch.arange(240) / 30.0
    pulse = 0.005 * torch.sin(2 * math.pi * 1.2 * seconds) * torch.tensor([[0.4], [1.0], [0.7]])
    crop = (0.5 * torch.exp(pulse)).T[None, :, :, None, None].expand(1, -1, -1, 72, 72)
    inputs = part(clip(240, batch=1), 0, 240)
    inputs |= {
        "crop": crop,
        "dt": torch.full((1, 240, 1), 1 / 30),
        "strength": torch.zeros(1, 240, 1),
        "masking": torch.zeros(1, 240, 3, 3, 3),
    }
    edit, _ = run(network, inputs, network.init_state(1))
    centre = slice(30, 42)
    out = torch.log(crop * (1 + edit.gain))[0, 60:, :, centre, centre].mean((-1, -2))
    left = (out - out.mean(0)).std(0) / pulse.T[60:].std(0)
    assert float(left.max()) < 0.1


def test_removal_scales_what_is_taken_out_and_nothing_else(network: PhysioLatent) -> None:
    inputs, state = clip(8), network.init_state(2)
    whole, _ = run(network, inputs, state)
    try:
        network.set_removal(1.25)
        more, _ = run(network, inputs, state)
    finally:
        network.set_removal(1.0)
    torch.testing.assert_close(more.removal, 1.25 * whole.removal)
    torch.testing.assert_close(more.wanted, whole.wanted)


def test_the_edit_ends_where_the_skin_does_within_a_cell(network: PhysioLatent) -> None:
    """The skin map knows cells of 4 pixels; hair that begins within one is seen in the picture."""
    size, edge = network.settings.crop, 38
    crop = torch.full((1, 1, 3, size, size), 0.15)
    crop[..., :edge] = 0.6
    skin = torch.zeros(1, 1, 1, size // 4, size // 4)
    skin[..., : edge // 4] = 1.0
    skin[..., edge // 4] = 0.5  # columns 36 to 39, of which two are skin
    cover = network._cover(skin, crop)[0, 0, 0]
    middle = cover[10:-10]
    assert float(middle[:, :edge].min()) > 0.99
    assert float(middle[:, edge:].max()) < 0.3 and float(middle[:, edge + 4 :].max()) < 0.01


def test_a_flat_picture_leaves_the_skin_map_as_it_is(network: PhysioLatent) -> None:
    size = network.settings.crop
    skin = torch.zeros(1, 1, 1, size // 4, size // 4)
    skin[..., 6:12, 6:12] = 1.0
    cover = network._cover(skin, torch.full((1, 1, 3, size, size), 0.5))[0, 0, 0]
    assert float(cover[36, 36]) == 1.0
    assert float(cover[:12].max()) == 0.0
    assert torch.allclose(cover, cover.flip(0), atol=1e-5) and torch.allclose(cover, cover.T, atol=1e-5)


def test_strength_zero_shows_no_pulse(network: PhysioLatent) -> None:
    inputs = clip(8)
    inputs["strength"] = torch.zeros_like(inputs["strength"])
    edit, _ = run(network, inputs, network.init_state(2))
    assert float(edit.wanted.abs().max()) == 0.0


def test_wanted_wave_is_the_sum_of_harmonics_of_the_phase() -> None:
    angle = torch.linspace(0, 4 * math.pi, 200)
    wave = wanted_wave(torch.stack([angle.cos(), angle.sin()], -1)[None])[0, :, 0]
    expected = (angle.cos()) + 0.28 * (2 * angle - 0.9).cos() + 0.07 * (3 * angle - 1.6).cos()
    assert torch.allclose(wave, expected, atol=1e-5)


@pytest.mark.parametrize(("fps", "bpm"), [(15, 45), (15, 170), (24, 70), (30, 45), (30, 110), (60, 170)])
@pytest.mark.parametrize(("jitter", "most"), [(0.0, 0.05), (0.15, 0.12)])
def test_front_end_stops_the_band_at_every_frame_rate(fps: int, bpm: int, jitter: float, most: float) -> None:
    if (fps, bpm, jitter) == (15, 170, 0.15):
        most = 0.25  # five frames a beat, each up to 10 ms away from its place
    front_end = FrontEnd()
    rng = np.random.default_rng(fps + bpm)
    times = (np.arange(10 * fps) + rng.uniform(-jitter, jitter, 10 * fps)) / fps
    dt = torch.tensor(np.diff(times, prepend=times[0] - 1 / fps), dtype=torch.float32)[None, :, None]
    wave = torch.tensor(0.005 * np.sin(2 * np.pi * bpm / 60 * times), dtype=torch.float32)
    cells = 0.5 * torch.exp(wave[None, :, None, None] * torch.tensor([0.4, 1.0, 0.7]))
    signals, _ = front_end(cells, dt, front_end.init_past(1, 1))
    colour = torch.log(cells + BLACK) @ front_end.opponent.T
    left = (colour - signals.estimate)[0, 4 * fps :, 0]
    assert float((left.std(0) / colour[0, 4 * fps :, 0].std(0)).max()) < most


def test_front_end_lets_slow_light_through_and_forgets_a_step() -> None:
    front_end = FrontEnd()
    cells = torch.full((1, 600, 1, 3), 0.5)
    cells[:, 100:] = 0.6
    signals, _ = front_end(cells, torch.full((1, 600, 1), 1 / 30), front_end.init_past(1, 1))
    assert float(signals.estimate[:, :100].abs().max()) < 1e-6
    assert float(signals.estimate[:, 300:].abs().max()) < 3e-3


def test_attention_ignores_slots_before_the_stream_began() -> None:
    torch.manual_seed(3)
    attention = CausalAttention(8, 2, 6)
    x, age = torch.randn(1, 4, 2, 8), torch.zeros(1, 1)
    junk = torch.randn(1, 5, 2, 16)
    clean, _ = attention(x, torch.zeros_like(junk), age)
    dirty, _ = attention(x, junk, age)
    assert torch.allclose(clean, dirty, atol=1e-6)
    assert float(grow_age(age, 9, 6)) == 5.0


def test_temporal_convolution_sees_only_its_kernel() -> None:
    torch.manual_seed(4)
    layer = CausalTemporalConv(4, 3)
    x = torch.randn(1, 10, 2, 4)
    y, _ = layer(x, layer.init_past(1, 2))
    x[:, 4] += 1.0
    z, _ = layer(x, layer.init_past(1, 2))
    changed = (y - z).abs().amax((0, 2, 3)) > 1e-6
    assert changed.tolist() == [False] * 4 + [True] * 3 + [False] * 3
