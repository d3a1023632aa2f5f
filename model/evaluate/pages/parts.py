"""The reports: what writes each, what it needs, where its page is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from model.estimators.client import worker_python
from streamfilter.errors import UsageError

DOCS = Path("docs") / "evaluation"
PAPER_SET = Path("runs") / "paper-set"
QUICK = Path("runs") / "report-quick"
REAL = (
    "evm_face,hschn58_75_light-planted,lp_d10-planted"  # the one real pulse, and two faces with one planted
)
REFERENCE = Path("runs") / "compact-reference-strength" / "last.pt"  # docs/reference.md


@dataclass(frozen=True)
class Part:
    """One report. ``commands``: words after the Python, in turn; none: it is written elsewhere, by ``by``.

    ``page`` is relative to docs/evaluation; ``needs``: "clips", "faces" (folders of shared data),
    "estimators". ``quick``: words that make each command short, to see whether it runs at all; ``reference``:
    the last command takes a checkpoint of the reference setting.
    """

    name: str
    page: str
    about: str
    commands: tuple[tuple[str, ...], ...] = ()
    by: str = ""
    needs: tuple[str, ...] = ()
    pictures: tuple[str, ...] = ()
    quick: tuple[tuple[str, ...], ...] = ()
    reference: bool = False


PARTS = (
    Part(
        "evaluation",
        "README.md",
        "the filter, band-stop and an oracle: error, leakage, notch attack, fidelity, codecs, by condition",
        (("-m", "model.evaluate"),),
        pictures=("leak_map.png", "motion.png", "spectra.png", "traces.png"),
        quick=(("--quick", "--seconds", "10"),),
    ),
    Part(
        "failures",
        "failures/README.md",
        "the worst clips of the evaluation, with waves, spectra and what the filter had to cope with",
        (("-m", "model.evaluate.failures"),),
        quick=(("--count", "1", "--seconds", "10", "--results", str(QUICK / "results.json")),),
    ),
    Part(
        "rivals",
        "rivals.md",
        "PulseEdit, Privacy-Phys and band-stop beside the filter in one run; learned estimators as readers",
        (("-m", "model.evaluate.learned", "--real", REAL, "--synthetic", "12", "--seconds", "15"),),
        needs=("estimators",),
        quick=(("--synthetic", "1", "--seconds", "8", "--real", "evm_face"),),
        reference=True,
    ),
    Part(
        "fidelity",
        "fidelity.md",
        "where the picture's decibels go: the edit's parts one by one, and what no causal filter can save",
        (("-m", "model.evaluate.fidelity"),),
        quick=(("--synthetic", "1", "--seconds", "6", "--clips", "none"),),
    ),
    Part(
        "paper",
        "paper/README.md",
        "the paper's table, on a small set of generated and real clips; of any dataset: docs/datasets.md",
        (
            ("-m", "model.evaluate.paper.footage", str(PAPER_SET), "--generated", "2", "--seconds", "13"),
            (
                *("-m", "model.evaluate.paper", "--dataset", "plain", "--folder", str(PAPER_SET)),
                *("--title", "generated held-out clips and real ones: not PURE, UBFC-rPPG or MMPD"),
                *("--out", str(DOCS / "paper"), "--seconds", "10"),
            ),
        ),
        quick=(
            ("--generated", "1", "--seconds", "8"),
            ("--limit", "1", "--seconds", "6", "--targets", "80", "--no-learned"),
        ),
        reference=True,
    ),
    Part(
        "beyond",
        "beyond-the-face.md",
        "neck, chest and hands: what skin beyond the face gives away",
        (("-m", "model.evaluate.beyond"),),
        quick=(("--only", "rest"),),
    ),
    Part(
        "attackers",
        "attackers/README.md",
        "attackers that know the filter: what each gains over chance",
        (("-m", "model.attackers"),),
        quick=(("--quick",),),
    ),
    Part(
        "natural",
        "attackers/natural.md",
        "a shown pulse that varies as real ones do, and a call's codec: what they change for the detector, "
        "and what they cost",
        (("-m", "model.attackers.natural"),),
        quick=(("--scenes", "8", "--seconds", "6", "--codecs", "none"),),
    ),
    Part(
        "dither",
        "attackers/dither.md",
        "is the edit told by how it is written? Thresholds of a public pattern, secret ones, still ones",
        (("-m", "model.attackers.dither"),),
        quick=(("--scenes", "1", "--seconds", "5", "--jobs", "1"),),
    ),
    Part(
        "blocks",
        "attackers/standing-blocks.md",
        "a camera or file that was compressed before: its steps beneath the smooth edit, and the true pulse",
        (("-m", "model.attackers.standing_blocks", "--scenes", "8"),),
        quick=(("--scenes", "1", "--seconds", "5", "--jobs", "1", "--received", "none"),),
    ),
    Part(
        "webrtc",
        "webrtc.md",
        "what a receiver reads after a real WebRTC call",
        by="`python scripts/webrtc_call.py`, as the page says",
    ),
)


def commands_of(part: Part, root: Path, quick: bool) -> list[tuple[str, ...]]:
    """The part's commands as they are run in ``root``: with the reference where its checkpoint is there, and
    short ones that write below ``QUICK`` if asked for."""
    commands = [tuple(words) for words in part.commands]
    if part.reference and (root / REFERENCE).is_file():
        commands[-1] += ("--reference", str(REFERENCE))
    if quick:
        commands = [words + more for words, more in zip(commands, part.quick, strict=True)]
        folder = (QUICK / part.page).parent if "/" in part.page else QUICK
        commands[-1] += ("--out", str(folder))
    return commands


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
