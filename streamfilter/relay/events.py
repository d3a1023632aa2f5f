"""The events socket of a room: states out, the patient's wishes in."""

from __future__ import annotations

import asyncio
import json
import time
from typing import Any

from aiohttp import WSCloseCode, WSMsgType, web

from streamfilter.first_of import first_of
from streamfilter.relay.gate import Gate
from streamfilter.relay.lifecycle import RESTARTING, Lifecycle
from streamfilter.relay.messages import Bye, Pause, parse_hello, parse_message
from streamfilter.relay.ports import Edit, Refusal
from streamfilter.relay.room import Room
from streamfilter.relay.rooms import Rooms
from streamfilter.relay.security.tokens import Grant
from streamfilter.relay.session import Goodbye, Listener

MAX_MESSAGE = 2048  # bytes; a token has up to 1024
_HELLO_SECONDS = 5.0  # until the first message
_LOOK, _SPEAK = 0.25, 1.0  # seconds between looks at the media's state, and between messages at the most
_CLOSE_SECONDS = 0.3  # that a client has for its goodbye
_HEARTBEAT = 15.0  # seconds
_BURST, _PER_SECOND = 30.0, 10.0  # messages of one client
_MAX_SOCKETS = 512  # of this process, those without a token yet included


class Events:
    """Serves the events sockets of all rooms."""

    def __init__(
        self, rooms: Rooms, gate: Gate, lifecycle: Lifecycle, hello_seconds: float = _HELLO_SECONDS
    ) -> None:
        self._rooms, self._gate, self._lifecycle = rooms, gate, lifecycle
        self._hello_seconds = hello_seconds
        self._sockets: set[web.WebSocketResponse] = set()

    def routes(self) -> list[web.RouteDef]:
        return [web.get("/rooms/{room:[A-Za-z0-9_-]{1,64}}/events", self.serve)]

    async def finished(self) -> None:
        """Returns when the last socket is closed."""
        while self._sockets:
            await asyncio.sleep(0.02)

    async def close(self) -> None:
        """Closes the sockets that are still there."""
        await asyncio.gather(*(socket.close(code=WSCloseCode.GOING_AWAY) for socket in list(self._sockets)))

    async def serve(self, request: web.Request) -> web.StreamResponse:
        self._gate.admit(request, "events")
        if len(self._sockets) >= _MAX_SOCKETS:
            raise Refusal(503, "Too many pages are open. Try again later.", 10.0)
        socket = web.WebSocketResponse(
            max_msg_size=MAX_MESSAGE, heartbeat=_HEARTBEAT, compress=False, timeout=_CLOSE_SECONDS
        )
        if not socket.can_prepare(request).ok:
            raise Refusal(400, "This address takes WebSockets only.")
        self._sockets.add(socket)
        try:
            await socket.prepare(request)
            await self._talk(socket, request.match_info["room"])
        except Refusal as refusal:
            await _refuse(socket, refusal)
        except ConnectionError:
            pass  # the client left in the middle of a message
        finally:
            self._sockets.discard(socket)
        return socket

    async def _talk(self, socket: web.WebSocketResponse, name: str) -> None:
        grant = await self._greet(socket, name)
        draining = self._lifecycle.draining  # then only the rooms that there are go on
        room = self._rooms.find(grant.room) if draining else self._rooms.room(grant)
        if room is None:
            await _dismiss(socket, RESTARTING)
            return
        with room.listen(grant) as listener:
            await first_of(self._tell(socket, room, listener), self._listen(socket, room, grant))
        await socket.close()

    async def _greet(self, socket: web.WebSocketResponse, name: str) -> Grant:
        """The grant of the first message's token. Raises Refusal."""
        try:
            async with asyncio.timeout(self._hello_seconds):
                message = await socket.receive()
        except TimeoutError:
            raise Refusal(408, "no token came in time") from None
        if message.type is not WSMsgType.TEXT:
            raise Refusal(400, "the first message is no text")
        grant = self._gate.check_token(parse_hello(message.data))
        if grant.room != name:
            raise Refusal(403, "this token is for another room")
        return grant

    async def _tell(self, socket: web.WebSocketResponse, room: Room, listener: Listener) -> None:
        """States at every change and every second, until there is a goodbye."""
        spoken, shown = 0.0, None
        while listener.goodbye is None:
            listener.changed.clear()
            state = room.state(listener.grant.role, self._lifecycle.draining)
            look = _without_figures(state)
            now = time.monotonic()
            if look != shown or now - spoken >= _SPEAK - _LOOK / 2:
                await socket.send_str(_json(state))
                spoken, shown = now, look
            try:
                async with asyncio.timeout(_LOOK):
                    await listener.changed.wait()
            except TimeoutError:
                pass  # the media's state is looked at: it calls nobody when it changes
        await _dismiss(socket, listener.goodbye)

    async def _listen(self, socket: web.WebSocketResponse, room: Room, grant: Grant) -> None:
        level, at = _BURST, time.monotonic()
        async for message in socket:
            now = time.monotonic()
            level, at = min(_BURST, level + (now - at) * _PER_SECOND) - 1.0, now
            if level < 0.0:
                raise Refusal(429, "too many messages")
            if message.type is not WSMsgType.TEXT:
                raise Refusal(400, "the message is no text")
            match parse_message(message.data, grant.role):
                case Edit() as edit:
                    room.set_edit(grant, edit)
                case Pause(paused):
                    room.pause(paused)
                case Bye(session):
                    await _leave(room, grant, session)
                    return


async def _leave(room: Room, grant: Grant, session_id: str | None) -> None:
    session = None if session_id is None else room.find(grant.role, session_id)
    if session is not None and session.grant.id == grant.id:
        await room.end(session)


async def _dismiss(socket: web.WebSocketResponse, goodbye: Goodbye) -> None:
    message = {"type": "closing", "reason": goodbye.reason, "reconnect_in": goodbye.reconnect_in}
    await socket.send_str(_json(message))
    await socket.close(code=WSCloseCode.GOING_AWAY)


async def _refuse(socket: web.WebSocketResponse, refusal: Refusal) -> None:
    code = WSCloseCode.TRY_AGAIN_LATER if refusal.status == 503 else WSCloseCode.POLICY_VIOLATION
    await socket.close(code=code, message=refusal.reason.encode()[:120])


def _without_figures(state: dict[str, Any]) -> dict[str, Any]:
    """What counts as a change: figures move all the time."""
    patient = state["patient"]
    if patient is None:
        return state
    rest = {key: value for key, value in patient.items() if key not in ("fps", "latency_ms")}
    return state | {"patient": rest}


def _json(message: dict[str, Any]) -> str:
    return json.dumps(message, allow_nan=False, separators=(",", ":"))
