"""The training loop: accelerate, AdamW, OneCycleLR, moving average, validation, checkpoints, TensorBoard."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from accelerate import Accelerator
from torch import Tensor
from torch.optim.swa_utils import AveragedModel
from torch.utils.tensorboard import SummaryWriter

from model import checkpoint
from model.configuration import Settings
from model.objective import Batch, objective
from model.perceptual import Lpips, load_lpips
from model.physiolatent import PhysioLatent
from model.text import ConditioningTable
from model.validation import Metrics, run_network, summary, validate
from model.wanted import Wanted, draw_wanted
from model.windows import StepSampler, WindowSource, collate, fixed_keys, loader
from streamfilter.errors import UsageError


class Trainer:
    """One run in the folder ``out``. ``resume`` goes on from its ``last.pt``, from the very step; ``init``
    starts a new run with the weights of another one's checkpoint."""

    def __init__(
        self,
        settings: Settings,
        table: ConditioningTable,
        encoder_name: str,
        data: Path,
        validation: Path,
        out: Path,
        resume: bool = False,
        cpu: bool = False,
        init: Path | None = None,
    ) -> None:
        self.settings, self.table, self.encoder_name, self.out = settings, table, encoder_name, out
        optimiser = settings.optimiser
        self.accelerator = Accelerator(mixed_precision=optimiser.mixed_precision, cpu=cpu)
        window = settings.window
        self.source = WindowSource(data, window.frames, window.growing)
        self.validation = WindowSource(validation, window.frames)
        self.fingerprint = "growing" if window.growing else self.source.fingerprint()
        torch.manual_seed(optimiser.seed)
        self.bare = PhysioLatent(settings.network)
        if init is not None:
            self.bare.load_state_dict(checkpoint.load(init)["ema"])
        if self.bare.settings.text_dim != table.embedding.shape[1]:
            raise UsageError(
                f"network.text_dim is {settings.network.text_dim}, but {encoder_name} gives "
                f"{table.embedding.shape[1]} numbers: set it to that"
            )
        self.ema = AveragedModel(
            self.bare, multi_avg_fn=_moving_average(optimiser.ema_decay), use_buffers=False
        ).to(self.accelerator.device)
        self.optimiser = torch.optim.AdamW(
            self.bare.parameters(), lr=optimiser.max_lr, weight_decay=optimiser.weight_decay
        )
        # The schedule divides by the length of its rise and fall: each needs a step, in the shortest run too.
        total = max(optimiser.steps + 1, 4)
        self.schedule = torch.optim.lr_scheduler.OneCycleLR(
            self.optimiser,
            max_lr=optimiser.max_lr,
            total_steps=total,
            pct_start=min(max(optimiser.warmup_share, 2.0 / total), 0.7),
        )
        self.step = 0
        self.baseline: Metrics | None = None
        self.best = float("inf")
        if resume:
            self._resume()
        self.network, self.prepared = self.accelerator.prepare(self.bare, self.optimiser)
        self.embedding = torch.from_numpy(table.embedding).to(self.accelerator.device)
        self.bpm = torch.from_numpy(table.bpm)
        self.lpips = self._lpips()
        self.board: SummaryWriter | None = None

    def _lpips(self) -> Lpips | None:
        if self.settings.loss.perceptual <= 0:
            return None
        if not self.settings.perceptual.weights:
            self.say(
                "LPIPS is off: no perceptual.weights given (no pretrained backbone can be had); MSE alone"
            )
            return None
        lpips = load_lpips(Path(self.settings.perceptual.weights), self.settings.perceptual.widths)
        return lpips.to(self.accelerator.device)

    def say(self, text: str) -> None:
        """Prints on the main process."""
        if self.accelerator.is_main_process:
            print(text, flush=True)

    def run(self, max_minutes: float | None = None) -> Metrics:
        """Trains to the last step or until ``max_minutes`` are over; saves; returns the last validation."""
        settings, started = self.settings, time.monotonic()
        if self.accelerator.is_main_process:
            self.board = SummaryWriter(str(self.out), purge_step=self.step or None)
            self.board.add_text("settings", str(settings.to_table()), self.step)
            lpips = "on" if self.lpips else "off: weight 0 or no weights file"
            self.board.add_text("LPIPS", lpips, self.step)
        self.say(
            f"{sum(p.numel() for p in self.bare.parameters())} parameters, {len(self.source)} clips, "
            f"step {self.step} of {settings.optimiser.steps}, device {self.accelerator.device}, "
            f"{self.accelerator.num_processes} process(es), text by {self.encoder_name}"
        )
        if self.baseline is None:
            # At its initialisation the network is the parameter-free front-end: what training starts from.
            self.baseline = self._validate(PhysioLatent(settings.network).to(self.accelerator.device))
        metrics, validated = dict(self.baseline), -1
        saved = seen = time.monotonic()
        frames = 0
        try:
            for batch in self._batches():
                terms = self._train_step(batch)
                frames += batch.dt.shape[0] * batch.dt.shape[1] * self.accelerator.num_processes
                now = time.monotonic()
                if self.step % settings.report.print_every == 0:
                    self._report(terms, frames / (now - seen), started)
                    seen, frames = now, 0
                if self.step % settings.report.validate_every == 0:
                    metrics, validated = self._validate_and_keep(), self.step
                    seen += time.monotonic() - now
                # Every process leaves at the same step: the clock of one decides for all.
                minutes = self._agree((time.monotonic() - started) / 60)
                if time.monotonic() - saved > settings.report.save_minutes * 60:
                    self.save(metrics)
                    saved = time.monotonic()
                if max_minutes is not None and minutes >= max_minutes:
                    self.say(f"stopped after {minutes:.1f} min; go on with --resume")
                    break
        except KeyboardInterrupt:
            self.save(metrics)
            self.say("interrupted; saved, go on with --resume")
            raise
        if validated != self.step:
            metrics = self._validate_and_keep()
        self.save(metrics)
        if self.board is not None:
            self.board.close()
        return metrics

    def _batches(self) -> Iterator[Batch]:
        optimiser, window = self.settings.optimiser, self.settings.window
        sampler = StepSampler(
            len(self.source),
            window.batch,
            self.step,
            optimiser.steps,
            optimiser.seed,
            self.accelerator.process_index,
            self.accelerator.num_processes,
        )
        for batch in loader(self.source, sampler, window.workers):
            yield batch.to(self.accelerator.device)

    def _train_step(self, batch: Batch) -> dict[str, Tensor]:
        optimiser = self.settings.optimiser
        generator = torch.Generator().manual_seed(
            optimiser.seed * 1_000_003 + self.step * 64 + self.accelerator.process_index
        )
        wanted = draw_wanted(self.embedding, self.bpm, batch.dt, self.settings.condition, generator)
        self.network.train()
        edit = run_network(self.network, self.bare, batch, wanted)
        terms = objective(edit, batch, wanted, self.settings, self._epoch(), self.lpips)
        if not bool(torch.isfinite(terms["total"])):
            raise FloatingPointError(f"the loss is {float(terms['total'])} at step {self.step}: {terms}")
        self.prepared.zero_grad(set_to_none=True)
        self.accelerator.backward(terms["total"])
        terms["gradient"] = self.accelerator.clip_grad_norm_(self.network.parameters(), optimiser.clip_norm)
        self.prepared.step()
        self.schedule.step()
        self.ema.update_parameters(self.bare)
        self.step += 1
        return terms

    def _epoch(self) -> float:
        per_step = self.settings.window.batch * self.accelerator.num_processes
        steps = self.settings.optimiser.epoch_steps or max(1, len(self.source) // per_step)
        return self.step / steps

    def _agree(self, value: float) -> float:
        if self.accelerator.num_processes == 1:
            return value
        return float(self.accelerator.gather(torch.tensor([value], device=self.accelerator.device)).max())

    def _report(self, terms: dict[str, Tensor], speed: float, started: float) -> None:
        values = {name: float(value.detach()) for name, value in terms.items()}
        left = (self.settings.optimiser.steps - self.step) * self.settings.window.batch
        left *= self.settings.window.frames * self.accelerator.num_processes
        shown = " ".join(f"{name} {value:.4f}" for name, value in values.items())
        self.say(
            f"step {self.step}/{self.settings.optimiser.steps} {shown} | {speed:.0f} frames/s, "
            f"{(time.monotonic() - started) / 60:.1f} min, {left / max(speed, 1e-9) / 60:.1f} min to go"
        )
        if self.board is not None:
            for name, value in values.items():
                self.board.add_scalar(f"train/{name}", value, self.step)
            self.board.add_scalar("train/frames_per_second", speed, self.step)
            self.board.add_scalar("train/learning_rate", self.schedule.get_last_lr()[0], self.step)

    def _validate(self, network: PhysioLatent) -> Metrics:
        return validate(network, self._fixed(), self.settings, self.accelerator.device)

    def _fixed(self) -> Iterator[tuple[Batch, Wanted]]:
        """The validation windows and wishes, the same each time."""
        keys = fixed_keys(self.settings.report.validation_clips)
        size = self.settings.window.batch
        always = replace(self.settings.condition, rest=0.0)
        for index in range(0, len(keys), size):
            batch = collate([self.validation[key] for key in keys[index : index + size]])
            generator = torch.Generator().manual_seed(index)
            yield batch, draw_wanted(self.embedding, self.bpm, batch.dt, always, generator)

    def _validate_and_keep(self) -> Metrics:
        assert self.baseline is not None
        network = self.ema.module
        assert isinstance(network, PhysioLatent)
        metrics = self._validate(network)
        self.say(f"validation at {self.step} (front-end alone): {summary(metrics, self.baseline)}")
        if self.board is not None:
            for name, value in metrics.items():
                self.board.add_scalar(f"validation/{name}", value, self.step)
                self.board.add_scalar(f"validation_front_end/{name}", self.baseline[name], self.step)
        if metrics["loss_total"] < self.best:
            self.best = metrics["loss_total"]
            if self.accelerator.is_main_process:
                checkpoint.save(self.out / checkpoint.BEST, self._common(metrics))
        return metrics

    def _common(self, metrics: Metrics) -> dict[str, Any]:
        return {
            "version": checkpoint.VERSION,
            "settings": self.settings.to_table(),
            "text_encoder": self.encoder_name,
            "bpm": torch.from_numpy(self.table.bpm),
            "embedding": torch.from_numpy(self.table.embedding),
            "ema": self.ema.module.state_dict(),
            "step": self.step,
            "data": self.fingerprint,
            "metrics": {"network": metrics, "front_end": self.baseline},
        }

    def save(self, metrics: Metrics) -> None:
        """Writes ``last.pt`` from the main process."""
        if not self.accelerator.is_main_process:
            return
        content = self._common(metrics) | {
            "model": self.bare.state_dict(),
            "ema_count": int(self.ema.n_averaged),
            "optimiser": self.optimiser.state_dict(),
            "schedule": self.schedule.state_dict(),
            "random": checkpoint.random_state(),
            "best": self.best,
        }
        checkpoint.save(self.out / checkpoint.LAST, content)

    def _resume(self) -> None:
        content = checkpoint.load(self.out / checkpoint.LAST)
        before = checkpoint.settings_of(content)
        same = replace(before, report=self.settings.report)
        same = replace(same, window=replace(same.window, workers=self.settings.window.workers))
        if same != self.settings:
            raise UsageError(
                "the settings differ from those of the run: resume with the same, or start another"
            )
        if content["data"] != self.fingerprint:
            raise UsageError("the training data differ from those of the run: restore them, or start another")
        self.bare.load_state_dict(content["model"])
        self.ema.module.load_state_dict(content["ema"])
        self.ema.n_averaged.fill_(content["ema_count"])
        self.optimiser.load_state_dict(content["optimiser"])
        self.schedule.load_state_dict(content["schedule"])
        checkpoint.restore_random_state(content["random"])
        self.step, self.best = content["step"], content["best"]
        self.baseline = content["metrics"]["front_end"]


def _moving_average(decay: float) -> Any:
    """Exponential moving average whose decay rises to ``decay``, so that the start is forgotten."""

    def update(averaged: list[Tensor], current: list[Tensor], count: Tensor) -> None:
        number = float(count)
        torch._foreach_lerp_(averaged, current, 1.0 - min(decay, (1.0 + number) / (10.0 + number)))

    return update
