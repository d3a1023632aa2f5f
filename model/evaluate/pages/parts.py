"""The reports: what writes each, what it needs, where its page is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from model.estimators.client import worker_python
from streamfilter.errors import UsageError

PAPER_SET = Path("runs") / "paper-set"


@dataclass(frozen=True)
class Part:
    """One report. ``commands``: words after the Python, in turn; none: it is written elsewhere, by ``by``.

    ``page`` is relative to docs/evaluation; ``needs``: "clips", "faces" (folders of shared data),
    "estimators".
    """

    name: str
    page: str
    about: str
    commands: tuple[tuple[str, ...], ...] = ()
    by: str = ""
    needs: tuple[str, ...] = ()
    pictures: tuple[str, ...] = ()


PARTS = (
    Part(
        "evaluation",
        "README.md",
        "the filter, band-stop and an oracle: error, leakage, notch attack, fidelity, codecs, by condition",
        (("-m", "model.evaluate"),),
        pictures=("leak_map.png", "motion.png", "spectra.png", "traces.png"),
    ),
    Part(
        "failures",
        "failures/README.md",
        "the worst clips of the evaluation, with waves, spectra and what the filter had to cope with",
        (("-m", "model.evaluate.failures"),),
    ),
    Part(
        "rivals",
        "rivals.md",
        "PulseEdit, Privacy-Phys and band-stop beside the filter in one run; learned estimators as readers",
        (("-m", "model.evaluate.learned"),),
        needs=("estimators",),
    ),
    Part(
        "paper",
        "paper/README.md",
        "the paper's table, on a small set of generated and real clips; of any dataset: docs/datasets.md",
        (
            ("-m", "model.evaluate.paper.footage", str(PAPER_SET), "--generated", "2", "--seconds", "13"),
            (
                *("-m", "model.evaluate.paper", "--dataset", "plain", "--folder", str(PAPER_SET)),
                *("--out", "docs/evaluation/paper", "--seconds", "10"),
            ),
        ),
    ),
    Part(
        "attackers",
        "attackers/README.md",
        "attackers that know the filter: what each gains over chance",
        (("-m", "model.attackers"),),
    ),
    Part(
        "natural",
        "attackers/natural.md",
        "a shown pulse that varies as real ones do: what it changes for the detector, and what it costs",
        (("-m", "model.attackers.natural"),),
    ),
    Part(
        "beyond",
        "beyond-the-face.md",
        "neck, chest and hands: what skin beyond the face gives away",
        (("-m", "model.evaluate.beyond"),),
    ),
    Part(
        "webrtc",
        "webrtc.md",
        "what a receiver reads after a real WebRTC call",
        by="`python scripts/webrtc_call.py`, as the page says",
    ),
)


def missing(part: Part, folders: Mapping[str, Path]) -> str | None:
    """What the part needs and is not there, in words; None: it can run. ``folders``: shared data by need."""
    for need in part.needs:
        if need == "estimators":
            try:
                worker_python()
            except UsageError:
                return "the learned estimators' environment (make estimators)"
        elif not folders[need].is_dir():
            return f"{folders[need]}"
    return None
