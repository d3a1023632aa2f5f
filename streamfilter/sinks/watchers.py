# ruff: noqa: PTH115, PTH116, PTH119, PTH123, PTH208
"""How many programs read a virtual camera, so that the webcam can be closed while nobody watches."""

from __future__ import annotations

import errno
import os  # and not pathlib, which makes the look through /proc several times slower
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

# V4L2_EVENT_PRI_CLIENT_USAGE of v4l2loopback >= 0.12.8: V4L2_EVENT_PRIVATE_START (0x08000000, videodev2.h)
# + V4L2LOOPBACK_EVENT_OFFSET (0x08E00000) + 1; its payload is one 32-bit count.
CLIENT_USAGE = 0x08000000 + 0x08E00000 + 1

_MIN_INTERVAL = 0.5  # seconds between two questions to the system
_SCAN_SHARE = 0.02  # of one core, at most, for scans
_PROC = Path("/proc")


class Watchers:
    """Counts the readers of one device.

    Asks the driver where it knows (the client-usage event of v4l2loopback: streaming readers; before 0.15 not
    those that use ``read()``), else looks through /proc for other processes that hold the device open, in a
    mode that can read. That sees only processes whose descriptors this user may list: the user's own, unless
    run as root. Readers of other users are missed there. Neither asks more than twice a second, nor spends
    more than 2 % of a core on looking; in between the last count stands. May be called from any thread.
    """

    def __init__(self, path: Path, descriptor: int | None, now: Callable[[], float] = time.monotonic) -> None:
        """``descriptor``: an open one of the device, not used for anything else that has events."""
        self._path = path
        self._now = now
        self._lock = threading.Lock()
        self._usage = None if descriptor is None else ClientUsage.where_known(descriptor)
        self._count: int | None = None
        self._due = -float("inf")

    @property
    def source(self) -> str:
        """Who says so: "driver" or "processes"; "nobody" where the system does not tell."""
        if self._usage is not None:
            return "driver"
        return "processes" if sys.platform == "linux" else "nobody"

    def count(self) -> int | None:
        """Programs that read the device; None where the system does not tell. Raises OSError: it has gone."""
        with self._lock:
            started = self._now()
            if started >= self._due:
                self._count = self._ask()
                spent = self._now() - started
                self._due = started + max(_MIN_INTERVAL, spent / _SCAN_SHARE)
            return self._count

    def _ask(self) -> int | None:
        if self._usage is not None:
            return self._usage.count()
        return len(readers(self._path)) if sys.platform == "linux" else None


class ClientUsage:
    """The driver's own count of the streams that are being read: a number up to 0.14, 0 or 1 from 0.15 on,
    which lets in one reader at a time."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor

    @classmethod
    def where_known(cls, descriptor: int) -> ClientUsage | None:
        """None where the driver has no such event."""
        usage = cls(descriptor)
        try:
            usage.count()
        except OSError as error:
            if error.errno in (errno.EINVAL, errno.ENOTTY, errno.ENOENT):
                return None
            raise
        return usage

    def count(self) -> int:
        """The count now. Subscribes anew each time and takes the event that the driver sends then: an answer
        cannot get lost as the news of a change can. Raises OSError."""
        import fcntl

        from linuxpy.video import raw

        wanted = raw.v4l2_event_subscription()
        wanted.type = CLIENT_USAGE
        wanted.flags = raw.EventSubscriptionFlag.SEND_INITIAL
        fcntl.ioctl(self._descriptor, raw.IOC.SUBSCRIBE_EVENT.value, wanted)
        try:
            event = raw.v4l2_event()
            fcntl.ioctl(self._descriptor, raw.IOC.DQEVENT.value, event)
        finally:
            fcntl.ioctl(self._descriptor, raw.IOC.UNSUBSCRIBE_EVENT.value, wanted)  # drops what else has come
        return int.from_bytes(bytes(event.u)[:4], sys.byteorder)


def readers(path: Path, proc: Path = _PROC) -> list[int]:
    """Processes but this one that hold ``path`` open for reading, as far as this user may see them."""
    try:
        wanted = _identity(os.stat(path))
    except FileNotFoundError:
        return []
    name = os.path.basename(os.path.realpath(path))
    own = str(os.getpid())
    with os.scandir(proc) as processes:
        numbers = [entry.name for entry in processes if entry.name.isdecimal() and entry.name != own]
    return sorted(int(number) for number in numbers if _reads(proc / number, name, wanted))


def _reads(process: Path, name: str, wanted: tuple[int, int]) -> bool:
    folder = f"{process}/fd"
    try:
        descriptors = os.listdir(folder)
    except OSError:  # another user's, or it has ended
        return False
    for descriptor in descriptors:
        link = f"{folder}/{descriptor}"
        try:
            # The name first: asking what a descriptor is can block, on a network's file system.
            same = os.readlink(link).endswith(name) and _identity(os.stat(link)) == wanted
            if same and _may_read(f"{process}/fdinfo/{descriptor}"):
                return True
        except OSError:  # closed meanwhile
            continue
    return False


def _may_read(fdinfo: str) -> bool:
    with open(fdinfo, encoding="ascii") as lines:
        for line in lines:
            if line.startswith("flags:"):
                return int(line.split()[1], 8) & os.O_ACCMODE != os.O_WRONLY
    return False


def _identity(status: os.stat_result) -> tuple[int, int]:
    """A device by its number (it may have several nodes), a file by its place."""
    return (0, status.st_rdev) if status.st_rdev else (status.st_dev, status.st_ino)
