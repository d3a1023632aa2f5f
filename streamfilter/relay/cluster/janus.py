"""A client of Janus' API over a WebSocket: a session, its handles, requests matched to answers.

What it speaks is in Janus' documentation, "Janus API" and "Authenticating" (HMAC-signed tokens). A connection
that is lost ends the session and everything in it, on both sides; connecting anew is the caller's.
"""

from __future__ import annotations

import asyncio
import hmac
import logging
import secrets
from base64 import b64encode
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import aiohttp

from streamfilter.errors import PhysioCamError

Json = Mapping[str, Any]

KEEP_ALIVE = 20.0  # seconds; Janus lets go of a session after 60 s of silence
ANSWER_WITHIN = 5.0  # seconds
_SUBPROTOCOL = "janus-protocol"
_MAX_MESSAGE = 1 << 20  # bytes
_LOG = logging.getLogger(__name__)


class JanusError(PhysioCamError):
    """Janus refused a request, or cannot be reached. ``code``: its number; None where no answer came."""

    exit_code = 7

    def __init__(self, reason: str, code: int | None = None) -> None:
        super().__init__(reason)
        self.code = code


@dataclass(frozen=True, slots=True)
class JanusServer:
    """Where a Janus is, and what opens it.

    name:       in this cluster.
    url:        of its WebSocket API, as ``ws://10.0.0.4:8188``.
    api_secret: for the cluster's own parts.
    token:      a signed token in the secret's place, for anybody else.
    admin_key:  without which its VideoRooms cannot be created.
    media_address: where it takes streams from other Janus.
    """

    name: str
    url: str
    api_secret: str | None = field(default=None, repr=False)
    token: str | None = field(default=None, repr=False)
    admin_key: str | None = field(default=None, repr=False)
    media_address: str = "127.0.0.1"


class Answer(NamedTuple):
    """A plugin's answer: its data, and the SDP that came with it, if any."""

    data: Json
    sdp: str | None


def signed_token(secret: str, expires: float, realm: str, scopes: Sequence[str]) -> str:
    """A token of Janus' own form, valid until ``expires`` (Unix s): HMAC-SHA1 over ``expires,realm,scopes``.

    For the API itself the realm is ``janus`` and the scopes are plugins; for a VideoRoom the realm is the
    plugin and the scope ``room=ID``.
    """
    text = ",".join([str(int(expires)), realm, *scopes])
    digest = hmac.digest(secret.encode(), text.encode(), "sha1")
    return f"{text}:{b64encode(digest).decode()}"


class JanusSession:
    """One session over one WebSocket. ``ended`` is set when it is gone, whoever ended it."""

    def __init__(self, server: JanusServer) -> None:
        self.server = server
        self.ended = asyncio.Event()
        self._http: aiohttp.ClientSession | None = None
        self._socket: aiohttp.ClientWebSocketResponse | None = None
        self._id: int | None = None
        self._waiting: dict[str, asyncio.Queue[Json]] = {}
        self._handles: dict[int, JanusHandle] = {}
        self._tasks: list[asyncio.Task[None]] = []

    async def __aenter__(self) -> JanusSession:
        await self.connect()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def connect(self) -> None:
        """Raises JanusError where Janus cannot be reached, or does not know the secret or token."""
        self._http = aiohttp.ClientSession()
        try:
            self._socket = await self._http.ws_connect(
                self.server.url, protocols=(_SUBPROTOCOL,), max_msg_size=_MAX_MESSAGE, timeout=_closing(2.0)
            )
            self._tasks.append(asyncio.create_task(self._read(self._socket)))
            made = await self.request({"janus": "create"})
        except (aiohttp.ClientError, OSError) as error:
            await self.close()
            raise JanusError(
                f"Janus {self.server.name} cannot be reached ({type(error).__name__}): is it running?"
            ) from error
        except JanusError:
            await self.close()
            raise
        self._id = int(made["data"]["id"])
        self._tasks.append(asyncio.create_task(self._keep_alive()))

    async def attach(self, plugin: str, told: Callable[[Answer], None] | None = None) -> JanusHandle:
        """A handle of ``plugin``; ``told`` gets the events that answer no request. Raises JanusError."""
        made = await self.request({"janus": "attach", "plugin": plugin})
        handle = JanusHandle(self, int(made["data"]["id"]), told)
        self._handles[handle.id] = handle
        return handle

    async def request(self, message: Json, *, event: bool = False, within: float = ANSWER_WITHIN) -> Json:
        """Sends ``message``; its answer, or with ``event`` the event that follows the acknowledgement.

        Raises JanusError for an error, for no answer within so many seconds, for a session that has ended.
        """
        transaction = secrets.token_hex(8)
        answers: asyncio.Queue[Json] = asyncio.Queue()
        self._waiting[transaction] = answers
        try:
            await self._send({**message, "transaction": transaction})
            async with asyncio.timeout(within):
                answer = await answers.get()
                while event and answer.get("janus") == "ack":
                    answer = await answers.get()
        except TimeoutError as error:
            raise JanusError(f"Janus {self.server.name} did not answer within {within:g} s") from error
        finally:
            self._waiting.pop(transaction, None)
        if answer.get("janus") == "error":
            fault = answer.get("error", {})
            raise JanusError(f"Janus: {fault.get('reason', 'an error')}", fault.get("code"))
        return answer

    async def close(self) -> None:
        """Ends the session and all of its handles. Twice is once."""
        if self._id is not None and not self.ended.is_set():
            try:
                await self.request({"janus": "destroy"}, within=1.0)
            except JanusError as error:
                _LOG.debug("closing: %s", error)
        tasks, self._tasks = self._tasks, []
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)
        if self._socket is not None:
            await self._socket.close()
        if self._http is not None:
            await self._http.close()
        self._end()

    def forget(self, handle: JanusHandle) -> None:
        """No more events for ``handle``."""
        self._handles.pop(handle.id, None)

    async def _send(self, message: Json) -> None:
        socket = self._socket
        if socket is None or socket.closed or self.ended.is_set():
            raise JanusError(f"the session with Janus {self.server.name} has ended: connect anew")
        full = dict(message)
        if self._id is not None:
            full["session_id"] = self._id
        if self.server.api_secret is not None:
            full["apisecret"] = self.server.api_secret
        if self.server.token is not None:
            full["token"] = self.server.token
        try:
            await socket.send_json(full)
        except (aiohttp.ClientError, OSError) as error:
            raise JanusError(f"the connection to Janus {self.server.name} broke: connect anew") from error

    async def _read(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        try:
            async for message in socket:
                if message.type is aiohttp.WSMsgType.TEXT:
                    self._take(message.json())
        except (ValueError, aiohttp.ClientError, OSError) as error:
            _LOG.warning("Janus %s sent what cannot be read: %s", self.server.name, type(error).__name__)
        finally:
            self._end()

    def _take(self, message: Json) -> None:
        if not isinstance(message, dict):
            raise ValueError("a message of Janus is an object")
        waiting = self._waiting.get(message.get("transaction", ""))
        if waiting is not None:
            waiting.put_nowait(message)
            return
        if message.get("janus") == "timeout":
            self._end()
            return
        handle = self._handles.get(message.get("sender", -1))
        if handle is not None:
            handle.take(message)

    async def _keep_alive(self) -> None:
        while True:
            await asyncio.sleep(KEEP_ALIVE)
            try:
                await self.request({"janus": "keepalive"})
            except JanusError as error:
                _LOG.warning("%s", error)
                self._end()
                return

    def _end(self) -> None:
        self.ended.set()
        for waiting in self._waiting.values():
            waiting.put_nowait({"janus": "error", "error": {"reason": "the session has ended"}})


class JanusHandle:
    """A session's use of one plugin, with at most one peer connection. ``hung_up``: that one is gone."""

    def __init__(self, session: JanusSession, handle: int, told: Callable[[Answer], None] | None) -> None:
        self.id, self.session = handle, session
        self.connected, self.hung_up = asyncio.Event(), asyncio.Event()
        self._told = told

    async def ask(self, body: Json, offer: tuple[str, str] | None = None, *, event: bool = True) -> Answer:
        """A request to the plugin. ``offer``: an SDP with its type (offer, answer). ``event``: the plugin
        answers by an event, as for what it says is asynchronous. Raises JanusError, the plugin's too."""
        message: dict[str, Any] = {"janus": "message", "handle_id": self.id, "body": body}
        if offer is not None:
            kind, sdp = offer
            message["jsep"] = {"type": kind, "sdp": _one_fingerprint(sdp)}
        answer = _answer(await self.session.request(message, event=event))
        if "error" in answer.data:
            raise JanusError(f"Janus: {answer.data['error']}", answer.data.get("error_code"))
        return answer

    async def detach(self) -> None:
        """Lets the handle and its peer connection go. Raises JanusError."""
        self.session.forget(self)
        await self.session.request({"janus": "detach", "handle_id": self.id})

    def take(self, message: Json) -> None:
        """An event of this handle."""
        kind = message.get("janus")
        if kind == "webrtcup":
            self.connected.set()
        elif kind in ("hangup", "detached"):
            self.hung_up.set()
        elif kind == "event" and self._told is not None:
            self._told(_answer(message))


def _answer(message: Json) -> Answer:
    data = message.get("plugindata", {}).get("data", {})
    return Answer(data, message.get("jsep", {}).get("sdp"))


def _one_fingerprint(sdp: str) -> str:
    """Without fingerprints of other hashes than SHA-256: Janus 1.1 checks the last one, as SHA-256."""
    others = [line for line in sdp.splitlines() if line.startswith("a=fingerprint:")]
    others = [line for line in others if not line.lower().startswith("a=fingerprint:sha-256 ")]
    return "".join(line + "\r\n" for line in sdp.splitlines() if line not in others)


def _closing(seconds: float) -> aiohttp.ClientWSTimeout:
    return aiohttp.ClientWSTimeout(ws_close=seconds)
