"""Settings of a training run, read from a TOML file. Unknown keys and wrong types are errors."""

from __future__ import annotations

import dataclasses
import tomllib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar, get_args, get_origin, get_type_hints

from model.leak import LeakSettings
from model.losses import LossWeights
from model.physiolatent import StreamSettings
from streamfilter.errors import UsageError

Table = dict[str, Any]
S = TypeVar("S")


@dataclass(frozen=True)
class WindowSettings:
    """``frames`` a window; the first ``warmup`` are left out of the losses (the front-end settles).
    ``workers``: processes that read ahead (0: none). ``growing``: look for new clips during the run."""

    frames: int = 192
    warmup: int = 48
    batch: int = 4
    workers: int = 1
    growing: bool = False


@dataclass(frozen=True)
class ConditionSettings:
    """What is asked of the network. ``low``..``high``: wanted rates, bpm. ``variability``: largest relative
    swing of the rate within a clip. ``rest``: share of clips that ask for no pulse (strength 0)."""

    low: float = 40.0
    high: float = 180.0
    variability: float = 0.06
    rest: float = 0.1


@dataclass(frozen=True)
class OptimiserSettings:
    """AdamW and OneCycleLR over ``steps`` (the paper's: 5e-4). ``epoch_steps``: steps that count as one epoch
    of the curriculum, 0 for one pass over the data set."""

    steps: int = 2000
    max_lr: float = 5e-4
    weight_decay: float = 1e-2
    warmup_share: float = 0.1
    clip_norm: float = 1.0
    ema_decay: float = 0.999
    epoch_steps: int = 0
    mixed_precision: str = "no"
    seed: int = 0


@dataclass(frozen=True)
class ReportSettings:
    """How often, in steps, to print and to validate; how often, in minutes, to save; ``validation_clips``
    windows of the validation set are read, the same ones each time."""

    print_every: int = 10
    validate_every: int = 200
    validation_clips: int = 16
    save_minutes: float = 3.0


@dataclass(frozen=True)
class TextSettings:
    """``encoder``: "minilm", "clip" (with ``folder``) or "numeric"."""

    encoder: str = "minilm"
    folder: str = ""


@dataclass(frozen=True)
class PerceptualSettings:
    """LPIPS: ``weights`` file (empty: the term is off) and the backbone's ``widths``."""

    weights: str = ""
    widths: tuple[int, ...] = (64, 128, 256)


@dataclass(frozen=True)
class Settings:
    """One training run: the tables of the TOML file."""

    network: StreamSettings = field(default_factory=StreamSettings)
    window: WindowSettings = field(default_factory=WindowSettings)
    condition: ConditionSettings = field(default_factory=ConditionSettings)
    loss: LossWeights = field(default_factory=LossWeights)
    leak: LeakSettings = field(default_factory=LeakSettings)
    optimiser: OptimiserSettings = field(default_factory=OptimiserSettings)
    report: ReportSettings = field(default_factory=ReportSettings)
    text: TextSettings = field(default_factory=TextSettings)
    perceptual: PerceptualSettings = field(default_factory=PerceptualSettings)

    def to_table(self) -> Table:
        """Plain values, as ``from_table`` takes them."""
        return dataclasses.asdict(self)


def build(cls: type[S], table: Table, where: str) -> S:
    """A settings dataclass from a table; nested dataclasses from nested tables.

    Raises UsageError for an unknown key or a value of the wrong type.
    """
    hints = get_type_hints(cls)
    names = [item.name for item in dataclasses.fields(cls)]  # type: ignore[arg-type]
    unknown = sorted(set(table) - set(names))
    if unknown:
        raise UsageError(f"{where}: unknown setting {', '.join(unknown)}; known are {', '.join(names)}")
    return cls(**{key: _convert(hints[key], value, f"{where}.{key}") for key, value in table.items()})


def _convert(kind: Any, value: Any, where: str) -> Any:
    if dataclasses.is_dataclass(kind) and isinstance(kind, type):
        if not isinstance(value, dict):
            raise UsageError(f"{where}: a table is expected, not {value!r}")
        return build(kind, value, where)
    if get_origin(kind) is tuple and isinstance(value, list | tuple):
        return tuple(_convert(get_args(kind)[0], item, where) for item in value)
    if kind is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if isinstance(kind, type) and isinstance(value, kind) and not (kind is int and isinstance(value, bool)):
        return value
    raise UsageError(f"{where}: {value!r} is not of the expected type {getattr(kind, '__name__', kind)}")


def from_table(table: Table, where: str = "settings") -> Settings:
    """Settings from a table of tables, checked. Raises UsageError."""
    settings = build(Settings, table, where)
    window, leak = settings.window, settings.leak
    if not 0 <= window.warmup < window.frames - 8 or not 0 <= leak.warmup < window.frames - 8:
        raise UsageError(f"{where}: warmup must leave at least 8 of {window.frames} frames for the losses")
    if min(window.batch, settings.optimiser.steps, settings.report.print_every) < 1 or window.workers < 0:
        raise UsageError(f"{where}: batch, steps and print_every must be at least 1, workers at least 0")
    return settings


def load_settings(path: Path) -> Settings:
    """Reads a TOML file. Raises UsageError when it is absent, not TOML, or holds an unknown key."""
    try:
        with path.open("rb") as file:
            table = tomllib.load(file)
    except OSError as error:
        raise UsageError(f"the settings file {path} cannot be read: {error.strerror}") from error
    except tomllib.TOMLDecodeError as error:
        raise UsageError(f"{path} is not valid TOML: {error}") from error
    return from_table(table, str(path))
