"""standing-blocks.md: what is read off the blocks of sources that were compressed before."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from model.attackers.calls import PLANES
from model.attackers.chance import tally_cells
from model.attackers.standing_blocks_reading import UNFILTERED
from model.evaluate.metrics import HIT_BPM
from model.evaluate.report import table

ABOUT = """A camera that sends MJPEG, and a phone's or a file's H.264, leave most 8 x 8 blocks of a face that
hardly moves as they were in the frame before, and move a few by a step. The filter's edit is smooth and moves
them all. So what most blocks do from one frame to the next is the edit's own step, whatever thresholds it was
written with; taken from the mean of all blocks and added up, it leaves what the camera saw: the true pulse
(`model/attackers/blocks.py`). The attacker knows no key. He looks at a square in the middle of the face and
takes the *median* of the blocks, their mean without a fifth at either end (*trimmed*) or their densest value
(*mode*), of Y (*luma*: 3 readings) or of U and V (*chroma*: 6), and reads a rate within 3 bpm of the true one
or not, beside the shown one (*found*). *Chance*: the same attack where the skin has no pulse, but camera and
filter are the same. *Mean alone*: the plain mean of Y, U, V (3 readings), in which the edit is left;
*unfiltered*: that of the source, before the filter. Intervals of 95 %, by drawing whole faces again."""

RECEIVED = """## After another codec

The planes above reach whoever reads the virtual camera, a file written with `--lossless` or a folder of
pictures. *file*: what `--output` writes otherwise; the others: a call (`model/attackers/calls.py`). All
heads."""

REAL = """## A real clip

`{clip}`, H.264, its own rate {true:g}, shown {target:g}: there is no such clip without a pulse, hence no
chance. **Bold**: within 3 bpm of {true:g}, beside the shown rate. *camera*: the same readings of the
unfiltered clip, whose first column is its plain mean."""


def markdown(meta: Mapping[str, Any], figures: Mapping[str, Any]) -> str:
    """The page."""
    parts = [
        "# Standing blocks: a source that was compressed before",
        f"Written by `{meta['command']}` at {meta['commit']}: artifact {meta['artifact']}, {meta['pulse']} "
        f"pulse, {meta['scenes']} scenes of {meta['seconds']:g} s at {meta['size']} x {meta['size']}, "
        f"{meta['subjects']} faces that the filter was never trained on, true rates clear of the shown ones.",
        ABOUT,
    ]
    found = figures["found"]
    others = [way for way in found if way not in (PLANES, UNFILTERED)]
    parts.append(_sources(figures["sources"]))
    if PLANES in found:
        parts += ["## The planes as they leave the filter", _planes(found), _each(found[PLANES])]
    if others:
        parts += [RECEIVED, _received({way: found[way] for way in others})]
    if "real" in figures:
        parts.append(_real(figures["real"]))
    return "\n\n".join(part.rstrip("\n") for part in parts) + "\n"


def _sources(sources: Mapping[str, Any]) -> str:
    rows = [
        (name, f"{one['standing']:.0%}", *(_share(one[of]) for of in ("likeness", "likeness still")))
        for name, one in sources.items()
    ]
    text = (
        "Blocks of Y whose mean is exactly that of the frame before (before the filter, mean over scenes), "
        "and how like the blocks' median step is to the edit's own (correlation, median over scenes):"
    )
    head = ("source", "blocks that stand", "likeness to the edit", "of still heads")
    return f"{text}\n\n{table(head, rows)}"


def _share(value: float | None) -> str:
    return "–" if value is None else f"{value:.2f}"


def _planes(found: Mapping[str, Any]) -> str:
    rows = []
    for source, attacks in found[PLANES].items():
        unfiltered = {"unfiltered, mean alone": found[UNFILTERED][source]["mean alone"]}
        rows += [
            (source, attack, head, *tally_cells(one))
            for attack, heads in (unfiltered | attacks).items()
            for head, one in heads.items()
            if one["clips"] and head != "all"
        ]
    return table(("source", "attack", "head", "clips", "found", "chance", "gain (points)"), rows)


def _received(found: Mapping[str, Any]) -> str:
    rows = [
        (way, source, attack, *tally_cells(heads["all"]))
        for way, sources in found.items()
        for source, attacks in sources.items()
        for attack, heads in attacks.items()
        if attack != "mean alone"
    ]
    return table(("received as", "source", "attack", "clips", "found", "chance", "gain (points)"), rows)


def _each(found: Mapping[str, Any]) -> str:
    """Each reading of the attacks, all heads: share found / chance."""
    entries = {
        source: {name: one for heads in attacks.values() for name, one in heads["all"]["readers"].items()}
        for source, attacks in found.items()
    }
    names = list(next(iter(entries.values())))
    rows = [
        (
            name,
            *(
                f"{one[name]['found']['value']:.0%} / {one[name]['chance']['value']:.0%}"
                for one in entries.values()
            ),
        )
        for name in names
    ]
    return f"Each reading, all heads (found / chance):\n\n{table(('reading', *entries), rows)}"


def _real(real: Mapping[str, Any]) -> str:
    names = list(real["camera"])

    def row(way: str, rates: Mapping[str, float]) -> tuple[str, ...]:
        return (way, *(_rate(rates[name], real["true"]) for name in names))

    rows = [row("camera", real["camera"])]
    rows += [
        row(f"{'the planes' if way == PLANES else way}, {seed}", rates)
        for way, seeds in real["found"].items()
        for seed, rates in seeds.items()
    ]
    text = REAL.format(clip=real["clip"], true=real["true"], target=real["target"])
    return f"{text}\n\n{table(('received as', *names), rows)}"


def _rate(rate: float, true: float) -> str:
    return f"**{rate:.1f}**" if abs(rate - true) <= HIT_BPM else f"{rate:.1f}"
