"""Which worker serves which room: a pure function of what the workers last said.

Rendezvous hashing (Thaler & Ravishankar, IEEE/ACM Trans. Networking 6(1), 1998) with a bound on the load, as
in consistent hashing with bounded loads (Mirrokni, Thorup & Zadimoghaddam, SODA 2018). A room that a worker
serves stays there: moving it would be seen.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import sha256

SPREAD = 1.25  # a worker takes this many times its fair share before the next one is asked


@dataclass(frozen=True, slots=True)
class Load:
    """A live worker: how many rooms it can serve, and those that it serves, by Unix ms of their beginning."""

    capacity: int
    serving: Mapping[str, int] = field(default_factory=dict)


def place(rooms: Iterable[str], workers: Mapping[str, Load]) -> dict[str, str | None]:
    """The worker of each room; None where all are full.

    Whoever serves a room keeps it; of several the one that began last, which has taken it from the others.
    """
    wanted = sorted(set(rooms))
    placed: dict[str, str | None] = {room: _server(room, workers) for room in wanted}
    taken = dict.fromkeys(workers, 0)
    for worker in placed.values():
        if worker is not None:
            taken[worker] += 1
    total = sum(load.capacity for load in workers.values())
    for room in wanted:
        if placed[room] is not None:
            continue
        ranked = ranking(room, list(workers))
        free = [worker for worker in ranked if taken[worker] < workers[worker].capacity]
        if not free:
            continue
        fair = SPREAD * len(wanted) / total
        even = [worker for worker in free if taken[worker] < math.ceil(fair * workers[worker].capacity)]
        chosen = (even or free)[0]
        placed[room] = chosen
        taken[chosen] += 1
    return placed


def ranking(key: str, names: Sequence[str]) -> list[str]:
    """``names`` in the order in which ``key`` prefers them; the same everywhere."""
    return sorted(names, key=lambda name: (sha256(f"{key}\0{name}".encode()).digest(), name), reverse=True)


def _server(room: str, workers: Mapping[str, Load]) -> str | None:
    serving = [(load.serving[room], name) for name, load in workers.items() if room in load.serving]
    return max(serving)[1] if serving else None
