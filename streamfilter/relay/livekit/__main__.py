"""``python -m streamfilter.relay.livekit worker|token``: filters a room of a LiveKit server, or lets in."""

from __future__ import annotations

import argparse
import asyncio
import logging
import os
import signal
import sys
from collections.abc import Sequence
from pathlib import Path

from streamfilter.errors import PhysioCamError, UsageError
from streamfilter.relay.livekit.grants import LiveKitKeys
from streamfilter.relay.messages import parse_hr
from streamfilter.relay.ports import Edit, Refusal
from streamfilter.relay.security.secret_files import read_secret

KEY = "LIVEKIT_API_KEY"


def main(arguments: Sequence[str] | None = None) -> int:
    """Prints a token, or filters until SIGINT or SIGTERM; returns the exit code."""
    common = argparse.ArgumentParser(add_help=False)
    common.add_argument("--room", required=True)
    common.add_argument("--identity", required=True, help="unlike that of all others in the room")
    common.add_argument("--secret-file", type=Path, required=True, help=f"of the API key in {KEY}")
    parser = argparse.ArgumentParser(prog="python -m streamfilter.relay.livekit", description=__doc__)
    parts = parser.add_subparsers(dest="part", required=True)
    worker = parts.add_parser("worker", parents=[common])
    worker.add_argument("--url", required=True, help="of the server, as wss://livekit.example.org")
    worker.add_argument("--hr", default="70", help="heart rate that viewers see, or hide")
    token = parts.add_parser("token", parents=[common])
    token.add_argument("role", choices=("patient", "viewer"))
    given = parser.parse_args(arguments)
    try:
        keys = LiveKitKeys(_key(), read_secret(given.secret_file).decode())
        if given.part == "token":
            make = keys.patient if given.role == "patient" else keys.viewer
            print(make(given.room, given.identity))
        else:
            logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
            asyncio.run(_work(given, keys, _edit(given.hr)))
    except PhysioCamError as error:
        print(f"physio-relay: {error}", file=sys.stderr)
        return error.exit_code
    return 0


async def _work(given: argparse.Namespace, keys: LiveKitKeys, edit: Edit) -> None:
    from streamfilter.relay.livekit.livekit_room import LiveKitRoom, LiveKitServer
    from streamfilter.relay.media import AiortcMedia, MediaSettings

    media = AiortcMedia(MediaSettings())
    room = LiveKitRoom(LiveKitServer(given.url, keys, given.identity), given.room, edit, media.lane)
    serving = asyncio.ensure_future(room.serve())
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, serving.cancel)
    try:
        await asyncio.wait((serving,))
        if not serving.cancelled():
            serving.result()
    finally:
        await media.close()


def _key() -> str:
    key = os.environ.get(KEY)
    if not key:
        raise UsageError(f"the server's API key should be in {KEY}")
    return key


def _edit(text: str) -> Edit:
    try:
        return parse_hr([text]) or Edit(None)
    except Refusal as refusal:
        raise UsageError(str(refusal)) from refusal


if __name__ == "__main__":
    sys.exit(main())
