"""The trained editor and the engines that can run it."""

from __future__ import annotations

from collections.abc import Callable

from streamfilter.artifact import Artifact
from streamfilter.doctor.check import Check, fail, ok, warn
from streamfilter.engine.base import Engine
from streamfilter.engine.select import AUTO, ENGINE_NAMES, ON_GPU, ONNXRUNTIME, installed_engines, open_engine
from streamfilter.errors import EngineError

PARITY = "parity_max_gain_error"  # of the manifest's measured figures: exported graph against trained network
PARITY_LIMIT = 1e-4  # of relative gain: a sixtieth of the shown pulse in green

Opener = Callable[[Artifact, str], Engine]


def check_artifact(artifact: Artifact) -> Check:
    """What the artifact is. It was loaded, so its files have the hashes that the manifest promises."""
    manifest = artifact.manifest
    size = sum((artifact.path / name).stat().st_size for name in manifest.files) / 1e6
    said = f"{manifest.name}, {size:.1f} MB, sha256 verified ({manifest.files['step.onnx'][:12]})"
    parity = manifest.measured.get(PARITY)
    if not isinstance(parity, int | float):
        return ok("artifact", f"{said}, without a figure of parity with its training")
    if not parity <= PARITY_LIMIT:
        return warn(
            "artifact",
            f"{said}, but it differs from the network as trained by {parity:.1g} in gain",
            "export the artifact again, or take the packaged one: leave --artifact away",
        )
    return ok("artifact", f"{said}, as trained to {parity:.0e} in gain")


def check_engines(artifact: Artifact, wanted: str = AUTO, opener: Opener = open_engine) -> Check:
    """Loads the artifact into every engine, which builds what a GPU needs built; fails where the ``wanted``
    one cannot."""
    loaded: list[str] = []
    refused: dict[str, str] = {}
    for name in ENGINE_NAMES:
        if name == AUTO or (name in ON_GPU and name not in installed_engines()):
            continue  # a machine without a GPU lacks nothing
        try:
            opener(artifact, name).close()
            loaded.append(name)
        except EngineError as error:
            refused[name] = str(error)
    try:
        engine = opener(artifact, wanted)
    except EngineError as error:
        others = [f"  physio-cam --engine {name}" for name in loaded]
        return fail("engines", str(error), *(["another engine works:", *others] if others else []))
    engine.close()
    said = f"{' and '.join(loaded)} load the editor" if len(loaded) > 1 else f"{loaded[0]} loads the editor"
    said += f"; {wanted} takes {engine.name}" + (f" ({engine.reason})" if wanted == AUTO else "")
    # OpenVINO is an extra: that it is not installed is no fault. A GPU's library that is here and fails is.
    said += "".join(
        f"; {name}: {why}"
        for name, why in refused.items()
        if name not in (ONNXRUNTIME, *ON_GPU) and f"{name} did not take part" not in engine.reason
    )
    faults = [why for name, why in refused.items() if name in (ONNXRUNTIME, *ON_GPU)]
    return warn("engines", said, *faults) if faults else ok("engines", said)
