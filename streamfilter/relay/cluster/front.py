"""The front: takes the workers' heart-beats, and says who serves which room. It keeps nothing on disk.

Any number of fronts may run. They need not know of each other: workers beat to all of them, and from the same
beats all give the same answer. Every message is signed with a key derived from the relay's secret.
"""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

from aiohttp import web

from streamfilter.errors import UsageError
from streamfilter.relay.cluster.keys import ClusterKeys, Side
from streamfilter.relay.cluster.orders import MAX_BODY, Beat, Instructions, Order, newest
from streamfilter.relay.cluster.placement import Load, place, ranking
from streamfilter.relay.ports import Edit, Refusal

DEAD_AFTER = 2.0  # seconds without a heart-beat
CLOSED_AFTER = 0.75  # the same, where the worker's connection has closed, as when its process is killed
FORGET_AFTER = 60.0  # seconds that an order is kept which nobody serves, or that is closed
SKEW = 10.0  # seconds by which a sender's clock may differ
SIGNATURE = "X-Physio-Signature"
_LOG = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Assignment:
    """Who serves a room now, and at which Janus its patient publishes."""

    room: str
    worker: str
    home: str


@dataclass(frozen=True, slots=True)
class _Heard:
    beat: Beat
    at: float
    hung_up: Callable[[], bool]

    def dead(self, now: float) -> bool:
        silent = now - self.at
        return silent > DEAD_AFTER or (silent > CLOSED_AFTER and self.hung_up())


class Front:
    """The decisions, without HTTP. ``januses``: their names. ``clock``: monotonic s; ``wall``: Unix s."""

    def __init__(
        self,
        januses: Sequence[str],
        clock: Callable[[], float] = time.monotonic,
        wall: Callable[[], float] = time.time,
    ) -> None:
        self._januses = tuple(januses)
        self._clock, self._wall = clock, wall
        self._started = clock()
        self._workers: dict[str, _Heard] = {}
        self._orders: dict[str, Order] = {}
        self._served: dict[str, float] = {}
        self._given: dict[str, tuple[str, float]] = {}  # to whom, when; until that worker says it serves it

    def hear(self, beat: Beat, hung_up: Callable[[], bool] = lambda: False) -> Instructions:
        """A worker's heart-beat, and what it is to do. ``hung_up``: whether the connection on which it came
        has closed since. Raises Refusal (409) for one that is not newer than its last, or of another time.
        """
        now = self._clock()
        known = self._workers.get(beat.worker)
        if abs(beat.sent - self._wall()) > SKEW or (known is not None and beat.sent <= known.beat.sent):
            raise Refusal(409, "this heart-beat is old")
        self._workers[beat.worker] = _Heard(beat, now, hung_up)
        self._orders = newest(self._orders, beat.orders)
        for room in (*beat.serving, *(order.room for order in beat.orders)):
            self._served[room] = now
        self._forget(now)
        placed = self._placed(now)
        for room, worker in placed.items():
            if worker == beat.worker:
                self._give(room, worker, now)
        take = [self._orders[room] for room, worker in placed.items() if worker == beat.worker]
        take += [self._orders[room] for room in beat.serving if self._closed(room)]
        leave = tuple(
            room for room in beat.serving if placed.get(room) not in (None, beat.worker) or self._closed(room)
        )
        return Instructions(tuple(take), leave)

    def want(self, room: str, edit: Edit | None, home: str | None = None) -> Assignment:
        """Someone needs ``room``, with this edit (None: as it is). Raises Refusal (503)."""
        now = self._clock()
        if now - self._started < DEAD_AFTER:
            raise Refusal(503, "the front is still listening for its workers", DEAD_AFTER)
        known = self._orders.get(room)
        if known is None or known.closed:
            chosen = home or ranking(room, self._januses)[0]
            known = Order(room, chosen, edit or Edit(), self._version(known))
        elif edit is not None and edit != known.edit:
            known = Order(room, known.home, edit, self._version(known))
        worker = self._placed(now, room).get(room)
        if worker is None:
            raise Refusal(503, "no worker has room for one more patient now", 10.0)
        self._orders[room] = known
        self._served.setdefault(room, now)
        self._give(room, worker, now)
        return Assignment(room, worker, known.home)

    def close(self, room: str) -> None:
        """Nobody needs ``room`` any more. Raises Refusal (404) where it is not known."""
        known = self._orders.get(room)
        if known is None or known.closed:
            raise Refusal(404, "there is no such room")
        self._orders[room] = Order(room, known.home, known.edit, self._version(known), closed=True)
        self._served[room] = self._clock()

    def live(self) -> list[str]:
        """The workers that beat."""
        now = self._clock()
        return sorted(name for name, heard in self._workers.items() if not heard.dead(now))

    def _placed(self, now: float, more: str | None = None) -> dict[str, str | None]:
        if now - self._started < DEAD_AFTER:  # whom it has not heard yet may serve any of them
            return {}
        loads = {}
        for name, heard in self._workers.items():
            if not heard.dead(now):
                given = {room: 0 for room, (worker, _) in self._given.items() if worker == name}
                loads[name] = Load(heard.beat.capacity, given | dict(heard.beat.serving))
        rooms = [room for room, order in self._orders.items() if not order.closed]
        return place([*rooms, more] if more is not None else rooms, loads)

    def _give(self, room: str, worker: str, now: float) -> None:
        known = self._given.get(room)
        if known is None or known[0] != worker:
            self._given[room] = (worker, now)

    def _closed(self, room: str) -> bool:
        return room in self._orders and self._orders[room].closed

    def _version(self, known: Order | None) -> int:
        return max(int(self._wall() * 1000), 0 if known is None else known.version + 1)

    def _forget(self, now: float) -> None:
        stale = [room for room in self._orders if now - self._served.get(room, now) > FORGET_AFTER]
        for room in stale:
            del self._orders[room]
            self._served.pop(room, None)
        self._given = {
            room: (worker, at)
            for room, (worker, at) in self._given.items()
            if now - at <= DEAD_AFTER and room not in self._workers[worker].beat.serving
        }
        for name in [name for name, heard in self._workers.items() if now - heard.at > FORGET_AFTER]:
            del self._workers[name]


class FrontServer:
    """The front over HTTP, for the cluster's own network. ``port`` 0: any free one."""

    def __init__(self, front: Front, keys: ClusterKeys, host: str = "127.0.0.1", port: int = 0) -> None:
        self.front = front
        self._keys, self._host, self.port = keys, host, port
        self._runner: web.AppRunner | None = None

    @property
    def url(self) -> str:
        return f"http://{self._host}:{self.port}"

    async def start(self) -> None:
        app = web.Application(client_max_size=MAX_BODY, middlewares=[_problems])
        app.add_routes(
            [
                web.post("/beat", self._beat),
                web.post("/rooms/{room}", self._want),
                web.delete("/rooms/{room}", self._close),
                web.get("/healthz", self._health),
            ]
        )
        self._runner = web.AppRunner(app, access_log=None)
        await self._runner.setup()
        site = web.TCPSite(self._runner, self._host, self.port)
        await site.start()
        self.port = int(self._runner.addresses[0][1])

    async def stop(self) -> None:
        if self._runner is not None:
            await self._runner.cleanup()
            self._runner = None

    async def _beat(self, request: web.Request) -> web.Response:
        body = await self._signed(request, "beat")
        connection = request.transport

        def hung_up() -> bool:
            return connection is None or connection.is_closing()

        instructions = self.front.hear(Beat.from_bytes(body), hung_up).to_bytes()
        signature = self._keys.signature("instructions", body, instructions)
        return web.Response(
            body=instructions, content_type="application/json", headers={SIGNATURE: signature}
        )

    async def _want(self, request: web.Request) -> web.Response:
        room = request.match_info["room"]
        fields = _request(await self._signed(request, "want", room.encode()), self._keys.clock())
        self._keys.lock(room, Side.RAW)  # checks the name
        edit = None
        if "bpm" in fields:
            edit = Order.from_json({**Order(room, "-").to_json(), "bpm": fields["bpm"]}).edit
        given = self.front.want(room, edit)
        return web.json_response({"room": given.room, "worker": given.worker, "home": given.home})

    async def _close(self, request: web.Request) -> web.Response:
        room = request.match_info["room"]
        _request(await self._signed(request, "close", room.encode()), self._keys.clock())
        self.front.close(room)
        return web.Response(status=204)

    async def _health(self, request: web.Request) -> web.Response:
        return web.json_response({"workers": len(self.front.live())})

    async def _signed(self, request: web.Request, purpose: str, *parts: bytes) -> bytes:
        body = await request.read()
        if not self._keys.signed(request.headers.get(SIGNATURE, ""), purpose, *parts, body):
            raise Refusal(401, "this message is not signed with the relay's secret")
        return body


@web.middleware
async def _problems(
    request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
) -> web.StreamResponse:
    try:
        return await handler(request)
    except Refusal as refusal:
        return _problem(refusal.status, refusal.reason, refusal.retry_after)
    except (UsageError, ValueError) as error:
        _LOG.info("a request that cannot be read: %s", error)
        return _problem(400, "the request cannot be read")


def _problem(status: int, reason: str, retry_after: float | None = None) -> web.Response:
    headers = {} if retry_after is None else {"Retry-After": str(max(1, round(retry_after)))}
    return web.json_response(
        {"title": reason, "status": status},
        status=status,
        headers=headers,
        content_type="application/problem+json",
    )


def _request(body: bytes, now: float) -> dict[str, object]:
    """The fields of a request that was sent just now; ValueError for anything else."""
    fields = json.loads(body)
    sent = fields.get("sent") if isinstance(fields, dict) else None
    if isinstance(sent, bool) or not isinstance(sent, int | float) or not abs(now - sent) <= SKEW:
        raise ValueError("the request is old, or says no time")
    return dict(fields)
