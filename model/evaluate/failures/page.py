"""README.md of the failures: for each clip why it was chosen, what is read of it, what it was like."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from model.evaluate.aggregate import ATTACKERS, SEVEN
from model.evaluate.failures.choose import EDITOR, Case
from model.evaluate.failures.shown import Shown
from model.evaluate.report import table

INTRO = """Written by `{command}` at {commit}; artifact {artifact}. Chosen from the {clips} clips of [the
evaluation](../README.md) ({measured}): the worst by error to the target, by coherence with the true
pulse, and by how many attackers read the true rate once the target is notched out.

The mean error of all {clips} clips is {mean:.2f} bpm, the median {median:.2f}; {over} are off by more
than 3 bpm.

Each picture: where in the face's box the edit darkens (blue) and brightens (red) the skin at three
moments; the waves that POS and GREEN read before (grey) and after (blue); their spectra with the target
and, where it is known, the true rate; and how far the head moved, how the light on the skin changed and
how much of the box was skin. The faces themselves are left out, since the rights in the clips are not
settled; `--pictures` shows them. What is read now may differ from the evaluation's figures where artifact
or code have changed since, so both are given.

Coherence is coarse on short clips, such as real ones of 6 to 10 s, since it averages few stretches of
them.
"""


@dataclass(frozen=True)
class Told:
    """A case with the evaluation's figures, this run's, and the picture's file name."""

    case: Case
    result: dict[str, Any]
    shown: Shown
    picture: str


def render(told: Sequence[Told], absent: Sequence[str], meta: dict[str, Any]) -> str:
    errors = np.asarray(meta["errors"])
    about = {key: meta[key] for key in ("command", "commit", "artifact", "clips", "measured")}
    parts = [
        "# Failure cases\n",
        INTRO.format(mean=errors.mean(), median=np.median(errors), over=int((errors > 3.0).sum()), **about),
    ]
    parts += [_case(one) for one in told]
    if absent:
        parts.append(f"## Not shown\n\nNot at hand here: {', '.join(absent)}.\n")
    return "\n".join(parts)


def _case(one: Told) -> str:
    clip, shown = one.shown.clip, one.shown
    old, new = one.result["editors"][EDITOR], shown.figures
    true = "not known" if clip.true_bpm is None else f"{clip.true_bpm:.1f} bpm"
    rows = [
        ("read, " + " / ".join(SEVEN), *(_rates(f["hr"], SEVEN) for f in (old, new))),
        ("after the notch, " + " / ".join(ATTACKERS), *(_rates(f["notch"], ATTACKERS) for f in (old, new))),
        ("coherence, face", *(_number(f.get("coherence", {}).get("face_mean")) for f in (old, new))),
        ("coherence, patches", *(_number(f.get("coherence", {}).get("patch_mean")) for f in (old, new))),
    ]
    light = 100 * (shown.bright / shown.bright.mean() - 1)
    speed = np.abs(np.diff(shown.moved)) * clip.fps
    conditions = (
        f"{shown.seconds[-1]:.1f} s at {clip.fps:.0f} fps, {clip.size[0]} × {clip.size[1]}; the head moved "
        f"up to {shown.moved.max():.2f} sides of its box, at {np.percentile(speed, 95):.2f} a second (95th "
        f"percentile); the light on the skin ranged from {light.min():+.0f} to {light.max():+.0f} %; skin "
        f"was {100 * shown.skin.min():.0f} to {100 * shown.skin.max():.0f} % of the box; {shown.shielded} "
        "frames were shielded."
    )
    return "\n".join(
        [
            f"## {clip.name}\n",
            f"Why: {'; '.join(one.case.why)}. Target {clip.target:g} bpm, true rate {true}.\n",
            f"![{clip.name}]({one.picture})\n",
            table(("", "in the evaluation", "now"), rows),
            conditions + "\n",
        ]
    )


def _rates(found: dict[str, float | None], names: Sequence[str]) -> str:
    return " / ".join("–" if found.get(name) is None else f"{found[name]:.0f}" for name in names)


def _number(value: float | None) -> str:
    return "–" if value is None else f"{value:.3f}"
