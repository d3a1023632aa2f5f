"""The publish stage: safe frames and cards to the output; opens it again when it is lost."""

from __future__ import annotations

import logging
from collections.abc import Callable

from streamfilter.live.backoff import Backoff
from streamfilter.live.board import Board, Hold
from streamfilter.live.capturing import Cadence
from streamfilter.live.guard import Cards, SafeFrame
from streamfilter.live.outbox import Outbox
from streamfilter.live.ports import Clock, VideoOutput
from streamfilter.live.publisher import Scene, Screen, decide
from streamfilter.metrics import Metrics

OUTPUT_LOST = "the virtual camera is lost"
STOPPED = "stopped"
_POLL = 0.25  # seconds between two looks at who watches
_NEVER = float("-inf")

_log = logging.getLogger(__name__)


class PublishStage:
    """Owns the output. For one thread."""

    def __init__(
        self,
        output: VideoOutput,
        open_output: Callable[[], VideoOutput],
        cards: Cards,
        outbox: Outbox,
        board: Board,
        metrics: Metrics,
        clock: Clock,
        cadence: Cadence,
    ) -> None:
        """``output`` is open already; ``open_output`` opens it again."""
        self.screen = Screen()
        self.covered: str | None = None  # why a part of the frame that is shown is covered
        self.shown: SafeFrame | None = None
        self.watchers: int | None = None
        self.name = output.name
        self._output: VideoOutput | None = output
        self._open_output = open_output
        self._cards, self._outbox, self._board = cards, outbox, board
        self._metrics, self._clock, self._cadence = metrics, clock, cadence
        self._backoff = Backoff()
        self._polled = _NEVER

    def once(self) -> float:
        """Show what is due, and return the moment (s) at which something is due next if nothing happens."""
        now = self._clock.now()
        newest = self._outbox.take()
        output = self._output or self._reopened(now)
        if output is None:
            if newest is not None and not newest.card:
                self._metrics.drop(OUTPUT_LOST)
            return self._backoff.due
        try:
            self._look(output, now)
            return self._show(output, newest, now)
        except Exception as error:  # noqa: BLE001  # whatever a driver does, it is opened again
            _log.warning("output: %s: %s", type(error).__name__, error)
            self._lose()
            return self._backoff.due

    def close(self) -> None:
        """End with a card, so that no picture stays behind."""
        output, self._output = self._output, None
        if output is None:
            return
        try:
            output.write(self._cards.make(STOPPED, self._clock.now()).frame)
        except Exception as error:  # noqa: BLE001  # it may have gone; closing it is what counts
            _log.info("output, last card: %s", error)
        finally:
            output.close()

    def _look(self, output: VideoOutput, now: float) -> None:
        if now >= self._polled + _POLL:
            self._polled = now
            self.watchers = output.watchers()

    def _show(self, output: VideoOutput, newest: SafeFrame | None, now: float) -> float:
        standing = self._board.standing()
        scene = Scene(
            now=now,
            newest=newest,
            hold=None if standing is None else standing.reason,
            idle=standing is not None and standing.hold is Hold.WAITING,
            patience=self._cadence.patience,
            camera_silent=self._cadence.silent(now),
        )
        decision = decide(self.screen, scene)
        if decision.dropped is not None:
            self._metrics.drop(decision.dropped)
        if decision.frame is not None:
            self._write(output, decision.frame)
        elif decision.card is not None:
            self._write(output, self._cards.make(decision.card, now))
        self.screen = decision.screen
        if decision.frame is None and decision.card is None:
            return min(decision.until, self._polled + _POLL)
        return now

    def _write(self, output: VideoOutput, safe: SafeFrame) -> None:
        output.write(safe.frame)
        done = self._clock.now()
        self._metrics.frame_out(done, None if safe.card else done - safe.frame.seconds)
        self.shown = safe
        self.covered = None if safe.card else safe.reason
        if safe.reason is not None:
            self._metrics.shield(safe.reason)

    def _lose(self) -> None:
        output, self._output = self._output, None
        self._board.hold(Hold.OUTPUT, OUTPUT_LOST)
        self._backoff = self._backoff.failed(self._clock.now())
        if output is not None:
            try:
                output.close()
            except Exception as error:  # noqa: BLE001  # a device that has gone may refuse even this
                _log.warning("output, closing: %s: %s", type(error).__name__, error)

    def _reopened(self, now: float) -> VideoOutput | None:
        if not self._backoff.ready(now):
            return None
        try:
            self._output = self._open_output()
        except Exception as error:  # noqa: BLE001  # absent or busy: tried again
            _log.info("output: %s", error)
            self._backoff = self._backoff.failed(now)
            return None
        self.name = self._output.name
        self.screen = Screen(reason=OUTPUT_LOST)
        self.watchers = None
        self._metrics.restart()
        self._board.release(Hold.OUTPUT)
        return self._output
