"""One room: at most one publisher on its stage, and its viewers, who stay while publishers come and go."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from streamfilter.relay.media.lane import Lane
from streamfilter.relay.media.patient import AiortcPatient
from streamfilter.relay.media.peer import CLOSE_SECONDS
from streamfilter.relay.media.settings import MediaSettings
from streamfilter.relay.media.sound import SoundLine
from streamfilter.relay.media.stage import Stage
from streamfilter.relay.media.viewer import AiortcViewer
from streamfilter.relay.ports import Edit, Refusal

NOBODY, LEFT = "waiting for the patient", "the patient has left"


class AiortcBroadcast:
    """:class:`streamfilter.relay.ports.Broadcast`."""

    def __init__(
        self,
        settings: MediaSettings,
        make_lane: Callable[[Edit, Stage], Lane],
        admit_publisher: Callable[[AiortcBroadcast, AiortcPatient | None], None],
        admit_viewer: Callable[[AiortcBroadcast], None],
        closed: Callable[[AiortcBroadcast], None],
    ) -> None:
        """``admit_publisher``: also given the one that it would replace; both raise Refusal (503)."""
        self.settings = settings
        self.patients: set[AiortcPatient] = set()
        self.viewers: set[AiortcViewer] = set()
        self._make_lane = make_lane
        self._admit_publisher, self._admit_viewer, self._closed = admit_publisher, admit_viewer, closed
        self._stage = Stage(NOBODY)
        self._sound = SoundLine()
        self._patient: AiortcPatient | None = None
        self._ended = False

    def publisher(self, edit: Edit) -> AiortcPatient:
        """The room's next publisher. Raises Refusal (503; 400 for an edit out of its range)."""
        self._check_open()
        self._admit_publisher(self, self._patient)
        lane = self._make_lane(edit, self._stage)
        patient = AiortcPatient(self.settings, lane, self._sound, self._take, self._left)
        self.patients.add(patient)
        return patient

    def viewer(self) -> AiortcViewer:
        """One more viewer. Raises Refusal (503)."""
        self._check_open()
        self._admit_viewer(self)
        viewer = AiortcViewer(self.settings, self._stage, self._sound, self._video_lead, self.viewers.discard)
        self.viewers.add(viewer)
        return viewer

    async def close(self) -> None:
        """Ends all of its connections. Twice is once."""
        self._ended = True
        ending = [peer.end() for peer in (*self.patients, *self.viewers)]
        if ending:
            await asyncio.wait(ending, timeout=CLOSE_SECONDS)
        self._closed(self)

    @property
    def expects_viewer(self) -> bool:
        """Whether a publisher has no viewer yet: a room without one is of no use, so room is kept for it."""
        return bool(self.patients) and not self.viewers

    def tick(self, now: float) -> None:
        """Looks at the time."""
        for peer in (*self.patients, *self.viewers):
            peer.tick(now)

    def _check_open(self) -> None:
        if self._ended:
            raise Refusal(503, "this room is closed")

    def _take(self, patient: AiortcPatient) -> None:
        """``patient`` takes the stage; whoever was on it is shown out."""
        before, self._patient = self._patient, patient
        if before is not None:
            before.end()
        self._sound.stop()
        patient.lane.begin()

    def _left(self, patient: AiortcPatient) -> None:
        self.patients.discard(patient)
        if self._patient is patient:
            self._patient = None
            self._sound.stop()
            self._stage.card(LEFT)

    def _video_lead(self) -> float:
        return 0.0 if self._patient is None else self._patient.video_lead
