"""One clip through every editor and, for some clips, through the codecs: one pass over its frames."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from model.evaluate.clip import EvalClip
from model.evaluate.codecs import CODECS, PLAIN, Channel, open_channel
from model.evaluate.editors import Editor, make_editor
from model.evaluate.memory import fingerprint, keep, recall
from model.evaluate.metrics import Fidelity, attack, hits, leak_map, leaks, readings, rgb_of
from model.evaluate.reading import block_sums, even, face_trace
from model.evaluate.store import TRUTH
from streamfilter.frame import Frame

Array32 = npt.NDArray[np.float32]


@dataclass
class _Track:
    """An editor at work on a clip, with all that watches it."""

    editor: Editor
    channels: dict[str, Channel]
    fidelity: Fidelity = field(default_factory=Fidelity)
    blocks: list[Array32] = field(default_factory=list)
    received: dict[str, list[Array32]] = field(default_factory=dict)
    shielded: int = 0


def evaluate_clip(
    clip: EvalClip,
    editors: Sequence[str],
    artifact: Path | None,
    direction: Sequence[float],
    traces: Path,
    engine: str = "auto",
) -> dict[str, Any]:
    """The figures of ``clip`` for each editor; its traces go to the folder ``traces`` for the plots.

    Figures that are known already and cannot have changed are taken from there.
    """
    traces.mkdir(parents=True, exist_ok=True)
    names = [name for name in editors if name != "oracle" or clip.pulse is not None]
    truth = clip.path.parent / TRUTH
    marks = {
        name: fingerprint(name, truth, artifact, engine, direction, _through_codecs(name, clip))
        for name in names
    }
    known = {name: recall(traces, f"{clip.name}--{name}", marks[name]) for name in names}
    fresh = _run(clip, [name for name in names if known[name] is None], artifact, direction, traces, engine)
    for name, figures in fresh.items():
        keep(traces, f"{clip.name}--{name}", marks[name], figures)
    first, last = clip.read
    result: dict[str, Any] = {
        "name": clip.name,
        "labels": asdict(clip.labels),
        "target": clip.target,
        "true": None if clip.true_bpm is None else round(clip.true_bpm, 2),
        "seconds": round(float(clip.times[last - 1] - clip.times[first]), 2),
        "editors": {name: fresh.get(name) or known[name] for name in names},
    }
    if clip.pulse is not None:
        result["pulse_free"] = _pulse_free(clip)
    return result


def _through_codecs(editor: str, clip: EvalClip) -> bool:
    """The untouched clip and the oracle take the codecs' time only where the clip's own pulse is known."""
    return clip.codecs and (editor in ("band-stop", "artifact") or clip.pulse is None)


def _run(
    clip: EvalClip,
    names: Sequence[str],
    artifact: Path | None,
    direction: Sequence[float],
    traces: Path,
    engine: str,
) -> dict[str, dict[str, Any]]:
    """The figures of these editors, from one pass over the frames."""
    if not names:
        return {}
    with ExitStack() as held:
        tracks = {}
        for name in names:
            tracks[name] = _Track(make_editor(name, clip, artifact, direction, engine), {})
            held.callback(tracks[name].editor.close)
        _watch(clip, tracks)
    return {name: _figures(name, track, clip, traces) for name, track in tracks.items()}


def _watch(clip: EvalClip, tracks: dict[str, _Track]) -> None:
    """Sends the clip's frames through every editor and notes what comes out."""
    for name, track in tracks.items():
        if _through_codecs(name, clip):
            track.channels = {codec: open_channel(codec, *clip.size, clip.fps) for codec in CODECS}
            track.received = {codec: [] for codec in CODECS}
    first = clip.read[0]
    for index, frame in enumerate(clip.frames()):
        measured = index >= first
        before = rgb_of(frame) if measured else None
        for name, track in tracks.items():
            edited, shielded = track.editor.edit(index, frame)
            for codec, channel in track.channels.items():
                _receive(track, codec, channel.send(edited), clip)
            if not measured:
                continue
            track.shielded += shielded
            track.blocks.append(block_sums(edited, clip, index))
            if before is not None and name != "none":
                track.fidelity.add(before, rgb_of(edited), clip.box(index))
                track.fidelity.add_planes(frame, edited, clip.box(index))
    for track in tracks.values():
        for codec, channel in track.channels.items():
            _receive(track, codec, channel.finish(), clip)


def _receive(track: _Track, codec: str, frames: list[Frame], clip: EvalClip) -> None:
    """Keeps the blocks of decoded frames; their indices follow from how many came before."""
    received = track.received[codec]
    for frame in frames:
        received.append(block_sums(frame, clip, len(received)))


def _figures(name: str, track: _Track, clip: EvalClip, folder: Path) -> dict[str, Any]:
    span = slice(*clip.read)
    blocks = np.stack(track.blocks)
    trace = face_trace(blocks)
    out = readings(trace, clip, span)
    out["coherence"] = leaks(blocks, clip, span)
    if name != "none":
        out |= track.fidelity.figures()
        out["shielded"] = track.shielded
    if track.channels:
        out["codecs"] = {PLAIN: readings(trace, clip, span, full=False)}
        for codec, received in track.received.items():
            after = face_trace(np.stack(received)[span])
            out["codecs"][codec] = readings(after, clip, span, full=False)
    np.savez_compressed(
        folder / f"{clip.name}--{name}.npz",
        rgb=even(trace, clip.times[span], clip.fps),
        fps=clip.fps,
        leak=leak_map(blocks, clip, span),
    )
    return out


def _pulse_free(clip: EvalClip) -> dict[str, Any]:
    """What the same attack finds where there is nothing to find: chance."""
    if clip.pulse is None or clip.true_bpm is None:
        return {}
    span = slice(*clip.read)
    blocks = clip.pulse.free[span]
    trace = even(face_trace(blocks), clip.times[span], clip.fps)
    found = attack(trace, clip.fps, clip.target)
    return {"notch": found, "hits": hits(found, clip.true_bpm), "coherence": leaks(blocks, clip, span)}
