"""Trains the reference setting: ``python -m model.reference.train --settings FILE.toml --data DIR …``.

The same command runs on CPUs and, under ``accelerate launch``, on several GPUs.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from model.reference.settings import load_settings
from streamfilter.errors import Interrupted, PhysioCamError, UsageError


def parser() -> argparse.ArgumentParser:
    """The command line."""
    parse = argparse.ArgumentParser(prog="python -m model.reference.train", description=__doc__)
    parse.add_argument("--settings", type=Path, required=True, help="TOML file, see model/settings/")
    parse.add_argument("--data", type=Path, required=True, help="folder of training clips")
    parse.add_argument("--val", type=Path, required=True, help="folder of validation clips")
    parse.add_argument("--out", type=Path, required=True, help="folder of the run")
    parse.add_argument("--resume", action="store_true", help="go on from last.pt of --out")
    parse.add_argument("--steps", type=int, help="number of steps, instead of the settings file's")
    parse.add_argument("--max-minutes", type=float, help="save and stop after this long")
    parse.add_argument("--threads", type=int, default=2, help="CPU threads of torch (2)")
    parse.add_argument("--cpu", action="store_true", help="leave GPUs alone")
    return parse


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs a training; returns the exit code."""
    options = parser().parse_args(arguments)
    try:
        _train(options)
    except PhysioCamError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt:
        return Interrupted.exit_code
    return 0


def _train(options: argparse.Namespace) -> None:
    import torch

    from model.reference.checkpoint import LAST
    from model.reference.trainer import Trainer
    from model.text import conditioning_table, make_encoder

    settings = load_settings(options.settings)
    if options.steps is not None:
        if options.steps < 1:
            raise UsageError(f"--steps {options.steps} is out of range; give at least 1")
        settings = replace(settings, optimiser=replace(settings.optimiser, steps=options.steps))
    if (options.out / LAST).exists() and not options.resume:
        raise UsageError(f"{options.out} holds a run already: add --resume, or choose another folder")
    torch.set_num_threads(max(1, options.threads))
    encoder = make_encoder(settings.text.encoder, settings.text.folder)
    trainer = Trainer(
        settings,
        conditioning_table(encoder),
        encoder.name,
        options.data,
        options.val,
        options.out,
        resume=options.resume,
        cpu=options.cpu,
    )
    torch.set_flush_denormal(True)
    try:
        trainer.run(options.max_minutes)
    finally:  # of the whole process, whose caller may count on small numbers
        torch.set_flush_denormal(False)


if __name__ == "__main__":
    sys.exit(main())
