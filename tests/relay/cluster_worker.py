"""A worker process for tests, its settings on standard input: its filter is real, or edits the mark away."""

from __future__ import annotations

import asyncio
import json
import logging
import sys
from typing import Any

from streamfilter.relay.cluster.janus import JanusServer
from streamfilter.relay.cluster.keys import ClusterKeys
from streamfilter.relay.cluster.room_worker import RoomSetup
from streamfilter.relay.cluster.worker import Worker
from streamfilter.relay.media import AiortcMedia, MediaSettings
from tests.relay.media_peers import MarkFilter


async def main(settings: dict[str, Any]) -> None:
    januses = {one["name"]: JanusServer(**one) for one in settings["januses"]}
    keys = ClusterKeys(settings["secret"].encode(), settings["janus_secret"])
    setup = RoomSetup(settings["worker"], januses, keys)
    media = AiortcMedia(
        MediaSettings(interfaces=(settings["address"],), cores=2),
        None if settings["real"] else lambda wanted: MarkFilter(),
    )
    await Worker(setup, media, settings["fronts"]).run()


if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(name)s %(message)s")
    asyncio.run(main(json.load(sys.stdin)))
