"""How the cluster's doors ask a front for a room; any front will do."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence

import aiohttp

from streamfilter.relay.cluster.front import SIGNATURE, Assignment
from streamfilter.relay.cluster.keys import ClusterKeys
from streamfilter.relay.ports import Edit, Refusal

ANSWER_WITHIN = 1.0  # seconds, of each front


async def want(fronts: Sequence[str], keys: ClusterKeys, room: str, edit: Edit | None) -> Assignment:
    """Who serves ``room``, now with this edit (None: as it is). Raises Refusal: 503, or the front's."""
    fields: dict[str, object] = {"sent": time.time()}
    if edit is not None:
        fields["bpm"] = edit.bpm
    body = json.dumps(fields).encode()
    headers = {SIGNATURE: keys.signature("want", room.encode(), body)}
    timeout = aiohttp.ClientTimeout(ANSWER_WITHIN)
    async with aiohttp.ClientSession(timeout=timeout) as http:
        for front in fronts:
            try:
                async with http.post(f"{front}/rooms/{room}", data=body, headers=headers) as response:
                    answer = await response.json(content_type=None)
                    status = response.status
            except (aiohttp.ClientError, TimeoutError, ValueError, OSError):
                continue  # the next one
            if status != 200:
                raise Refusal(status, str(answer.get("title", "the front refuses")), 2.0)
            return Assignment(room, str(answer["worker"]), str(answer["home"]))
    raise Refusal(503, "no front of the cluster answers", 5.0)
