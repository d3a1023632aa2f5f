"""``physio-cam`` without a file: from the camera, through the filter, to the virtual camera."""

from __future__ import annotations

import argparse
import logging
import os
import sys
import time
from collections import deque
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from streamfilter.cli.interrupt import stop_on_interrupt
from streamfilter.cli.live_status import LiveStatus
from streamfilter.errors import SinkError, SourceError, UsageError
from streamfilter.live.settings import LiveSettings
from streamfilter.live.settings_file import resolve
from streamfilter.live.settings_flags import flags_of

if TYPE_CHECKING:
    from streamfilter.live.guard import LiveFilter
    from streamfilter.live.ports import Camera, Picture, VideoOutput
    from streamfilter.live.supervisor import Parts, Supervisor
    from streamfilter.web.server import WebServer

_STATUS_PERIOD = 0.5  # seconds
_LEFT_BEHIND = 3.0  # seconds for a thread that did not end in time; the devices are closed by then
_WAIT_PERIOD = 2.0  # seconds between two attempts at the start, with --wait


class LogLines(logging.Handler):
    """Keeps what the threads log, for the main thread to say between two drawings of the status."""

    def __init__(self, level: int) -> None:
        super().__init__(level)
        self._lines: deque[str] = deque(maxlen=100)

    def emit(self, record: logging.LogRecord) -> None:
        self._lines.append(record.getMessage())

    def taken(self) -> list[str]:
        """What was logged since the last call."""
        lines = []
        while self._lines:
            lines.append(self._lines.popleft())
        return lines


def run_live(options: argparse.Namespace) -> int:
    """Runs until Ctrl-C, SIGTERM or the end of ``--duration``; the exit code. Raises PhysioCamError."""
    if options.duration is not None and not options.duration > 0:
        raise UsageError(f"--duration should be above 0 s, it is {options.duration:g}")
    settings = resolve(flags_of(options), os.environ).settings
    from streamfilter.live.supervisor import Supervisor

    status = LiveStatus(sys.stderr, settings.quiet)
    lines = LogLines(logging.INFO if options.debug else logging.WARNING)
    logger = logging.getLogger("streamfilter")
    before = (logger.level, logger.propagate)
    logger.addHandler(lines)
    logger.setLevel(lines.level)
    logger.propagate = False
    supervisor = Supervisor(parts_of(settings), settings.wanted, always_on=settings.always_on)
    page: WebServer | None = None
    try:
        with stop_on_interrupt() as stop:
            if not _started(supervisor, status, stop, wait=options.wait):
                return 0
            _say_what_is_open(supervisor, status)
            if settings.web:
                from streamfilter.web.server import WebServer

                page = WebServer(supervisor, settings.web_port)
                status.say(f"page: {page.start()}")
            supervisor.run(stop, _Teller(supervisor, status, lines), options.duration)
    finally:
        status.clear()
        supervisor.stop()
        if page is not None:
            page.close()
        for line in lines.taken():
            status.say(line)
        logger.removeHandler(lines)
        logger.setLevel(before[0])
        logger.propagate = before[1]
    if not supervisor.wait_for_threads(_LEFT_BEHIND):
        # A driver or engine hangs. The devices are closed; Python's own end would abort under such a thread.
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(0)
    return 0


def parts_of(settings: LiveSettings) -> Parts:
    """How the real devices and the filter are opened, as the settings say."""
    from streamfilter.capture.camera import CameraSettings, open_camera
    from streamfilter.capture.cameras import list_cameras
    from streamfilter.live.supervisor import Parts
    from streamfilter.sinks.virtual_camera import OutputSettings, open_output

    engines: list[str] = []

    def camera(chosen: str | None) -> Camera:
        wanted = settings.camera if chosen is None else chosen
        asked = CameraSettings(wanted, settings.width, settings.height, settings.fps, settings.pixel_format)
        return open_camera(asked)

    def output(picture: Picture) -> VideoOutput:
        return open_output(OutputSettings(settings.output, picture.width, picture.height, picture.fps))

    def make_filter() -> LiveFilter:
        from streamfilter.face_filter import build_filter

        made = build_filter(settings.filter_settings())
        engines[:] = [made.engine.name]
        return made

    def names() -> Sequence[str]:
        return [info.name for info in list_cameras() if info.problem is None]

    return Parts(camera, output, make_filter, names, lambda: "".join(engines))


class _Teller:
    """At each tick: what was logged, then the status, as often as it is drawn."""

    def __init__(self, supervisor: Supervisor, status: LiveStatus, lines: LogLines) -> None:
        self._supervisor, self._status, self._lines = supervisor, status, lines
        self._due = float("-inf")

    def __call__(self) -> None:
        for line in self._lines.taken():
            self._status.say(line)
        now = time.monotonic()
        if now >= self._due:
            self._due = now + _STATUS_PERIOD
            self._status.update(self._supervisor.status(), now)


def _started(supervisor: Supervisor, status: LiveStatus, stop: Callable[[], bool], *, wait: bool) -> bool:
    """Start; with ``wait``, until the devices are there. Whether it runs (else: stopped meanwhile)."""
    said = ""
    while not stop():
        try:
            supervisor.start()
        except (SourceError, SinkError) as error:
            if not wait:
                raise
            if str(error) != said:
                said = str(error)
                status.say(f"waiting: {said}")
            due = time.monotonic() + _WAIT_PERIOD
            while time.monotonic() < due and not stop():
                time.sleep(0.05)
        else:
            return True
    return False


def _say_what_is_open(supervisor: Supervisor, status: LiveStatus) -> None:
    pipeline = supervisor.pipeline
    now = supervisor.status()
    status.say(f"camera: {now.camera}, {pipeline.camera_picture}, {pipeline.capture.pixel_format}")
    status.say(f"virtual camera: {now.output}, {pipeline.picture}")
    status.say(f"engine: {now.engine}, heart rate: {now.target}. Ctrl-C stops.")
