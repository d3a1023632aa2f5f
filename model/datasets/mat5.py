"""One large array of a MATLAB 5 file, unpacked to disk a block at a time.

scipy.io reads such files, whole arrays at once: 1.7 GB for a minute of MMPD. This reads one numeric array as
a stream. The format is MathWorks' "MAT-File Format" (version 5): elements with a tag of type and length, an
array's inside a zlib stream (type 15) or plain (type 14), its numbers in column-major order.
"""

from __future__ import annotations

import math
import struct
import tempfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import numpy as np
import numpy.typing as npt

from model.datasets.videos import to_levels

_HEADER = 128
_COMPRESSED, _MATRIX = 15, 14
_NUMBERS = {1: "i1", 2: "u1", 3: "i2", 4: "u2", 5: "i4", 6: "u4", 7: "f4", 9: "f8"}
_PART = 1 << 20
_SCRATCH_NUMBERS = 1 << 23  # numbers converted at a time


@dataclass(frozen=True)
class MatBlock:
    """Where an array lies: its element's ``offset`` and ``length`` in the file, and its ``shape``."""

    offset: int
    length: int
    packed: bool
    shape: tuple[int, ...]
    order: str


class _Stream:
    """The bytes of an element, unpacked as they are asked for."""

    def __init__(self, file: BinaryIO, length: int, packed: bool) -> None:
        self._file, self._left = file, length
        self._unpack = zlib.decompressobj() if packed else None
        self._ready = bytearray()

    def read(self, count: int) -> bytes:
        """Exactly ``count`` bytes. Raises ValueError where the element ends before."""
        while len(self._ready) < count:
            packed = self._file.read(min(_PART, self._left))
            if not packed:
                raise ValueError("the file is cut off")
            self._left -= len(packed)
            try:
                self._ready += packed if self._unpack is None else self._unpack.decompress(packed)
            except zlib.error as error:
                raise ValueError(f"the file is damaged ({error})") from error
        out = bytes(self._ready[:count])
        del self._ready[:count]
        return out


def find_block(path: Path, name: str) -> MatBlock:
    """The array ``name``. Raises ValueError where the file is of another kind or has no such array."""
    with path.open("rb") as file:
        head = file.read(_HEADER)
        order = {b"IM": "<", b"MI": ">"}.get(head[126:128])
        if order is None or head[124:126] not in (b"\x00\x01", b"\x01\x00"):
            raise ValueError("it is no MATLAB file of version 5")
        while tag := file.read(8):
            if len(tag) < 8:
                raise ValueError("the file is cut off")
            kind, length = struct.unpack(f"{order}2I", tag)
            offset = file.tell()
            if kind in (_COMPRESSED, _MATRIX):
                packed = kind == _COMPRESSED
                called, shape = _about(_Stream(file, length, packed), packed, order)
                if called == name:
                    return MatBlock(offset, length, packed, shape, order)
            file.seek(offset + length)
    raise ValueError(f"it has no array {name!r}")


def _element(stream: _Stream, order: str) -> tuple[int, int, bytes | None]:
    """Type and length of the next element; its bytes too where they are inside the tag ("small")."""
    tag = stream.read(8)
    kind, length = struct.unpack(f"{order}2I", tag)
    if kind >> 16:
        return kind & 0xFFFF, kind >> 16, tag[4 : 4 + (kind >> 16)]
    return kind, length, None


def _content(stream: _Stream, order: str) -> bytes:
    _, length, small = _element(stream, order)
    if small is not None:
        return small
    content = stream.read(length)
    stream.read(-length % 8)
    return content


def _about(stream: _Stream, packed: bool, order: str) -> tuple[str, tuple[int, ...]]:
    """Name and shape; the stream then stands before the array's numbers."""
    if packed:
        stream.read(8)  # the matrix's own tag
    _content(stream, order)  # flags
    dimensions = _content(stream, order)
    shape = struct.unpack(f"{order}{len(dimensions) // 4}i", dimensions)
    return _content(stream, order).decode("latin-1"), shape


@contextmanager
def unpacked(path: Path, block: MatBlock) -> Iterator[npt.NDArray[np.uint8]]:
    """A (T, C, W, H) scratch map of an array (T, H, W, C): levels 0..255, or 0..1 scaled to them.

    The scratch file is gone afterwards. Raises ValueError where the file is damaged.
    """
    count, height, width, channels = block.shape
    pixels = math.prod(block.shape[1:])
    with path.open("rb") as file, tempfile.TemporaryDirectory(prefix="physiocam-mat-") as folder:
        file.seek(block.offset)
        stream = _Stream(file, block.length, block.packed)
        _about(stream, block.packed, block.order)
        kind, _, small = _element(stream, block.order)
        if kind not in _NUMBERS or small is not None:
            raise ValueError(f"{path}: the array holds no plain numbers (type {kind})")
        number = np.dtype(block.order + _NUMBERS[kind])
        out = np.memmap(Path(folder) / "pictures", np.uint8, "w+", shape=(count, pixels))
        step = max(1, _SCRATCH_NUMBERS // count)
        for first in range(0, pixels, step):
            some = min(step, pixels - first)
            raw = np.frombuffer(stream.read(some * count * number.itemsize), number).reshape(some, count)
            out[:, first : first + some] = to_levels(raw).T
        try:
            yield out.reshape(count, channels, width, height)
        finally:
            del out
