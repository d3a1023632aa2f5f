"""Sizes are read from what real encoders write, and from damage nothing but a ValueError comes."""

from __future__ import annotations

from contextlib import suppress

import pytest
from aiortc.codecs.h264 import h264_depayload
from aiortc.codecs.vpx import vp8_depayload
from hypothesis import given
from hypothesis import strategies as st

from streamfilter.relay.media.encoders import PacedEncoder
from streamfilter.relay.media.frames import picture_for_encoder
from streamfilter.relay.media.picture_size import EncodedPicture, inspect
from tests.relay.test_media_frames import noise


def encoded(codec: str, width: int, height: int, pictures: int = 2) -> list[bytes]:
    h264 = codec == "H264"
    encoder = PacedEncoder(h264, 1000, lambda pts, now, worked: None)
    made = []
    for index in range(pictures):
        payloads, pts = encoder.encode(picture_for_encoder(noise(width, height), 3000 * index, h264))
        assert pts == 3000 * index and all(len(payload) <= 1300 for payload in payloads)
        made.append(b"".join((h264_depayload if h264 else vp8_depayload)(one) for one in payloads))
    return made


@pytest.mark.parametrize("codec", ["VP8", "H264"])
@pytest.mark.parametrize(("width", "height"), [(320, 240), (640, 368), (1280, 720)])
def test_the_size_is_read_from_a_key_frame(codec: str, width: int, height: int) -> None:
    first, second = encoded(codec, width, height)
    assert inspect(codec, first) == EncodedPicture(True, ((width, height),))
    assert inspect(codec, second) == EncodedPicture(False)


@pytest.mark.parametrize("codec", ["VP8", "H264"])
@given(data=st.binary(max_size=200), start=st.sampled_from([b"", b"\0\0\0\1\x67", b"\0\0\1\x67\x64\0\x1f"]))
def test_damage_raises_nothing_but_value_error(codec: str, data: bytes, start: bytes) -> None:
    with suppress(ValueError):
        for width, height in inspect(codec, start + data).sizes:
            assert width >= 0 and height >= 0


def test_a_few_bytes_that_announce_a_huge_picture_are_seen() -> None:
    header = bytes([0, 0, 0, 0x9D, 1, 0x2A]) + (8192).to_bytes(2, "little") + (8191).to_bytes(2, "little")
    assert inspect("VP8", header).sizes == ((8192, 8191),)


def test_a_high_profile_with_scaling_lists_is_read() -> None:
    bits = f"{100:08b}{0:08b}{31:08b}" + "1"  # profile, constraints, level, set 0
    bits += "010" + "1" + "1" + "0" + "1"  # chroma 4:2:0, 8 bits, no bypass, scaling lists
    bits += "1" + "1" * 16 + "0" * 7  # one list of sixteen unchanged values
    bits += "1" + "011" + "1" + "0"  # frame numbers, order 2, one reference, no gaps
    bits += "0000000001000000000" + "0000000001000000000" + "1"  # 512 blocks each way, frames
    bits += "1" + "0" * (-(len(bits) + 1) % 8)
    data = b"\0\0\0\1\x67" + int(bits, 2).to_bytes(len(bits) // 8, "big").replace(b"\0\0\0", b"\0\0\3\0")
    assert inspect("H264", data).sizes == ((8192, 8192),)
