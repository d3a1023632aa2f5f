"""The size of an encoded picture, read from its header before anything is decoded.

A few kilobytes can announce a picture of many megapixels, and a decoder allocates what is announced.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

_START = b"\x00\x00\x01"
_VP8_START = b"\x9d\x01\x2a"
_IDR, _SPS = 5, 7
_SPS_BYTES = 256  # more than the size needs
# profiles whose sequence parameter set tells of the chroma format (ITU-T H.264, 7.3.2.1.1)
_HIGH = frozenset({100, 110, 122, 244, 44, 83, 86, 118, 128, 138, 139, 134, 135})


@dataclass(frozen=True, slots=True)
class EncodedPicture:
    """``key``: decodes without an earlier one. ``sizes``: every (width, height) that it announces, pixels."""

    key: bool
    sizes: tuple[tuple[int, int], ...] = ()


def inspect(codec: str, data: bytes) -> EncodedPicture:
    """What an encoded picture of ``codec`` (VP8, H264) says of itself.

    Raises ValueError where its header is damaged: it must not reach the decoder.
    """
    return _inspect_vp8(data) if codec.upper() == "VP8" else _inspect_h264(data)


def _inspect_vp8(data: bytes) -> EncodedPicture:
    """RFC 6386, 9.1: bit 0 of the frame tag is 0 for a key frame, which carries 14 bits of each side."""
    if len(data) < 3:
        raise ValueError("a VP8 picture of less than three bytes")
    if data[0] & 1:
        return EncodedPicture(False)
    if len(data) < 10 or data[3:6] != _VP8_START:
        raise ValueError("a VP8 key frame without its start code")
    width, height = (int.from_bytes(data[at : at + 2], "little") & 0x3FFF for at in (6, 8))
    return EncodedPicture(True, ((width, height),))


def _inspect_h264(data: bytes) -> EncodedPicture:
    key, sizes = False, []
    for unit in _units(data):
        kind = unit[0] & 0x1F
        key = key or kind == _IDR
        if kind == _SPS:
            sizes.append(_sps_size(unit))
    return EncodedPicture(key, tuple(sizes))


def _units(data: bytes) -> Iterator[bytes]:
    """The network abstraction layer units between start codes (ITU-T H.264, annex B); long ones cut."""
    start = data.find(_START)
    while start != -1:
        start += len(_START)
        end = data.find(_START, start)
        unit = data[start : min(len(data) if end == -1 else end, start + _SPS_BYTES)]
        if unit:
            yield unit
        start = end


class _Bits:
    """Bits of a raw byte sequence payload, most significant first."""

    def __init__(self, data: bytes) -> None:
        self._number = int.from_bytes(data, "big")
        self._left = 8 * len(data)

    def take(self, count: int) -> int:
        if count > self._left:
            raise ValueError("a sequence parameter set that ends early")
        self._left -= count
        return (self._number >> self._left) & ((1 << count) - 1)

    def golomb(self) -> int:
        """ue(v), ITU-T H.264, 9.1."""
        zeros = 0
        while not self.take(1):
            zeros += 1
            if zeros > 32:
                raise ValueError("a sequence parameter set with an endless number")
        return (1 << zeros) - 1 + self.take(zeros)

    def signed(self) -> int:
        """se(v), ITU-T H.264, 9.1.1."""
        code = self.golomb()
        return (code + 1) // 2 if code & 1 else -(code // 2)


def _sps_size(unit: bytes) -> tuple[int, int]:
    """Coded width and height, before cropping: what the decoder allocates (ITU-T H.264, 7.3.2.1.1)."""
    bits = _Bits(unit[1:].replace(b"\x00\x00\x03", b"\x00\x00"))
    profile = bits.take(8)
    bits.take(16)  # constraint flags, level
    bits.golomb()  # number of the set
    chroma = 1
    if profile in _HIGH:
        chroma = bits.golomb()
        if chroma == 3:
            bits.take(1)
        bits.golomb(), bits.golomb()  # bit depths
        bits.take(1)
        if bits.take(1):
            _skip_scaling(bits, 12 if chroma == 3 else 8)
    bits.golomb()  # length of frame numbers
    order = bits.golomb()
    if order == 0:
        bits.golomb()
    elif order == 1:
        bits.take(1)
        bits.golomb(), bits.golomb()
        for _ in range(min(bits.golomb(), 256)):
            bits.golomb()
    bits.golomb()  # reference frames
    bits.take(1)
    width, height = 16 * (bits.golomb() + 1), 16 * (bits.golomb() + 1)
    return width, height * (2 - bits.take(1))  # fields are half as high as their frame


def _skip_scaling(bits: _Bits, lists: int) -> None:
    """ITU-T H.264, 7.3.2.1.1.1."""
    for index in range(lists):
        if not bits.take(1):
            continue
        last = following = 8
        for _ in range(16 if index < 6 else 64):
            if following:
                following = (last + bits.signed()) % 256
            last = following or last
