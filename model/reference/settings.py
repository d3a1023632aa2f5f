"""Settings of the reference setting's training, read from a TOML file of tables."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from model.configuration import (
    ConditionSettings,
    OptimiserSettings,
    PerceptualSettings,
    ReportSettings,
    TextSettings,
    WindowSettings,
    build,
)
from model.losses import LossWeights
from model.reference.files import read_toml
from streamfilter.errors import UsageError


@dataclass(frozen=True)
class VaeSettings:
    """``kind``: wan, cogvideox, hunyuan, image (2-D, the ablation) or compact; ``source``, ``subfolder``:
    see `pretrained.load_vae`."""

    kind: str = "compact"
    source: str = "runs/compact-vae/last.pt"
    subfolder: str = ""


@dataclass(frozen=True)
class EditorSettings:
    """The trained part. ``condition``: size of the projected prompt. ``width`` of the fusion's maps.

    Ablations of the paper: ``adaln`` false takes plain (2+1)-D convolutions, ``film`` false leaves the
    decoder alone, ``tune_output`` false keeps its last layer frozen; a 2-D VAE is ``vae.kind = "image"``.
    ``phase``: the network is told the wanted beat's phase besides its rate, so that windows can be joined;
    the paper's is not, and its wanted beat begins with each window.
    """

    text_dim: int = 512
    condition: int = 64
    width: int = 96
    heads: int = 4
    blocks: int = 2
    adaln: bool = True
    film: bool = True
    tune_output: bool = True
    phase: bool = True


@dataclass(frozen=True)
class StrengthSettings:
    """The shown pulse's strength, see `strength`: the one term that is not the paper's. ``weight`` 0 leaves
    it out. ``pulse``: the wanted pulse's relative amplitude in R, G, B, as the stream mode shows it."""

    weight: float = 0.0
    pulse: tuple[float, float, float] = (0.001, 0.006, 0.0026)


@dataclass(frozen=True)
class ReferenceSettings:
    """One training run: the tables of the TOML file. ``loss`` holds the paper's terms only."""

    vae: VaeSettings = field(default_factory=VaeSettings)
    network: EditorSettings = field(default_factory=EditorSettings)
    window: WindowSettings = field(default_factory=lambda: WindowSettings(128, 0, 4, 0))
    condition: ConditionSettings = field(default_factory=lambda: ConditionSettings(rest=0.0))
    loss: LossWeights = field(default_factory=lambda: paper_weights())
    strength: StrengthSettings = field(default_factory=StrengthSettings)
    optimiser: OptimiserSettings = field(default_factory=OptimiserSettings)
    report: ReportSettings = field(default_factory=ReportSettings)
    text: TextSettings = field(default_factory=lambda: TextSettings("clip", "weights/clip-vit-base-patch32"))
    perceptual: PerceptualSettings = field(default_factory=PerceptualSettings)

    def to_table(self) -> dict[str, Any]:
        """Plain values, as ``from_table`` takes them."""
        return dataclasses.asdict(self)


def paper_weights() -> LossWeights:
    """The paper's terms and weights: fidelity (MSE + LPIPS) 1.0, waveform 0.2, frequency beta(t)."""
    return LossWeights(
        exact=0.0, skin=0.0, leak=0.0, cost=0.0, waveform=0.2, frequency=1.0, fidelity=1.0, perceptual=1.0
    )


def from_table(table: dict[str, Any], where: str = "settings") -> ReferenceSettings:
    """Settings from a table of tables, checked. A table's absent keys have their class's defaults, those of
    ``loss`` the paper's. Raises UsageError."""
    given = dict(table)
    given["loss"] = dataclasses.asdict(paper_weights()) | dict(given.get("loss", {}))
    given["condition"] = {"rest": 0.0} | dict(given.get("condition", {}))
    given["window"] = {"frames": 128, "warmup": 0, "workers": 0} | dict(given.get("window", {}))
    settings = build(ReferenceSettings, given, where)
    if settings.window.frames % 4 or settings.window.frames < 8 or settings.window.warmup:
        raise UsageError(f"{where}: window.frames must be a multiple of 4, at least 8, with warmup 0")
    loss = settings.loss
    if any((loss.exact, loss.skin, loss.leak, loss.cost, loss.smooth)):
        raise UsageError(
            f"{where}: exact, skin, leak, cost and smooth belong to the stream setting: leave out"
        )
    pulse = settings.strength.pulse
    if settings.strength.weight < 0 or len(pulse) != 3 or not all(0 < part < 0.1 for part in pulse):
        raise UsageError(
            f"{where}: strength.weight must be at least 0, strength.pulse three amplitudes below 0.1"
        )
    if settings.condition.rest:
        raise UsageError(f"{where}: condition.rest must be 0: the paper's network always shows a pulse")
    if settings.network.width % settings.network.heads:
        raise UsageError(f"{where}: network.width must be a multiple of network.heads")
    return settings


def load_settings(path: Path) -> ReferenceSettings:
    """Reads a TOML file. Raises UsageError where it is absent, not TOML, or holds an unknown key."""
    return from_table(read_toml(path), str(path))
