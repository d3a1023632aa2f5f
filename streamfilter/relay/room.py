"""A room: one patient, a few viewers, and what is shown to them. Everything runs in the relay's one loop."""

from __future__ import annotations

import asyncio
import logging
import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from streamfilter.relay.audit import AuditLog
from streamfilter.relay.ports import (
    Broadcast,
    Edit,
    MediaFacts,
    MediaState,
    PatientMedia,
    Refusal,
    Role,
    ViewerMedia,
)
from streamfilter.relay.security.tokens import Grant
from streamfilter.relay.session import Goodbye, Listener, M, Session

MAX_LISTENERS = 24  # events sockets of one room
_NEGOTIATION = 10.0  # seconds; gathering candidates waits for STUN and TURN servers
_RETRY = 10.0  # seconds after which a full room may be asked again
_TAKEN_OVER = "Another device has taken over the patient's side of this room."

_LOG = logging.getLogger(__name__)


class Room:
    """A room's sessions, edit and listeners. The edit outlives a patient's session, so that whoever comes
    back shows what was last chosen; so does a pause, so that nobody is shown again without meaning it."""

    def __init__(
        self,
        name: str,
        broadcast: Broadcast,
        audit: AuditLog,
        artifact: str,
        max_viewers: int,
        leaving: Callable[[], None],
        now: float,
    ) -> None:
        """``artifact``: as the audit names it. ``leaving`` is called before a session is forgotten: its
        figures are still to be had then. ``now``: monotonic seconds."""
        self.name, self.empty_since = name, now
        self.edit, self.paused = Edit(), False
        self.patient: Session[PatientMedia] | None = None
        self.viewers: dict[str, Session[ViewerMedia]] = {}
        self.listeners: set[Listener] = set()
        self.closed = False
        self._broadcast, self._audit, self._artifact = broadcast, audit, artifact
        self._max_viewers, self._leaving = max_viewers, leaving
        self._arriving: Session[PatientMedia] | None = None
        self._publishing = asyncio.Lock()

    @property
    def empty(self) -> bool:
        """Whether nobody is here, nor about to be."""
        return not (self.listeners or self._publishing.locked() or any(True for _ in self.sessions()))

    def sessions(self) -> Iterator[Session[PatientMedia] | Session[ViewerMedia]]:
        """All, those that are still negotiating included."""
        for patient in (self.patient, self._arriving):
            if patient is not None:
                yield patient
        yield from self.viewers.values()

    async def publish(
        self, grant: Grant, address: str, now: float, offer: str, edit: Edit | None
    ) -> tuple[str, str]:
        """A new patient's session: its id and SDP answer. The one that is there is closed, and told.

        ``edit`` None: as last chosen in this room. Raises Refusal (400, 406, 413, 503).
        """
        async with self._publishing:  # one after the other: the last one stays
            self._check_open()
            former = self.patient  # the media may close it for the newcomer, or we do, below
            wanted = edit or self.edit
            session = Session(grant, address, now, self._broadcast.publisher(wanted))
            self._arriving = session
            try:
                session.media.pause(self.paused)
                answer = await self._negotiate(session, offer, edit)
            finally:
                self._arriving = None
            if former is not None:
                self._forget(former)
                self._tell_former(session)
            self.edit, self.patient = edit or self.edit, session
            if self.edit != wanted:  # chosen in the meantime
                session.media.set_edit(self.edit)
            self.tell()
            if former is not None:
                await former.media.close()
            return session.id, answer

    async def view(self, grant: Grant, address: str, now: float, offer: str) -> tuple[str, str]:
        """A new viewer's session: its id and SDP answer. Raises Refusal (400, 406, 413, 503)."""
        self._check_open()
        if len(self.viewers) >= self._max_viewers:
            raise Refusal(503, f"This room is full: it has {self._max_viewers} viewers.", _RETRY)
        session = Session(grant, address, now, self._broadcast.viewer())
        self.viewers[session.id] = session
        try:
            answer = await self._negotiate(session, offer, None)
        except BaseException:
            self.viewers.pop(session.id, None)
            raise
        self.tell()
        return session.id, answer

    def find(self, role: Role, id: str) -> Session[PatientMedia] | Session[ViewerMedia] | None:
        """The session of that id that has been answered, if it is one of ``role``."""
        if role is Role.VIEWER:
            viewer = self.viewers.get(id)
            return viewer if viewer is not None and viewer.answered else None
        return self.patient if self.patient is not None and self.patient.id == id else None

    async def end(self, session: Session[PatientMedia] | Session[ViewerMedia]) -> None:
        """Closes a session. Twice is once."""
        self._forget(session)
        await session.media.close()

    def set_edit(self, grant: Grant, edit: Edit) -> None:
        """Shows another heart rate from now on, and to the next patient's session too.

        Raises Refusal (503) where the audit cannot be written: then nothing changes.
        """
        if edit == self.edit:
            return
        session = "" if self.patient is None else self.patient.id
        self._audit.session("edit", self.name, grant.role, session, edit, self._artifact, grant.id)
        self.edit = edit
        if self.patient is not None:
            self.patient.media.set_edit(edit)
        self.tell()

    def pause(self, paused: bool) -> None:
        self.paused = paused
        for session in (self.patient, self._arriving):
            if session is not None:
                session.media.pause(paused)
        self.tell()

    @contextmanager
    def listen(self, grant: Grant) -> Iterator[Listener]:
        """An ear in the room. Raises Refusal (503) where there are too many."""
        self._check_open()
        if len(self.listeners) >= MAX_LISTENERS:
            raise Refusal(503, "Too many pages are open in this room. Close one of them.", _RETRY)
        listener = Listener(grant)
        self.listeners.add(listener)
        try:
            yield listener
        finally:
            self.listeners.discard(listener)

    def tell(self) -> None:
        """Something is new: every listener looks."""
        for listener in self.listeners:
            listener.changed.set()

    def dismiss(self, goodbye: Goodbye) -> None:
        """Every listener is told goodbye."""
        for listener in self.listeners:
            listener.dismiss(goodbye)

    def state(self, role: Role, draining: bool) -> dict[str, Any]:
        """What a page of ``role`` is told. Only the patient's side learns which session is the room's: a page
        that reads another id than its own knows that it has been taken over."""
        patient: dict[str, Any] | None = None
        if self.patient is not None:
            patient = _facts(self.patient.media.facts()) | {"paused": self.paused}
            if role is Role.PATIENT:
                patient["session"] = self.patient.id
        return {
            "type": "state",
            "you": role.value,
            "patient": patient,
            "edit": {"bpm": self.edit.bpm},
            "edited": True,
            "viewers": sum(viewer.answered for viewer in self.viewers.values()),
            "artifact": self._artifact.partition("@")[0],
            "draining": draining,
        }

    async def close(self, goodbye: Goodbye) -> None:
        """Everybody is told and sent home. Twice is once."""
        self.closed = True
        self.dismiss(goodbye)
        ending = [self.end(session) for session in list(self.sessions())]
        for error in await asyncio.gather(*ending, return_exceptions=True):
            if error is not None:
                _LOG.error("a session did not end as it should: %s", type(error).__name__)
        await self._broadcast.close()

    def record_refusal(self, grant: Grant, edit: Edit | None) -> None:
        """For the audit: who asked for a session in vain."""
        try:
            self._audit.session(
                "refused", self.name, grant.role, "", edit or self.edit, self._artifact, grant.id
            )
        except Refusal as refusal:
            _LOG.error("a refused session is not in the audit log: %s", refusal.reason)

    def _check_open(self) -> None:
        if self.closed:
            raise Refusal(503, "This room is being closed. Try again.", 1.0)

    async def _negotiate(self, session: Session[M], offer: str, edit: Edit | None) -> str:
        """Closes the session's media where it fails, and where whoever asked has gone away."""
        session.media.on_end(lambda: self._forget(session))
        try:
            async with asyncio.timeout(_NEGOTIATION):
                answer = await session.media.negotiate(offer)
            if session.ended or self.closed:
                raise Refusal(503, "The connection ended before it began. Try again.", 1.0)
            self._record("joined", session, edit or self.edit)  # what leaves no trace is not begun
        except TimeoutError:
            await session.media.close()
            raise Refusal(503, "The connection could not be set up in time. Try again.", _RETRY) from None
        except BaseException:
            await session.media.close()
            raise
        session.answered = True
        return answer

    def _tell_former(self, session: Session[PatientMedia]) -> None:
        # A page of the same link cannot be told from the newcomer's own: it reads the session in the state.
        for listener in self.listeners:
            if listener.grant.role is Role.PATIENT and listener.grant.id != session.grant.id:
                listener.dismiss(Goodbye(_TAKEN_OVER, None))

    def _forget(self, session: Session[PatientMedia] | Session[ViewerMedia]) -> None:
        if session.ended:
            return
        self._leaving()
        session.ended = True
        if self.patient is session:
            self.patient = None
        self.viewers.pop(session.id, None)
        self.tell()
        if not session.answered:
            return
        try:
            self._record("left", session, self.edit)
        except Refusal as refusal:
            _LOG.error("the end of a session is not in the audit log: %s", refusal.reason)

    def _record(self, event: str, session: Session[PatientMedia] | Session[ViewerMedia], edit: Edit) -> None:
        grant = session.grant
        self._audit.session(event, self.name, grant.role, session.id, edit, self._artifact, grant.id)


def _facts(facts: MediaFacts) -> dict[str, Any]:
    return {
        "state": MediaState(facts.state).value,
        "reason": facts.reason,
        "fps": _number(facts.fps_out),
        "latency_ms": _number(facts.latency_p50),
        "size": None if facts.size is None else list(facts.size),
    }


def _number(value: float | None) -> float | None:
    return None if value is None or not math.isfinite(value) else round(float(value), 1)
