"""A cluster on the loopback for tests: two Janus, a front, worker processes, a patient and viewers."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

from aiortc import RTCPeerConnection, RTCSessionDescription
from aiortc.mediastreams import MediaStreamTrack

from streamfilter.relay.cluster.front import Front, FrontServer
from streamfilter.relay.cluster.janus import JanusServer, JanusSession
from streamfilter.relay.cluster.keys import ClusterKeys, Side
from streamfilter.relay.cluster.shown_room import ShownRoom
from streamfilter.relay.cluster.videoroom import Membership, RoomKeeper, Subscription
from streamfilter.relay.media.guards import DatagramGuard
from tests.relay.janus_process import TOKEN_SECRET, JanusProcess, running_janus
from tests.relay.media_peers import Seen, new_peer, until, watch

SECRET = "the relay's secret of these tests, long enough"
ROOT = Path(__file__).resolve().parents[2]


@dataclass
class Viewer:
    """One who watches the shown room at one Janus."""

    session: JanusSession
    room: ShownRoom
    seen: Seen
    subscription: Subscription | None = None


@dataclass
class Cluster:
    """What runs. ``workers``: processes by name."""

    a: JanusProcess
    b: JanusProcess
    server: FrontServer
    folder: Path
    keys: ClusterKeys
    workers: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)
    sessions: list[JanusSession] = field(default_factory=list)
    peers: list[RTCPeerConnection] = field(default_factory=list)
    tasks: list[asyncio.Task[None]] = field(default_factory=list)

    @property
    def front(self) -> Front:
        return self.server.front

    def start_worker(self, name: str, real: bool = False) -> None:
        """``real``: with the filter that ships, which leaves the camera's mark as it is."""
        settings = {
            "real": real,
            "worker": name,
            "address": self.a.server.media_address,
            "januses": [asdict(self.a.server), asdict(self.b.server)],
            "fronts": [self.server.url],
            "secret": SECRET,
            "janus_secret": TOKEN_SECRET,
        }
        with (self.folder / f"{name}.log").open("wb") as log:
            process = subprocess.Popen(
                [sys.executable, "-m", "tests.relay.cluster_worker"],
                cwd=ROOT,
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=log,
            )
        assert process.stdin is not None
        process.stdin.write(json.dumps(settings).encode())
        process.stdin.close()
        self.workers[name] = process

    def logs(self) -> str:
        return "\n".join(f"{path.name}:\n{path.read_text()[-3000:]}" for path in self.folder.rglob("*.log"))

    async def session(self, server: JanusServer) -> JanusSession:
        made = JanusSession(server)
        await made.connect()
        self.sessions.append(made)
        return made

    def outsider(self, janus: JanusProcess) -> JanusServer:
        """The same Janus as somebody sees it who has a token for its API, and nothing else."""
        return replace(janus.server, api_secret=None, admin_key=None, token=self.keys.api_token(60.0))

    async def publish(self, room: str, *tracks: MediaStreamTrack) -> Membership:
        """The patient, with a token that was allowed for it, publishes in the raw room at Janus a."""
        lock = self.keys.lock(room, Side.RAW)
        token = self.keys.room_token(lock, 60.0)
        keeper = await RoomKeeper.attach(await self.session(self.a.server), lock)
        await keeper.allow(token)
        session = await self.session(self.outsider(self.a))
        patient = await Membership.join(session, lock, token, "patient")
        peer = self.peer()
        for track in tracks:
            peer.addTransceiver(track, direction="sendonly")
        offer = await self.described(peer, await peer.createOffer())
        answer = await patient.publish(offer, 1500)
        await peer.setRemoteDescription(RTCSessionDescription(sdp=answer, type="answer"))
        return patient

    async def view(self, room: str, janus: JanusProcess) -> Viewer:
        """Somebody watches the shown room."""
        session = await self.session(janus.server)
        shown = ShownRoom(session, self.keys, room)
        await shown.join()
        viewer = Viewer(session, shown, Seen())
        await until(lambda: shown.feed)
        viewer.subscription, offer = await shown.view()
        answer = await self.answer(offer, viewer.seen)
        await viewer.subscription.start(answer)
        return viewer

    async def answer(self, offer: str, seen: Seen) -> str:
        peer = self.peer()
        await peer.setRemoteDescription(RTCSessionDescription(sdp=offer, type="offer"))
        for receiver in peer.getReceivers():
            self.tasks.append(asyncio.get_running_loop().create_task(watch(receiver.track, seen)))
        return await self.described(peer, await peer.createAnswer())

    def peer(self) -> RTCPeerConnection:
        made = new_peer()
        self.peers.append(made)
        return made

    async def described(self, peer: RTCPeerConnection, description: RTCSessionDescription) -> str:
        """The SDP of ``peer``, which is offered at this machine's own address only."""
        guard = DatagramGuard(peer, lambda cause: None)
        guard.offer_only((self.a.server.media_address,))
        await peer.setLocalDescription(description)
        return str(peer.localDescription.sdp)


@asynccontextmanager
async def cluster(folder: Path) -> AsyncIterator[Cluster]:
    """Two Janus, ``a`` and ``b``, and a front. Everything ends with it."""
    keys = ClusterKeys(SECRET.encode(), TOKEN_SECRET)
    with running_janus(folder, "a") as a, running_janus(folder, "b") as b:
        server = FrontServer(Front(("a",)), keys)
        await server.start()
        made = Cluster(a, b, server, folder, keys)
        try:
            yield made
        finally:
            for task in made.tasks:
                task.cancel()
            await asyncio.gather(*(peer.close() for peer in made.peers))
            for process in made.workers.values():
                process.kill()
                process.wait(10)
            await asyncio.gather(*(session.close() for session in made.sessions))
            await server.stop()
