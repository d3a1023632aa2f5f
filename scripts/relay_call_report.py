"""Calls through the relay as figures, as rows of a table, and as a page of docs/evaluation."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from scripts.call_reading import AT_TARGET, AT_TRUE, Reading, read_pulse, whole_pass
from scripts.webcam_clip import Clip, frame_number
from streamfilter.relay.media.filter_slot import SETTLE_SECONDS
from streamfilter.rppg.estimators import ESTIMATORS

BAR_BY = ("POS", "CHROM", "GREEN", "ICA", "LGI", "PBV", "OMIT")  # the seven of the bar; PCA attacks, too
LEAST_FPS = 9.0  # below, beats of 180 bpm and their first harmonic are not sampled often enough
_HEAD = ("codec", "kbit/s", "sent", "received", "size", "fps", "missing", "cards", *BAR_BY, "true rate found")

_LIMITS = {"bandwidth": "(line)", "cpu": "(processor)"}
_DETAILS = (
    *("codec", "kbit/s", "true rate", *ESTIMATORS),
    *(
        "first picture, s",
        "longest gap, s",
        "relay's filter, ms",
        "relay dropped",
        "sender's encoder, kbit/s",
    ),
)


@dataclass(frozen=True, slots=True)
class Pictures:
    """What the doctor's browser showed: cards before the first picture and after it; pictures; how many of
    them came before the filter can have settled; and the first picture's delay, seconds from the opening of
    the patient's session (None: there was none)."""

    cards_before: int
    cards_after: int
    shown: int
    unsettled: int
    first: float | None


@dataclass(frozen=True, slots=True)
class Call:
    """One call. Rates in bpm, of the receiver's time: ``true_seen`` is the true rate at the ``speed`` at
    which Chromium played the clip. ``sent_kbps``, ``received_kbps``: of each leg once it was warm;
    ``encoder_kbps``: what the patient's encoder was told last. ``missing``: of ``wanted`` frames of the pass
    that was read; ``longest_gap`` (s) in it. ``dropped``: by the relay, by cause."""

    codec: str
    kbps: int
    target: float
    true_seen: float | None
    readings: tuple[Reading, ...]
    width: int
    height: int
    fps: float
    wanted: int
    missing: int
    longest_gap: float
    speed: float
    sent_kbps: float
    received_kbps: float
    encoder_kbps: float | None
    limited_by: str | None
    lost_packets: int
    pictures: Pictures
    dropped: Mapping[str, int]
    latency_p50: float

    @property
    def worst(self) -> float:
        """The largest error to the target, of the bar's estimators; NaN as infinity."""
        errors = [abs(one.shown - self.target) for one in self.readings if one.estimator in BAR_BY]
        return max(error if error == error else float("inf") for error in errors)

    @property
    def found(self) -> tuple[str, ...]:
        """Estimators that find the true rate, as it is or after the notch; none where it is not known."""
        if self.true_seen is None:
            return ()
        return tuple(one.estimator for one in self.readings if one.finds(self.true_seen))


@dataclass(frozen=True, slots=True)
class FailedCall:
    """A call in which nothing could be read, and why."""

    codec: str
    kbps: int
    reason: str


def call_of(
    recorded: Mapping[str, Any],
    clip: Clip,
    *,
    codec: str,
    kbps: int,
    target: float,
    truth: float | None,
    warm_up: float,
    settle: float,
) -> Call:
    """From what relay_call.record returns. Raises SourceError where no whole pass arrived."""
    frames = recorded["frames"]
    numbered = [frame for frame in frames if frame_number(frame["mark"]) is not None]
    read = whole_pass(numbered, clip.frames, clip.fps, warm_up, settle, LEAST_FPS / clip.fps)
    speed = read.speed(clip.fps)
    readings = read_pulse(read.by_time(clip.fps), clip.fps, target, tuple(ESTIMATORS))
    (width, height), _ = Counter((f["width"], f["height"]) for f in numbered).most_common(1)[0]
    counts, told = recorded["counts"], recorded["sent"]["target"]
    return Call(
        codec=codec,
        kbps=kbps,
        target=target,
        true_seen=None if truth is None else truth * speed,
        readings=tuple(readings),
        width=width,
        height=height,
        fps=read.fps,
        wanted=read.wanted,
        missing=read.wanted - len(read.numbers),
        longest_gap=read.longest_gap,
        speed=speed,
        sent_kbps=_kbps(recorded["sent_first"], recorded["sent"]),
        received_kbps=_kbps(recorded["received_first"], recorded["received"]),
        encoder_kbps=None if told is None else told / 1000.0,
        limited_by=recorded["sent"]["limit"],
        lost_packets=int(recorded["received"]["lost"] or 0),
        pictures=pictures_of(frames, recorded["opened"]),
        dropped=counts.dropped,
        latency_p50=counts.latency_p50,
    )


def pictures_of(frames: Sequence[Mapping[str, Any]], opened: float) -> Pictures:
    """A frame without a strip is a card. ``opened``: s since 1970; moments: when the page read them."""
    is_picture = [frame_number(frame["mark"]) is not None for frame in frames]
    moments = [frame["at"] - opened for frame, picture in zip(frames, is_picture, strict=True) if picture]
    before = is_picture.index(True) if moments else len(frames)
    return Pictures(
        cards_before=before,
        cards_after=len(frames) - before - len(moments),
        shown=len(moments),
        unsettled=sum(moment < SETTLE_SECONDS for moment in moments),
        first=moments[0] if moments else None,
    )


def _kbps(first: Mapping[str, Any], last: Mapping[str, Any]) -> float:
    return float(8e-3 * (last["bytes"] - first["bytes"]) / (last["time"] - first["time"]))


def table_head() -> str:
    """Two lines of Markdown."""
    return f"| {' | '.join(_HEAD)} |\n|{'---|' * len(_HEAD)}"


def row(call: Call | FailedCall) -> str:
    """One line of Markdown."""
    if isinstance(call, FailedCall):
        cells = [call.codec, str(call.kbps), *[""] * (len(_HEAD) - 3), f"not read: {call.reason}"]
        return f"| {' | '.join(cells)} |"
    by_name = {one.estimator: one for one in call.readings}
    errors = [_error(by_name[name].shown - call.target) for name in BAR_BY]
    found = "not known" if call.true_seen is None else ", ".join(map(_marked, call.found)) or "no"
    cells = [
        call.codec,
        str(call.kbps),
        f"{call.sent_kbps:.0f}",
        f"{call.received_kbps:.0f}",
        f"{call.width}×{call.height}",
        f"{call.fps:.1f}",
        f"{call.missing} of {call.wanted}",
        f"{call.pictures.cards_before} + {call.pictures.cards_after}",
        *errors,
        found,
    ]
    return f"| {' | '.join(cells)} |"


def _error(error: float) -> str:
    text = f"{error:+.1f}"
    return text if abs(error) <= AT_TARGET else _marked(text)


def _marked(text: str) -> str:
    return f"**{text}**"


def write_page(path: Path, calls: Sequence[Call | FailedCall], clip: str, command: str) -> None:
    """The whole page."""
    read = [call for call in calls if isinstance(call, Call)]
    path.write_text(_page(calls, read, clip, command), encoding="utf-8")


def _page(calls: Sequence[Call | FailedCall], read: Sequence[Call], clip: str, command: str) -> str:
    rows = "\n".join(map(row, calls))
    passed = [c for c in read if c.worst <= AT_TARGET and not c.found]
    unsettled = sum(call.pictures.unsettled for call in read)
    details = "\n".join(map(_details, read))
    truth = next((f"{c.true_seen / c.speed:.1f} bpm" for c in read if c.true_seen is not None), "not known")
    target = f"{read[0].target:g} bpm" if read else "none was read"
    return f"""# Calls through the relay

This page is written by `{command}`; do not edit it.

A Chromium publishes {clip} as its webcam by WHIP, a real `physio-relay` in a process of its own puts the
wanted heart rate in, a second Chromium plays it by WHEP. Both legs are encoded. Heart rates are read from the
decoded planes at the second one, over one whole pass through the clip after a warm-up.

- true heart rate of the clip: {truth}; asked for: {target}
- all seven estimators at the target (± {AT_TARGET:g} bpm), true rate not found: {len(passed)} of {len(calls)}
- pictures that came before the filter can have settled ({SETTLE_SECONDS:g} s): {unsettled}

{table_head()}
{rows}

*kbit/s* is what is asked of both legs: the patient's Chromium gets it as `maxBitrate`, the relay as
`video_kbps`. aiortc's own encoders stay within 0.25 to 1.5 Mbit/s (VP8) and 0.5 to 3 Mbit/s (H.264); the
relay's, which stands in their place, goes from 150 kbit/s to `video_kbps`. The receivers' estimates of the
line (REMB) lower both legs further, so *sent* and *received* are what was measured on each, in kbit/s; an
encoder sends less where the picture needs no more. *size*: of what arrives. *missing*: frames of the pass
that did not arrive, wherever they were left. *cards*: before the first picture, and after it. A lossy codec
leaves no mark in the picture by which an edited frame could be told from a raw one: instead of raw frames,
cards and early pictures are counted.

*{", ".join(BAR_BY)}*: what the estimator reads less the target, bpm; bold beyond ± {AT_TARGET:g}. *True rate
found*: estimators, PCA among them, that read within {AT_TRUE:g} bpm of the true rate, as it is or after the
target and its harmonics were notched out. What is left after the notch is noise with a peak somewhere in 40
to 200 bpm: each reading falls that near by chance once in twenty, and the estimators read the same noise.

## After the notch

| {" | ".join(_DETAILS)} |
|{"---|" * len(_DETAILS)}
{details}

*sender's encoder*: what the patient's Chromium asked of its encoder at the end, and what holds it back.
The true rate is the clip's, times the speed at which Chromium played it.
"""


def _details(call: Call) -> str:
    found = set(call.found)
    rates = [
        _marked(f"{one.after_notch:.1f}") if one.estimator in found else f"{one.after_notch:.1f}"
        for one in call.readings
    ]
    dropped = (
        ", ".join(f"{count} {cause}" for cause, count in sorted(call.dropped.items()) if count) or "none"
    )
    true = "" if call.true_seen is None else f"{call.true_seen:.1f}"
    first = "" if call.pictures.first is None else f"{call.pictures.first:.1f}"
    cells = [call.codec, str(call.kbps), true, *rates, first, f"{call.longest_gap:.2f}"]
    told = "" if call.encoder_kbps is None else f"{call.encoder_kbps:.0f}"
    cells += [f"{call.latency_p50:.0f}", dropped, f"{told} {_LIMITS.get(call.limited_by or '', '')}".strip()]
    return f"| {' | '.join(cells)} |"
