"""The report's picture: what each attacker gains over chance, and the learned ones' errors."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import matplotlib

matplotlib.use("Agg")
from matplotlib import pyplot as plt

from model.evaluate.plots import STYLE

Bar = tuple[str, float, float, float, bool]  # name, value, low, high, whether it is a control


def draw_gains(path: Path, bars: Sequence[Bar], title: str, axis: str, line: float) -> None:
    """Values with their intervals, one below the other; controls grey; ``line`` is the bar or chance."""
    with plt.rc_context(STYLE):  # type: ignore[arg-type]
        figure, axes = plt.subplots(figsize=(7.2, 0.8 + 0.3 * len(bars)))
        for place, (_, value, low, high, control) in enumerate(bars):
            color = "#8a8f98" if control else "#2563eb"
            axes.plot([low, high], [place, place], color=color, linewidth=2)
            axes.plot([value], [place], "o", color=color)
        axes.axvline(line, color="#c0392b", linewidth=1)
        axes.set_yticks(range(len(bars)), [bar[0] for bar in bars])
        axes.invert_yaxis()
        axes.set_xlabel(axis)
        axes.set_title(title)
        figure.tight_layout()
        part = path.with_name(f"part-{path.name}")
        figure.savefig(part)
        part.replace(path)
        plt.close(figure)
