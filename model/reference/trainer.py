"""The reference network's training: accelerate, AdamW, OneCycleLR, validation, TensorBoard, resumable."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from accelerate import Accelerator
from torch import Tensor
from torch.utils.tensorboard import SummaryWriter

from model.objective import Batch
from model.perceptual import Lpips, load_lpips
from model.reference.checkpoint import KIND, LAST
from model.reference.files import load_content, save_content
from model.reference.network import ReferenceNetwork, fingerprint
from model.reference.objective import draw_wishes, objective
from model.reference.pretrained import load_vae
from model.reference.settings import ReferenceSettings, from_table
from model.text import ConditioningTable
from model.windows import StepSampler, WindowSource, collate, fixed_keys, loader
from streamfilter.errors import UsageError


class Trainer:
    """One run in the folder ``out``; ``resume`` goes on from its ``last.pt``, from the very step."""

    def __init__(
        self,
        settings: ReferenceSettings,
        table: ConditioningTable,
        encoder_name: str,
        data: Path,
        validation: Path,
        out: Path,
        resume: bool = False,
        cpu: bool = False,
    ) -> None:
        self.settings, self.table, self.encoder_name, self.out = settings, table, encoder_name, out
        if settings.network.text_dim != table.embedding.shape[1]:
            raise UsageError(
                f"network.text_dim is {settings.network.text_dim}, but {encoder_name} gives "
                f"{table.embedding.shape[1]} numbers: set it to that"
            )
        optimiser = settings.optimiser
        self.accelerator = Accelerator(mixed_precision=optimiser.mixed_precision, cpu=cpu)
        self.source = WindowSource(data, settings.window.frames)
        self.validation = WindowSource(validation, settings.window.frames)
        torch.manual_seed(optimiser.seed)
        vae = load_vae(settings.vae.kind, settings.vae.source, settings.vae.subfolder)
        self.fingerprint = fingerprint(vae)
        self.bare = ReferenceNetwork(settings.network, vae)
        self.trained = [parameter for parameter in self.bare.parameters() if parameter.requires_grad]
        self.optimiser = torch.optim.AdamW(
            self.trained, lr=optimiser.max_lr, weight_decay=optimiser.weight_decay
        )
        total = max(optimiser.steps + 1, 4)
        self.schedule = torch.optim.lr_scheduler.OneCycleLR(
            self.optimiser,
            max_lr=optimiser.max_lr,
            total_steps=total,
            pct_start=min(max(optimiser.warmup_share, 2.0 / total), 0.7),
        )
        self.step = 0
        if resume:
            self._resume()
        self.network, self.prepared = self.accelerator.prepare(self.bare, self.optimiser)
        self.embedding = torch.from_numpy(table.embedding).to(self.accelerator.device)
        self.bpm = torch.from_numpy(table.bpm)
        self.lpips = self._lpips()

    def _lpips(self) -> Lpips | None:
        if self.settings.loss.perceptual <= 0:
            return None
        if not self.settings.perceptual.weights:
            self.say(
                "LPIPS is off: no perceptual.weights given; the fidelity term is the squared error alone"
            )
            return None
        lpips = load_lpips(Path(self.settings.perceptual.weights), self.settings.perceptual.widths)
        return lpips.to(self.accelerator.device)

    def say(self, text: str) -> None:
        """Prints on the main process."""
        if self.accelerator.is_main_process:
            print(text, flush=True)

    def run(self, max_minutes: float | None = None) -> dict[str, float]:
        """Trains to the last step or for ``max_minutes``; saves; returns the last validation."""
        settings, started = self.settings, time.monotonic()
        main = self.accelerator.is_main_process
        board = SummaryWriter(str(self.out), purge_step=self.step or None) if main else None
        self.say(
            f"{sum(p.numel() for p in self.trained)} of {sum(p.numel() for p in self.bare.parameters())} "
            f"parameters trained; {len(self.source)} clips, step {self.step} of {settings.optimiser.steps}, "
            f"{self.accelerator.device}, text by {self.encoder_name}"
        )
        metrics, validated, saved = self.validate(), self.step, time.monotonic()
        self.say(_shown("validation", self.step, metrics))
        for batch in self._batches():
            terms = {name: float(value) for name, value in self._train_step(batch).items()}
            if self.step % settings.report.print_every == 0:
                minutes = (time.monotonic() - started) / 60
                self.say(f"{_shown('step', self.step, terms)} | {minutes:.1f} min")
                _write(board, "train", terms, self.step)
            if self.step % settings.report.validate_every == 0:
                metrics, validated = self.validate(), self.step
                self.say(_shown("validation", self.step, metrics))
                _write(board, "validation", metrics, self.step)
            if time.monotonic() - saved > settings.report.save_minutes * 60:
                self.save(metrics)
                saved = time.monotonic()
            if max_minutes is not None and self._agree(time.monotonic() - started) > 60 * max_minutes:
                break
        if validated != self.step:
            metrics = self.validate()
            self.say(_shown("validation", self.step, metrics))
            _write(board, "validation", metrics, self.step)
        self.save(metrics)
        if board is not None:
            board.close()
        return metrics

    def _agree(self, value: float) -> float:
        """The largest of all processes, so that they leave at the same step."""
        if self.accelerator.num_processes == 1:
            return value
        return float(self.accelerator.gather(torch.tensor([value], device=self.accelerator.device)).max())

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

    def epoch(self) -> float:
        """Passes over the data so far, or ``epoch_steps`` steps each: the curriculum's clock."""
        per_step = self.settings.window.batch * self.accelerator.num_processes
        return self.step / (self.settings.optimiser.epoch_steps or max(1, len(self.source) // per_step))

    def _train_step(self, batch: Batch) -> dict[str, Tensor]:
        optimiser = self.settings.optimiser
        seed = optimiser.seed * 1_000_003 + self.step * 64 + self.accelerator.process_index
        generator = torch.Generator().manual_seed(seed)
        wanted = draw_wishes(self.embedding, self.bpm, batch, self.settings, generator)
        self.network.train()
        output = self.network(batch.crop, wanted.text, wanted.phase)
        terms = objective(output, batch, wanted, self.settings, self.epoch(), self.lpips)
        if not bool(torch.isfinite(terms["total"])):
            raise FloatingPointError(f"the loss is {float(terms['total'])} at step {self.step}")
        self.prepared.zero_grad(set_to_none=True)
        self.accelerator.backward(terms["total"])
        self.accelerator.clip_grad_norm_(self.trained, optimiser.clip_norm)
        self.prepared.step()
        self.schedule.step()
        self.step += 1
        return {name: value.detach() for name, value in terms.items()}

    @torch.no_grad()
    def validate(self) -> dict[str, float]:
        """Losses and PSNR (dB, of the 0..1 output against the input) of fixed windows and wishes."""
        self.bare.eval()
        keys = fixed_keys(self.settings.report.validation_clips)
        sums: dict[str, float] = {}
        for index, key in enumerate(keys):
            batch = collate([self.validation[key]]).to(self.accelerator.device)
            generator = torch.Generator().manual_seed(index)
            wanted = draw_wishes(self.embedding, self.bpm, batch, self.settings, generator)
            output = self.bare(batch.crop, wanted.text, wanted.phase).clamp(0.0, 1.0)
            terms = objective(output, batch, wanted, self.settings, self.epoch(), self.lpips)
            terms["psnr"] = -10.0 * torch.log10(terms["fidelity"].clamp_min(1e-10))
            for name, value in terms.items():
                sums[name] = sums.get(name, 0.0) + float(value) / len(keys)
        return sums

    def save(self, metrics: dict[str, float]) -> None:
        """Writes ``last.pt``: the trained part only, with the VAE's fingerprint."""
        if not self.accelerator.is_main_process:
            return
        content: dict[str, Any] = {
            "settings": self.settings.to_table(),
            "vae": self.fingerprint,
            "text_encoder": self.encoder_name,
            "bpm": torch.from_numpy(self.table.bpm),
            "embedding": torch.from_numpy(self.table.embedding),
            "trained": self.bare.trained_state(),
            "optimiser": self.optimiser.state_dict(),
            "schedule": self.schedule.state_dict(),
            "data": self.source.fingerprint(),
            "step": self.step,
            "metrics": metrics,
        }
        save_content(self.out / LAST, KIND, content)

    def _resume(self) -> None:
        content = load_content(self.out / LAST, KIND)
        if from_table(content["settings"], "the checkpoint's settings") != self.settings:
            raise UsageError("the settings differ from those of the run: resume with the same")
        if content["vae"] != self.fingerprint:
            raise UsageError("the VAE differs from that of the run: restore it, or start another run")
        if content["data"] != self.source.fingerprint():
            raise UsageError("the training data differ from those of the run: restore them, or start another")
        self.bare.load_trained(content["trained"])
        self.optimiser.load_state_dict(content["optimiser"])
        self.schedule.load_state_dict(content["schedule"])
        self.step = content["step"]


def _shown(what: str, step: int, values: dict[str, float]) -> str:
    parts = " ".join(f"{name} {value:.4f}" for name, value in values.items() if math.isfinite(value))
    return f"{what} {step}: {parts}"


def _write(board: SummaryWriter | None, where: str, values: dict[str, float], step: int) -> None:
    if board is not None:
        for name, value in values.items():
            board.add_scalar(f"{where}/{name}", value, step)
