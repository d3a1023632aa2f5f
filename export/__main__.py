"""``python -m export --checkpoint runs/stream/best.pt --out streamfilter/artifacts/default``"""

from __future__ import annotations

import argparse
import subprocess
import sys
from pathlib import Path

import torch

from export.build import add_forms, build_artifact
from export.rebuild import parameters_in, rebuild
from export.window import build_window_artifact
from model.checkpoint import load, network_of, settings_of, table_of
from model.configuration import load_settings
from model.physiolatent import PhysioLatent
from model.reference.checkpoint import load_trained
from model.text import ConditioningTable, conditioning_table, make_encoder
from streamfilter.artifact import Artifact, load_artifact
from streamfilter.errors import PhysioCamError, UsageError

MASKING = 0.0015
_OF_THE_STEP = "--masking, --pulse-direction, --residual-scale, --removal"


def main(argv: list[str] | None = None) -> int:
    """Command line; returns the exit code of ``streamfilter.errors``."""
    parser = argparse.ArgumentParser(prog="python -m export", description=__doc__)
    source = parser.add_mutually_exclusive_group(required=True)
    source.add_argument("--checkpoint", type=Path, help="best.pt or last.pt of a training run")
    source.add_argument(
        "--untrained", type=Path, metavar="TOML", help="these settings' network with its learned part at zero"
    )
    source.add_argument(
        "--artifact",
        type=Path,
        metavar="DIR",
        help="an artifact whose checkpoint is gone: its network comes back from step.onnx, which stays as it "
        "is (but see --step-anew), and serving.onnx and device.onnx are made anew",
    )
    source.add_argument(
        "--reference",
        type=Path,
        metavar="CHECKPOINT",
        help="last.pt of a run of model.reference.train: an artifact for --mode window (docs/reference.md)",
    )
    parser.add_argument("--out", type=Path, required=True, help="folder of the artifact, replaced if there")
    parser.add_argument("--name", default="default")
    parser.add_argument("--masking", type=float, help=f"relative rms, default {MASKING} or the artifact's")
    parser.add_argument(
        "--pulse-direction",
        type=float,
        nargs=3,
        metavar=("R", "G", "B"),
        help="relative amplitudes of the shown pulse, in place of the settings' (the losses do not see it)",
    )
    parser.add_argument(
        "--residual-scale",
        type=float,
        help="shrinks the network's own addition to the front-end's estimate",
    )
    parser.add_argument(
        "--removal", type=float, help="what is taken out over what is estimated, in place of the settings'"
    )
    parser.add_argument(
        "--step-anew",
        metavar="WHY",
        help="with --artifact: step.onnx too, the same parameters in the network as its code is today; WHY "
        "goes into the manifest ('what changed since the training')",
    )
    arguments = parser.parse_args(argv)
    if arguments.step_anew is not None and arguments.artifact is None:
        parser.error("--step-anew goes with --artifact")
    try:
        said = _export(arguments)
    except PhysioCamError as problem:
        print(f"export: {problem}", file=sys.stderr)
        return problem.exit_code
    size = sum(file.stat().st_size for file in arguments.out.iterdir())
    print(f"{arguments.out}: {size / 1e6:.2f} MB, largest difference from {said}")
    return 0


def _export(arguments: argparse.Namespace) -> str:
    if arguments.artifact is not None:
        artifact = load_artifact(arguments.artifact)
        if arguments.step_anew is not None:
            return _step_anew(artifact, arguments)
        if _of_the_step(arguments):
            raise UsageError(f"{_OF_THE_STEP} change step.onnx: add --step-anew, or leave them out")
        serving, device = add_forms(artifact, rebuild(artifact), arguments.out)
        return f"step.onnx {serving:.1e} (serving.onnx) and {device:.1e} (device.onnx) of the gain"
    training: dict[str, object] = {"commit": _commit()}
    if arguments.reference is not None:
        return _export_reference(arguments, training)
    measured: dict[str, object] = {}
    if arguments.checkpoint is not None:
        content = load(arguments.checkpoint)
        network, table = network_of(content), table_of(content)
        encoder = str(content["text_encoder"])
        training |= {"step": int(content["step"]), "settings": settings_of(content).to_table()}
        measured |= {"validation": content["metrics"]}
    else:
        settings = load_settings(arguments.untrained)
        torch.manual_seed(0)
        network = PhysioLatent(settings.network).eval()
        text = make_encoder(settings.text.encoder, settings.text.folder)
        table, encoder = conditioning_table(text), text.name
        training |= {"step": 0, "settings": settings.to_table()}
    _change(network, training, arguments)
    error = build_artifact(
        network,
        table,
        arguments.out,
        name=arguments.name,
        text_encoder=encoder,
        masking=MASKING if arguments.masking is None else arguments.masking,
        training=training,
        measured=measured,
    )
    return f"torch {error:.1e} of the gain"


def _step_anew(artifact: Artifact, arguments: argparse.Namespace) -> str:
    """The artifact's parameters in today's network, exported whole; what else it was made with is kept."""
    network, manifest = parameters_in(artifact), artifact.manifest
    training = {**manifest.training, "changed_since": arguments.step_anew}
    _change(network, training, arguments)
    error = build_artifact(
        network,
        ConditioningTable(artifact.conditioning.bpm, artifact.conditioning.embedding),
        arguments.out,
        name=manifest.name,
        text_encoder=manifest.text_encoder,
        masking=manifest.masking if arguments.masking is None else arguments.masking,
        training=training,
        measured={name: value for name, value in manifest.measured.items() if not name.startswith("parity")},
    )
    return f"torch {error:.1e} of the gain"


def _of_the_step(arguments: argparse.Namespace) -> bool:
    """Whether an option is given that changes ``step.onnx`` or what the runtime adds to it."""
    given = (arguments.masking, arguments.pulse_direction, arguments.residual_scale, arguments.removal)
    return any(value is not None for value in given)


def _change(network: PhysioLatent, training: dict[str, object], arguments: argparse.Namespace) -> None:
    """What the options ask of the network, noted in ``training``."""
    if arguments.residual_scale is not None:
        network.decoder.scale_residual(arguments.residual_scale)
        before = training.get("residual_scale")
        scale = before if isinstance(before, float) else 1.0
        training["residual_scale"] = scale * arguments.residual_scale
    if arguments.pulse_direction is not None:
        network.set_pulse_direction(*arguments.pulse_direction)
    if arguments.removal is not None:
        network.set_removal(arguments.removal)
        training["removal"] = arguments.removal


def _export_reference(arguments: argparse.Namespace, training: dict[str, object]) -> str:
    if _of_the_step(arguments):
        raise UsageError(f"{_OF_THE_STEP} are of the stream editor: leave out")
    name = "reference" if arguments.name == "default" else arguments.name
    error = build_window_artifact(
        load_trained(arguments.reference), arguments.out, name=name, training=training
    )
    return f"torch {error:.1e} of the picture's range"


def _commit() -> str:
    try:
        found = subprocess.run(
            ["git", "rev-parse", "HEAD"],
            capture_output=True,
            text=True,
            check=True,
            cwd=Path(__file__).parent,
        )
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
    return found.stdout.strip()


if __name__ == "__main__":
    sys.exit(main())
