"""Pretrains the compact VAE: ``python -m model.reference.pretrain --data DIR --val DIR --out DIR``."""

from __future__ import annotations

import argparse
import dataclasses
import math
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.utils.tensorboard import SummaryWriter

from model.configuration import build
from model.reference.compact import SPACE, TIME, CompactSettings, CompactVae, fold
from model.reference.files import load_content, read_toml, save_content
from model.windows import StepSampler, WindowSource, fixed_keys, loader
from streamfilter.errors import Interrupted, PhysioCamError, UsageError

KIND = "compact-vae"
LAST = "last.pt"
PATCHES = 20_000


@dataclass(frozen=True)
class PretrainSettings:
    """Reconstruction (squared error of colours in -1..1) plus ``kl`` × divergence; AdamW and OneCycleLR.
    ``frames`` a window, a multiple of 4."""

    frames: int = 16
    batch: int = 4
    steps: int = 2000
    max_lr: float = 2e-3
    weight_decay: float = 1e-4
    kl: float = 1e-6
    clip_norm: float = 1.0
    seed: int = 0
    print_every: int = 20
    validate_every: int = 200
    save_every: int = 100
    validation_windows: int = 16


@dataclass(frozen=True)
class VaeRun:
    """The tables of the settings file."""

    network: CompactSettings = dataclasses.field(default_factory=CompactSettings)
    training: PretrainSettings = dataclasses.field(default_factory=PretrainSettings)


def psnr(mean_square: float) -> float:
    """Of an error in colours of range -1..1, in dB."""
    return 10.0 * math.log10(4.0 / max(mean_square, 1e-12))


def pictures_of(crop: Tensor) -> Tensor:
    """(B, T, 3, H, W) in 0..1 → (B, 3, T, H, W) in -1..1."""
    return crop.transpose(1, 2) * 2.0 - 1.0


class Pretraining:
    """One run in ``out``; goes on from its ``last.pt`` with ``resume``."""

    def __init__(self, run: VaeRun, data: Path, validation: Path, out: Path, resume: bool) -> None:
        self.run_settings, self.settings, self.out = run, run.training, out
        if self.settings.frames % TIME:
            raise UsageError(f"training.frames = {self.settings.frames} is no multiple of {TIME}")
        self.source = WindowSource(data, self.settings.frames)
        self.validation = WindowSource(validation, self.settings.frames)
        torch.manual_seed(self.settings.seed)
        self.vae = CompactVae(run.network)
        self.optimiser = torch.optim.AdamW(
            self.vae.parameters(), lr=self.settings.max_lr, weight_decay=self.settings.weight_decay
        )
        self.schedule = torch.optim.lr_scheduler.OneCycleLR(
            self.optimiser, max_lr=self.settings.max_lr, total_steps=max(self.settings.steps + 1, 4)
        )
        self.step = 0
        if resume:
            content = load_content(out / LAST, KIND)
            if content["settings"] != dataclasses.asdict(run):
                raise UsageError("the settings differ from those of the run: resume with the same")
            self.vae.load_state_dict(content["model"])
            self.optimiser.load_state_dict(content["optimiser"])
            self.schedule.load_state_dict(content["schedule"])
            self.step = content["step"]
        else:
            self.vae.start_linear(self._patches())

    def _patches(self) -> Tensor:
        """Patches (N, 768) from windows all over the training clips."""
        windows = fixed_keys(min(64, 4 * len(self.source)))
        each = PATCHES // len(windows)
        generator = torch.Generator().manual_seed(self.settings.seed)
        chosen = []
        for key in windows:
            patches = (
                fold(pictures_of(self.source[key].crop[None]), TIME, SPACE).movedim(1, -1).flatten(0, -2)
            )
            chosen.append(patches[torch.randperm(len(patches), generator=generator)[:each]])
        return torch.cat(chosen)

    @torch.no_grad()
    def validate(self) -> float:
        """PSNR in dB of the reconstruction of fixed validation windows."""
        self.vae.eval()
        total = 0.0
        keys = fixed_keys(self.settings.validation_windows)
        for key in keys:
            pictures = pictures_of(self.validation[key].crop[None])
            again = self.vae.decode(self.vae.encode(pictures), pictures.shape[2]).clamp(-1.0, 1.0)
            total += float(((again - pictures) ** 2).mean())
        return psnr(total / len(keys))

    def run(self, max_minutes: float | None) -> None:
        """Trains to the last step, or for ``max_minutes``; saves now and then and at the end."""
        settings, started = self.settings, time.monotonic()
        board = SummaryWriter(str(self.out), purge_step=self.step or None)
        count = sum(parameter.numel() for parameter in self.vae.parameters())
        print(
            f"{count} parameters, {len(self.source)} clips, step {self.step} of {settings.steps}", flush=True
        )
        print(f"validation at {self.step}: {self.validate():.2f} dB", flush=True)
        sampler = StepSampler(len(self.source), settings.batch, self.step, settings.steps, settings.seed)
        for batch in loader(self.source, sampler, 0):
            error, kl = self._train_step(pictures_of(batch.crop))
            if self.step % settings.print_every == 0:
                minutes = (time.monotonic() - started) / 60
                print(
                    f"step {self.step}/{settings.steps} {psnr(error):.2f} dB, KL {kl:.3f}, {minutes:.1f} min",
                    flush=True,
                )
                board.add_scalar("train/psnr", psnr(error), self.step)
                board.add_scalar("train/kl", kl, self.step)
            if self.step % settings.validate_every == 0:
                found = self.validate()
                print(f"validation at {self.step}: {found:.2f} dB", flush=True)
                board.add_scalar("validation/psnr", found, self.step)
            if self.step % settings.save_every == 0:
                self.save()
            if max_minutes is not None and time.monotonic() - started > 60 * max_minutes:
                break
        print(f"validation at {self.step}: {self.validate():.2f} dB", flush=True)
        self.save()
        board.close()

    def _train_step(self, pictures: Tensor) -> tuple[float, float]:
        self.vae.train()
        generator = torch.Generator().manual_seed(self.settings.seed * 1_000_003 + self.step)
        posterior = self.vae.posterior(pictures)
        again = self.vae.decode(posterior.sample(generator), pictures.shape[2])
        error, kl = ((again - pictures) ** 2).mean(), posterior.kl()
        self.optimiser.zero_grad(set_to_none=True)
        (error + self.settings.kl * kl).backward()
        torch.nn.utils.clip_grad_norm_(self.vae.parameters(), self.settings.clip_norm)
        self.optimiser.step()
        self.schedule.step()
        self.step += 1
        return float(error.detach()), float(kl.detach())

    def save(self) -> None:
        """Writes ``last.pt``, aside and moved into place."""
        content: dict[str, Any] = {
            "settings": dataclasses.asdict(self.run_settings),
            "model": self.vae.state_dict(),
            "optimiser": self.optimiser.state_dict(),
            "schedule": self.schedule.state_dict(),
            "step": self.step,
        }
        save_content(self.out / LAST, KIND, content)


def load_compact(path: Path) -> CompactVae:
    """The trained VAE of a checkpoint. Raises UsageError where it is absent, damaged or of another kind."""
    content = load_content(path, KIND)
    vae = CompactVae(build(CompactSettings, content["settings"]["network"], str(path)))
    vae.load_state_dict(content["model"])
    return vae


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs a pretraining; returns the exit code."""
    parse = argparse.ArgumentParser(prog="python -m model.reference.pretrain", description=__doc__)
    parse.add_argument("--settings", type=Path, default=Path("model/settings/compact-vae.toml"))
    parse.add_argument("--data", type=Path, required=True, help="folder of training clips")
    parse.add_argument("--val", type=Path, required=True, help="folder of validation clips")
    parse.add_argument("--out", type=Path, required=True, help="folder of the run")
    parse.add_argument("--resume", action="store_true", help="go on from last.pt of --out")
    parse.add_argument("--max-minutes", type=float, help="save and stop after this long")
    parse.add_argument("--threads", type=int, default=1, help="CPU threads of torch (1)")
    options = parse.parse_args(arguments)
    try:
        if (options.out / LAST).exists() and not options.resume:
            raise UsageError(f"{options.out} holds a run already: add --resume, or choose another folder")
        torch.set_num_threads(max(1, options.threads))
        torch.set_flush_denormal(True)
        run = build(VaeRun, read_toml(options.settings), str(options.settings))
        Pretraining(run, options.data, options.val, options.out, options.resume).run(options.max_minutes)
    except PhysioCamError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt:
        return Interrupted.exit_code
    finally:  # of the whole process, whose caller may count on small numbers
        torch.set_flush_denormal(False)
    return 0


if __name__ == "__main__":
    sys.exit(main())
