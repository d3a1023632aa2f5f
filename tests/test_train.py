"""Training end to end on the built-in portrait: it runs, resumes to the step, learns."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from model import checkpoint
from model.configuration import Settings, from_table, load_settings
from model.data.label import render_label
from model.losses import mean_colour
from model.objective import objective
from model.perceptual import ConvolutionBackbone, Lpips
from model.physiolatent import PhysioLatent
from model.text import NumericText, conditioning_table
from model.train import main
from model.trainer import Trainer
from model.validation import run_network
from model.wanted import draw_wanted
from model.windows import StepSampler, WindowSource, collate, fixed_keys
from streamfilter.errors import UsageError
from tests.training import write_clips

SETTINGS = Path(__file__).resolve().parent.parent / "model" / "settings"


@pytest.fixture(scope="module")
def clips(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_clips(tmp_path_factory.mktemp("clips"))


@pytest.fixture(scope="module")
def tiny() -> Settings:
    """Short windows: these tests read mechanics, not quality."""
    settings = load_settings(SETTINGS / "stream-tiny.toml")
    window = replace(settings.window, frames=40, warmup=8)
    return replace(settings, window=window, leak=replace(settings.leak, warmup=8))


def trainer(settings: Settings, clips: Path, out: Path, resume: bool = False) -> Trainer:
    encoder = NumericText()
    table = conditioning_table(encoder)
    return Trainer(settings, table, encoder.name, clips, clips, out, resume=resume, cpu=True)


def test_command_trains_and_leaves_a_network_that_loads(clips: Path, tmp_path: Path) -> None:
    out = tmp_path / "run"
    options = ["--settings", str(SETTINGS / "stream-tiny.toml"), "--data", str(clips), "--val", str(clips)]
    options += ["--out", str(out), "--steps", "2", "--threads", "1", "--cpu"]
    assert main(options) == 0
    best = checkpoint.load(out / checkpoint.BEST)
    network = checkpoint.network_of(best)
    assert not network.training
    assert checkpoint.table_of(best).embedding.shape == (141, 64)
    assert checkpoint.settings_of(best).optimiser.steps == 2
    assert set(best["metrics"]) == {"network", "front_end"}
    assert (out / checkpoint.BEST).stat().st_size < (out / checkpoint.LAST).stat().st_size
    assert list(out.glob("events.out.tfevents*"))
    assert main(options) == UsageError.exit_code  # a run is never overwritten


def test_resumed_run_equals_an_uninterrupted_one(clips: Path, tmp_path: Path, tiny: Settings) -> None:
    trainer(tiny, clips, tmp_path / "whole").run()
    trainer(tiny, clips, tmp_path / "parts").run(max_minutes=0.0)  # stops after one step
    assert checkpoint.load(tmp_path / "parts" / checkpoint.LAST)["step"] == 1
    trainer(tiny, clips, tmp_path / "parts", resume=True).run()
    whole = checkpoint.load(tmp_path / "whole" / checkpoint.LAST)
    parts = checkpoint.load(tmp_path / "parts" / checkpoint.LAST)
    assert whole["step"] == parts["step"] == tiny.optimiser.steps
    for name in ("model", "ema"):
        for key, value in whole[name].items():
            torch.testing.assert_close(parts[name][key], value, rtol=0, atol=0)
    assert parts["metrics"] == whole["metrics"]


def test_resume_refuses_other_settings_and_other_data(clips: Path, tmp_path: Path, tiny: Settings) -> None:
    trainer(tiny, clips, tmp_path / "run").run(max_minutes=0.0)
    other = replace(tiny, loss=replace(tiny.loss, leak=2.0))
    with pytest.raises(UsageError, match="settings differ"):
        trainer(other, clips, tmp_path / "run", resume=True)
    more = write_clips(tmp_path / "more", count=1)
    with pytest.raises(UsageError, match="data differ"):
        trainer(tiny, more, tmp_path / "run", resume=True)
    (tmp_path / "run" / checkpoint.LAST).write_bytes(b"not a checkpoint")
    with pytest.raises(UsageError, match="damaged"):
        trainer(tiny, clips, tmp_path / "run", resume=True)


def test_loss_falls_on_an_overfit(clips: Path, tiny: Settings) -> None:
    source = WindowSource(clips, tiny.window.frames)
    batch = collate([source[key] for key in fixed_keys(1)])
    table = conditioning_table(NumericText())
    wanted = draw_wanted(
        torch.from_numpy(table.embedding),
        torch.from_numpy(table.bpm),
        batch.dt,
        tiny.condition,
        torch.Generator().manual_seed(0),
    )
    torch.manual_seed(0)
    network = PhysioLatent(tiny.network)
    optimiser = torch.optim.AdamW(network.parameters(), lr=3e-3)
    seen: list[dict[str, float]] = []
    for _ in range(24):
        terms = objective(run_network(network, network, batch, wanted), batch, wanted, tiny, 0.0, None)
        optimiser.zero_grad()
        terms["total"].backward()
        optimiser.step()
        seen.append({name: float(value.detach()) for name, value in terms.items()})
    assert seen[-1]["total"] < 0.5 * seen[0]["total"]
    assert seen[-1]["leak"] < seen[0]["leak"]
    assert seen[-1]["skin"] < seen[0]["skin"]


def test_every_term_of_the_paper_reaches_the_stream_network(clips: Path, tiny: Settings) -> None:
    paper = load_settings(SETTINGS / "stream-paper-losses.toml").loss
    assert (paper.waveform, paper.fidelity, paper.perceptual) == (0.2, 1.0, 1.0)
    settings = replace(tiny, loss=paper, condition=replace(tiny.condition, rest=0.0))
    source = WindowSource(clips, settings.window.frames)
    batch = collate([source[key] for key in fixed_keys(1)])
    table = conditioning_table(NumericText())
    wanted = draw_wanted(
        torch.from_numpy(table.embedding),
        torch.from_numpy(table.bpm),
        batch.dt,
        settings.condition,
        torch.Generator().manual_seed(0),
    )
    torch.manual_seed(0)
    network = PhysioLatent(settings.network)
    lpips = Lpips(ConvolutionBackbone((4,)), [torch.ones(4)])
    edit = run_network(network, network, batch, wanted)
    early = objective(edit, batch, wanted, settings, 5.0, lpips)
    late = objective(edit, batch, wanted, settings, 30.0, lpips)
    assert set(late) == {"total", "waveform", "frequency", "fidelity", "perceptual"}
    rise = float((late["total"] - early["total"]).detach())
    assert rise == pytest.approx(0.1 * float(late["frequency"].detach()), rel=1e-3)
    late["total"].backward()
    assert any(p.grad is not None and float(p.grad.abs().sum()) > 0 for p in network.parameters())


def test_without_lpips_weights_the_run_says_so(
    clips: Path, tmp_path: Path, tiny: Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    settings = replace(tiny, loss=replace(tiny.loss, perceptual=1.0))
    assert trainer(settings, clips, tmp_path).lpips is None
    assert "LPIPS is off" in capsys.readouterr().out


def test_text_of_the_wrong_size_is_refused(clips: Path, tmp_path: Path, tiny: Settings) -> None:
    settings = replace(tiny, network=replace(tiny.network, text_dim=32))
    with pytest.raises(UsageError, match="text_dim"):
        trainer(settings, clips, tmp_path)


def test_cells_and_their_labels_tell_what_is_read_of_the_pixels(clips: Path, tiny: Settings) -> None:
    """The face's mean over its skin, as it is and without its pulse: of 324 cells as of 5184 pixels."""
    source = WindowSource(clips, tiny.window.frames)
    clip, labels = source.clips.clip(0), source[0.0, 0.0].labels
    frames = slice(0, tiny.window.frames)
    seen = clip.observed_rgb()[frames]
    free = seen / (1.0 + render_label(clip.skin[frames], clip.field[frames], clip.direction))
    weight = clip.skin[frames, ..., None] / 255.0
    pixels, without = ((x * weight).sum((1, 2)) / weight.sum((1, 2)) for x in (seen, free))
    cells = mean_colour(labels.observed[None], labels.skin[None])[0].numpy()
    np.testing.assert_allclose(cells, pixels, rtol=1e-3)
    read = mean_colour((labels.observed / (1.0 + labels.pulse))[None], labels.skin[None])[0].numpy()
    pulse = np.log(pixels / without)[:, 1]
    assert pulse.std() > 5e-4
    np.testing.assert_allclose(np.log(cells / read)[:, 1], pulse, atol=0.05 * pulse.std())


def test_sampler_takes_each_clip_once_a_pass_and_skips_ahead() -> None:
    keys = list(StepSampler(6, 2, 0, 9, seed=3))
    for first in (0, 3, 6):
        clips = sorted(int(key[0] * 6) for step in keys[first : first + 3] for key in step)
        assert clips == [0, 1, 2, 3, 4, 5]
    assert list(StepSampler(6, 2, 4, 9, seed=3)) == keys[4:]
    ranks = [list(StepSampler(6, 1, 0, 6, seed=3, rank=rank, world=2)) for rank in (0, 1)]
    together = sorted(int(step[0][0] * 6) for rank in ranks for step in rank[:3])
    assert together == [0, 1, 2, 3, 4, 5]


def test_wanted_pulse_has_the_rate_that_was_asked_for() -> None:
    table = conditioning_table(NumericText())
    dt = torch.full((64, 300, 1), 1 / 30)
    settings = load_settings(SETTINGS / "stream.toml").condition
    wanted = draw_wanted(
        torch.from_numpy(table.embedding),
        torch.from_numpy(table.bpm),
        dt,
        settings,
        torch.Generator().manual_seed(0),
    )
    turn = torch.atan2(wanted.phase[..., 1], wanted.phase[..., 0])
    steps = torch.remainder(turn.diff(dim=1), 2 * torch.pi)
    torch.testing.assert_close(steps.mean(1) * 30 * 60 / (2 * torch.pi), wanted.bpm, rtol=2e-3, atol=0.1)
    assert 40 * 0.94 <= float(wanted.bpm.min()) < 60
    assert 160 < float(wanted.bpm.max()) <= 180 * 1.06
    assert float(steps.std(1).min()) > 0.0  # never a metronome
    resting = wanted.strength[:, 0, 0] == 0
    assert 0 < int(resting.sum()) < 20
    assert float(wanted.wave[resting].abs().max()) == 0.0
    assert float(wanted.masking.abs().max()) == 0.0


def test_settings_files_load_and_survive_a_round_trip() -> None:
    # The other files of that folder are model.reference's, which has settings of its own.
    for path in sorted(SETTINGS.glob("stream*.toml")):
        settings = load_settings(path)
        assert from_table(settings.to_table()) == settings


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[loss]\nexakt = 1.0", "unknown setting exakt"),
        ("[loss]\nexact = 'much'", "not of the expected type"),
        ("[window]\nframes = 20\nwarmup = 30", "warmup"),
        ("[window]\nbatch = 0", "at least 1"),
        ("loss = 3", "a table is expected"),
        ("[loss", "not valid TOML"),
    ],
)
def test_bad_settings_are_refused(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "bad.toml"
    path.write_text(text)
    with pytest.raises(UsageError, match=message):
        load_settings(path)
    with pytest.raises(UsageError, match="cannot be read"):
        load_settings(tmp_path / "none.toml")


def test_a_window_longer_than_the_clips_is_refused(clips: Path) -> None:
    with pytest.raises(UsageError, match=r"shorten window\.frames"):
        WindowSource(clips, 500)[(0.0, 0.0)]
