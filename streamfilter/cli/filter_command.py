"""Filtering a file: settings from options, a run, and what is said about it."""

from __future__ import annotations

import argparse
import sys

from streamfilter.cli.interrupt import stop_on_interrupt
from streamfilter.cli.progress import ProgressBar
from streamfilter.cli.schedule import parse_schedule
from streamfilter.config import FilterSettings
from streamfilter.errors import Interrupted
from streamfilter.file_pipeline import FileSettings, RunReport, filter_file
from streamfilter.frame_filter import FrameFilter
from streamfilter.sinks.codec_settings import CodecSettings


def run_filter(options: argparse.Namespace) -> int:
    """Runs the filter as ``options`` say and returns the exit code. Raises PhysioCamError."""
    start, schedule = parse_schedule(options.hr)
    filter_settings = FilterSettings(
        target_bpm=start,
        hr_variability=options.hr_variability,
        engine=options.engine,
        artifact=options.artifact,
        seed=options.seed,
    )
    settings = FileSettings(
        input=options.input,
        output=options.output,
        schedule=schedule,
        codec=CodecSettings(lossless=options.lossless, crf=options.crf),
        overwrite=options.overwrite,
        folder_fps=options.fps,
    )
    engines: list[str] = []

    def make_filter() -> FrameFilter:
        from streamfilter.face_filter import build_filter  # here: the engine is loaded for a run only

        video_filter = build_filter(filter_settings)
        engines.append(video_filter.engine.name)
        return video_filter

    bar = ProgressBar(sys.stderr, options.quiet)
    with stop_on_interrupt() as stop:
        try:
            report = filter_file(settings, make_filter, bar, stop)
        finally:
            bar.clear()
    if not options.quiet:
        for note in report.notes:
            print(f"physio-cam: note: {note}", file=sys.stderr)
        if report.failure is not None:
            print(f"physio-cam: note: the filter's first error: {report.failure}", file=sys.stderr)
        print(summary(report, engines[0]))
    return Interrupted.exit_code if report.stopped_early else 0


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
