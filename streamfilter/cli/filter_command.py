"""Filtering a file: settings from options, a run, and what is said about it."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping
from fractions import Fraction
from pathlib import Path

from streamfilter.cli.arguments import OF_FILTER, WINDOW
from streamfilter.cli.interrupt import stop_on_interrupt
from streamfilter.cli.progress import ProgressBar
from streamfilter.cli.schedule import parse_schedule
from streamfilter.config import FilterSettings
from streamfilter.errors import Interrupted, UsageError
from streamfilter.file_pipeline import FileSettings, RunReport, filter_file
from streamfilter.frame_filter import DelayedFilter, FrameFilter
from streamfilter.live.setting_keys import BY_WORD, read_text
from streamfilter.live.settings_flags import flags_of
from streamfilter.sinks.codec_settings import CodecSettings

DEFAULT_RATE = "70"


def run_filter(options: argparse.Namespace) -> int:
    """Runs the filter as ``options`` (of ``parse_arguments``) say; the exit code. Raises PhysioCamError."""
    given = flags_of(options)
    quiet = bool(given.get("quiet", False))
    start, schedule = parse_schedule(str(given.get("hr", DEFAULT_RATE)))
    filter_settings = FilterSettings.from_mapping({"target_bpm": start, **_filter_values(given)})
    if "output" not in given:
        raise UsageError("give --output: where the filtered video goes, as in --output out.mp4")
    settings = FileSettings(
        input=options.input,
        output=Path(str(given["output"])),
        schedule=schedule,
        codec=CodecSettings(lossless=options.lossless, crf=options.crf),
        overwrite=options.overwrite,
        folder_fps=_rate(str(given["fps"])) if "fps" in given else None,
    )
    windowed = options.mode == WINDOW
    if options.window_hop is not None and not windowed:
        raise UsageError("--window-hop is of the window mode: add --mode window, or leave it out")
    engines: list[str] = []

    def make_filter() -> FrameFilter | DelayedFilter:
        # Imported here: an engine is loaded for a run only.
        if windowed:
            from streamfilter.window.face_filter import build_window_filter

            window_filter = build_window_filter(filter_settings, options.window_hop)
            engines.append(window_filter.engine.name)
            return window_filter
        from streamfilter.face_filter import build_filter

        video_filter = build_filter(filter_settings)
        engines.append(video_filter.engine.name)
        return video_filter

    bar = ProgressBar(sys.stderr, quiet)
    with stop_on_interrupt() as stop:
        try:
            report = filter_file(settings, make_filter, bar, stop)
        finally:
            bar.clear()
    if not quiet:
        for note in report.notes:
            print(f"physio-cam: note: {note}", file=sys.stderr)
        if report.failure is not None:
            print(f"physio-cam: note: the filter's first error: {report.failure}", file=sys.stderr)
        print(summary(report, engines[0]))
    return Interrupted.exit_code if report.stopped_early else 0


def _filter_values(given: Mapping[str, object]) -> dict[str, object]:
    """The filter's settings among the flags; what is not given is as FilterSettings says."""
    values: dict[str, object] = {}
    for word in OF_FILTER:
        if word in given:
            try:
                values |= read_text(BY_WORD[word], str(given[word]), Path())
            except UsageError as error:
                raise UsageError(f"{BY_WORD[word].flag}: {error}") from error
    return values


def _rate(text: str) -> Fraction:
    try:
        return Fraction(text)
    except (ValueError, ZeroDivisionError):
        raise UsageError(f"--fps: {text!r} is no rate: write 25, 29.97 or 30000/1001") from None


def summary(report: RunReport, engine: str) -> str:
    """The last line of a run: frames, rate, faces, engine, shielded frames by cause, output."""
    faces = "no face seen" if report.faces == 0 else f"faces: {report.faces}"
    shielded = f"shielded: {report.shielded}"
    if report.reasons:
        shielded += f" ({', '.join(f'{reason}: {count}' for reason, count in report.reasons)})"
    done = f"{report.frames} frames at {report.fps:.1f} fps, {faces}, engine: {engine}, {shielded}"
    if not report.stopped_early:
        return f"{done}; written to {report.output}"
    if report.frames == 0:
        return "stopped before the first frame; nothing written"
    return f"stopped early: {done}; what was filtered is in {report.output}"
