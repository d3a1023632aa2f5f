"""Requests by address: a token bucket for each network and kind of request, in bounded memory."""

from __future__ import annotations

import math
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass

from streamfilter.relay.ports import Refusal
from streamfilter.relay.security.addresses import network_of

MAX_BUCKETS = 10_000


@dataclass(slots=True)
class _Bucket:
    level: float  # requests that may come at once
    at: float


class RateLimits:
    """``per_minute`` requests of each kind from each network, in a burst or spread.

    ``clock``: seconds, monotonic. Of more than ``capacity`` networks, the one that asked longest ago is
    forgotten: whoever commands so many networks cannot be held by counting them.
    """

    def __init__(
        self,
        per_minute: int,
        clock: Callable[[], float] = time.monotonic,
        capacity: int = MAX_BUCKETS,
    ) -> None:
        self._size, self._rate = float(per_minute), per_minute / 60.0
        self._clock, self._capacity = clock, capacity
        self._buckets: OrderedDict[tuple[str, str], _Bucket] = OrderedDict()

    def admit(self, address: str, kind: str) -> None:
        """Counts one request. Raises Refusal (429) where there were too many; that one is not counted."""
        now = self._clock()
        key = (network_of(address), kind)
        bucket = self._buckets.pop(key, None) or _Bucket(self._size, now)
        bucket.level = min(self._size, bucket.level + max(now - bucket.at, 0.0) * self._rate)
        bucket.at = now
        self._buckets[key] = bucket
        if len(self._buckets) > self._capacity:
            self._buckets.popitem(last=False)
        if bucket.level < 1.0:
            wait = max(1.0, math.ceil((1.0 - bucket.level) / self._rate))
            raise Refusal(429, "too many requests from this address: wait a little", retry_after=wait)
        bucket.level -= 1.0

    def __len__(self) -> int:
        """How many networks and kinds are remembered."""
        return len(self._buckets)
