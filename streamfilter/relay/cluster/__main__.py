"""``python -m streamfilter.relay.cluster front|worker|door --config cluster.toml``."""

from __future__ import annotations

import argparse
import asyncio
import logging
import signal
import socket
import sys
from pathlib import Path

from streamfilter.errors import PhysioCamError
from streamfilter.relay.cluster.cluster_settings import ClusterSettings, load_cluster


def main() -> int:
    """Runs one part of the cluster until SIGINT or SIGTERM; returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m streamfilter.relay.cluster", description=__doc__)
    parser.add_argument("part", choices=("front", "worker", "door"))
    parser.add_argument("--config", type=Path, required=True, help="TOML, see docs/relay-cluster.md")
    parser.add_argument("--host", default="127.0.0.1", help="address that a front or door listens on")
    parser.add_argument("--port", type=int, default=0, help="0: any free one")
    parser.add_argument("--name", default=socket.gethostname(), help="of a worker; unlike all others")
    parser.add_argument("--janus", help="of a door: name of the Janus that its viewers are at")
    given = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    logging.getLogger("aioice").setLevel(logging.WARNING)  # it logs addresses
    logging.getLogger("aiortc").setLevel(logging.WARNING)
    try:
        asyncio.run(_run(given, load_cluster(given.config)))
    except PhysioCamError as error:
        print(f"physio-relay: {error}", file=sys.stderr)
        return error.exit_code
    return 0


async def _run(given: argparse.Namespace, settings: ClusterSettings) -> None:
    loop, stop = asyncio.get_running_loop(), asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    if given.part == "front":
        await _front(given, settings, stop)
    elif given.part == "worker":
        await _worker(given, settings, stop)
    else:
        await _door(given, settings, stop)


async def _front(given: argparse.Namespace, settings: ClusterSettings, stop: asyncio.Event) -> None:
    from streamfilter.relay.cluster.front import Front, FrontServer

    server = FrontServer(Front(list(settings.januses)), settings.keys, given.host, given.port)
    await server.start()
    print(f"front: {server.url}", flush=True)
    await stop.wait()
    await server.stop()


async def _worker(given: argparse.Namespace, settings: ClusterSettings, stop: asyncio.Event) -> None:
    from streamfilter.relay.cluster.room_worker import RoomSetup
    from streamfilter.relay.cluster.worker import Worker
    from streamfilter.relay.media import AiortcMedia, MediaSettings

    media = AiortcMedia(MediaSettings(video_kbps=settings.kbps, codecs=settings.codecs))
    setup = RoomSetup(given.name, settings.januses, settings.keys, settings.kbps, settings.codecs)
    running = asyncio.ensure_future(Worker(setup, media, settings.fronts).run())
    print(f"worker: {given.name}", flush=True)
    stopping = asyncio.ensure_future(stop.wait())
    await asyncio.wait((running, stopping), return_when=asyncio.FIRST_COMPLETED)
    failed = running.done() and running.exception() is not None
    running.cancel()
    stopping.cancel()
    await asyncio.wait((running, stopping))
    await media.close()
    if failed:
        running.result()


async def _door(given: argparse.Namespace, settings: ClusterSettings, stop: asyncio.Event) -> None:
    from streamfilter.relay.cluster.door import Door
    from streamfilter.relay.security.tokens import Tokens

    own = given.janus or next(iter(settings.januses))
    tokens = Tokens(settings.secret)
    door = Door(settings.januses, own, settings.keys, tokens, settings.fronts, settings.kbps)
    port = await door.start(given.host, given.port)
    print(f"door: http://{given.host}:{port}", flush=True)
    await stop.wait()
    await door.stop()


if __name__ == "__main__":
    sys.exit(main())
