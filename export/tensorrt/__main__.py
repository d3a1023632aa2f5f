"""``python -m export.tensorrt --out runs/engines --sm 75 86 89 120``"""

from __future__ import annotations

import argparse
import copy
import sys
from pathlib import Path

from export.tensorrt.build import BATCHES, CARDS, Engine, EngineBuilder
from export.tensorrt.cache import EngineCache
from export.tensorrt.inspection import summary
from streamfilter.artifact import load_artifact
from streamfilter.engine.build_cache import cache_folder
from streamfilter.engine.device_session import device_graph
from streamfilter.errors import EngineError, PhysioCamError, UsageError

_DESCRIPTION = (
    "Builds engines of TensorRT for RTX from an artifact's device.onnx, with no GPU, and prints "
    "what is in them."
)


def main(argv: list[str] | None = None) -> int:
    """Command line; returns the exit code of ``streamfilter.errors``."""
    parser = argparse.ArgumentParser(prog="python -m export.tensorrt", description=_DESCRIPTION)
    parser.add_argument("--artifact", type=Path, metavar="DIR", help="default: the packaged one")
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="where the plans go")
    parser.add_argument(
        "--sm", type=int, nargs="+", default=sorted(CARDS), metavar="N", help="cards, default %(default)s"
    )
    parser.add_argument(
        "--batches",
        type=int,
        nargs=3,
        default=BATCHES,
        metavar=("MIN", "BEST", "MAX"),
        help="streams in a run, default %(default)s",
    )
    parser.add_argument("--cache", type=Path, metavar="DIR", help="default: in the user's cache folder")
    parser.add_argument("--anew", action="store_true", help="build, even where the cache has the engine")
    parser.add_argument(
        "--torch",
        action="store_true",
        help="then also compile the network with torch-tensorrt, which needs a GPU, and compare",
    )
    parser.add_argument("--bindings", action="store_true", help="also list inputs and outputs")
    arguments = parser.parse_args(argv)
    try:
        engines = _build(arguments)
        if arguments.bindings:
            print(_bindings(engines[0]))
        if arguments.torch:
            print(_torch(arguments.artifact))
    except PhysioCamError as problem:
        print(f"export.tensorrt: {problem}", file=sys.stderr)
        return problem.exit_code
    return 0


def _build(arguments: argparse.Namespace) -> list[Engine]:
    low, best, high = arguments.batches
    if not 1 <= low <= best <= high:
        raise UsageError("--batches are the smallest, the best and the largest number of streams, from 1 up")
    artifact = load_artifact(arguments.artifact)
    graph = device_graph(artifact)
    builder = EngineBuilder()
    cache = EngineCache(arguments.cache or cache_folder() / "tensorrt", builder)
    arguments.out.mkdir(parents=True, exist_ok=True)
    print(f"{artifact.path / 'device.onnx'}, TensorRT for RTX {builder.version}, {low} to {high} streams")
    print("| card | operators | engines | products f16 / f32 | norms, f32 | kernels | MB | built in s |")
    print("|---|---|---|---|---|---|---|---|")
    engines = []
    for sm in arguments.sm:
        engine, cached = cache.engine(graph, sm, (low, best, high), arguments.anew)
        aside = arguments.out / f".sm{sm}.plan"
        aside.write_bytes(engine.plan)
        aside.replace(arguments.out / f"sm{sm}.plan")
        half, full = engine.products
        found = engine.inspection
        print(
            f"| SM {sm} ({CARDS.get(sm, 'other')}) | {engine.operators}, all | {found.engines} | "
            f"{half} / {full} | {engine.norms} | {summary(found.kernels)} | {len(engine.plan) / 1e6:.1f} | "
            f"{'cached' if cached else f'{engine.seconds:.1f}'} |",
            flush=True,
        )
        engines.append(engine)
    return engines


def _torch(folder: Path | None) -> str:
    from export.parity import TOLERANCE, step_parity
    from export.rebuild import rebuild
    from export.tensorrt.torch_path import torch_step

    network = rebuild(load_artifact(folder))
    error = step_parity(network, torch_step(copy.deepcopy(network)))
    if not error < TOLERANCE:
        raise EngineError(f"torch-tensorrt's engine differs from the network by {error:.2g} of the gain")
    return f"torch-tensorrt: largest difference from torch {error:.1e} of the gain"


def _bindings(engine: Engine) -> str:
    rows = ["| binding | | type | shape | smallest, best, largest |", "|---|---|---|---|---|"]
    for one in engine.inspection.bindings:
        shape = "x".join("n" if side < 0 else str(side) for side in one.shape)
        streams = ", ".join(str(shape[0]) for shape in one.profile)
        rows.append(f"| {one.name} | {one.mode} | {one.kind} | {shape} | {streams} |")
    return "\n".join(rows)


if __name__ == "__main__":
    sys.exit(main())
