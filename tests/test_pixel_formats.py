from __future__ import annotations

from fractions import Fraction
from typing import Any

import av
import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streamfilter.capture.pixel_formats import (
    DamagedPictureError,
    JpegDecoder,
    Layout,
    decoder_for,
    halve_rows,
    range_table,
)
from streamfilter.errors import SourceError
from streamfilter.frame import Plane

SIZES = st.tuples(st.integers(8, 24).map(lambda half: 2 * half), st.integers(16, 41))


def random_planes(width: int, height: int, seed: int) -> tuple[Plane, Plane, Plane]:
    """Luma and 4:2:2 chroma: (height, width) and twice (height, width / 2)."""
    random = np.random.default_rng(seed)
    y, u, v = (
        random.integers(0, 256, (height, columns), np.uint8) for columns in (width, width // 2, width // 2)
    )
    return y, u, v


def padded(plane: Plane, stride: int) -> Plane:
    """The rows at ``stride`` bytes, the gap full of a value that must not be seen."""
    return np.pad(plane, ((0, 0), (0, stride - plane.shape[1])), constant_values=77)


def packed(order: str, y: Plane, u: Plane, v: Plane, stride: int) -> bytes:
    height, width = y.shape
    cells = np.empty((height, width // 2, 4), np.uint8)
    places = {"YUYV": (0, 1, 3), "UYVY": (1, 0, 2)}[order]
    luma, first, second = places
    cells[..., luma], cells[..., luma + 2] = y[:, 0::2], y[:, 1::2]
    cells[..., first], cells[..., second] = u, v
    return padded(cells.reshape(height, 2 * width), stride).tobytes()


def row_means(chroma: npt.NDArray[Any]) -> npt.NDArray[np.float64]:
    pairs = np.pad(chroma, ((0, chroma.shape[0] % 2), (0, 0)), mode="edge").astype(float)
    return np.asarray((pairs[0::2] + pairs[1::2]) / 2, np.float64)


@settings(deadline=None, max_examples=30)
@given(SIZES, st.sampled_from(["YUYV", "UYVY"]), st.integers(0, 40), st.integers(0, 99))
def test_packed_pixels_keep_luma_and_halve_chroma(
    size: tuple[int, int], order: str, gap: int, seed: int
) -> None:
    width, height = size
    y, u, v = random_planes(width, height, seed)
    stride = 2 * width + gap
    data = packed(order, y, u, v, stride)
    got = decoder_for(Layout(order, width, height, stride)).decode(data)
    np.testing.assert_array_equal(got.y, y)
    for plane, whole in ((got.u, u), (got.v, v)):
        assert plane.shape == ((height + 1) // 2, width // 2)
        assert np.abs(plane - row_means(whole)).max() <= 0.5
    assert all(plane.flags.c_contiguous for plane in got)


@settings(deadline=None, max_examples=30)
@given(SIZES, st.booleans(), st.integers(0, 20).map(lambda half: 2 * half), st.integers(0, 99))
def test_planar_pixels_come_out_as_they_are(
    size: tuple[int, int], interleaved: bool, gap: int, seed: int
) -> None:
    width, height = size
    y, u, v = random_planes(width, height, seed)
    u, v = u[: (height + 1) // 2], v[: (height + 1) // 2]
    stride = width + gap
    if interleaved:
        chroma = padded(np.stack([u, v], -1).reshape(u.shape[0], -1), stride).tobytes()
    else:
        chroma = padded(u, stride // 2).tobytes() + padded(v, stride // 2).tobytes()
    layout = Layout("NV12" if interleaved else "YU12", width, height, stride)
    got = decoder_for(layout).decode(padded(y, stride).tobytes() + chroma)
    for plane, original in zip(got, (y, u, v), strict=True):
        np.testing.assert_array_equal(plane, original)


@pytest.mark.parametrize(("name", "size"), [("YUYV", 512), ("UYVY", 512), ("NV12", 384), ("YU12", 384)])
def test_a_raw_buffer_one_byte_short_is_damaged_and_a_whole_one_is_not(name: str, size: int) -> None:
    decoder = decoder_for(Layout(name, 16, 16))
    data = bytearray(range(256)) * 2
    before = decoder.decode(memoryview(data)[:size])
    copies = [plane.copy() for plane in before]
    data[:] = bytes(len(data))  # the driver fills the buffer anew
    for plane, copy in zip(before, copies, strict=True):
        np.testing.assert_array_equal(plane, copy)
    for short in (size - 1, 17, 0):
        with pytest.raises(DamagedPictureError, match="whole"):
            decoder.decode(memoryview(data)[:short])


def test_the_last_row_needs_no_padding() -> None:
    planes = decoder_for(Layout("YUYV", 16, 16, 64)).decode(bytes([9]) * (15 * 64 + 32))
    assert planes.y.shape == (16, 16) and (planes.y == 9).all()


def test_full_range_is_brought_to_limited_range() -> None:
    luma, chroma = range_table(chroma=False), range_table(chroma=True)
    assert (luma[0], luma[255], chroma[0], chroma[128], chroma[255]) == (16, 235, 16, 128, 240)
    assert (np.diff(luma.astype(int)) >= 0).all() and (np.diff(chroma.astype(int)) >= 0).all()
    data = bytes([0, 255]) * 256
    full = decoder_for(Layout("YUYV", 16, 16, full_range=True)).decode(data)
    plain = decoder_for(Layout("YUYV", 16, 16)).decode(data)
    assert (full.y == 16).all() and (full.u == 240).all()
    assert (plain.y == 0).all() and (plain.u == 255).all()


def test_means_of_rows_have_no_bias() -> None:
    random = np.random.default_rng(0)
    plane = random.integers(0, 256, (512, 256), np.uint8)
    assert abs(float((halve_rows(plane) - row_means(plane)).mean())) < 0.01


@pytest.mark.parametrize(
    "layout", [Layout("RGB3", 64, 64), Layout("YUYV", 64, 64, 100), Layout("NV12", 8, 64)]
)
def test_what_cannot_be_read_is_said_at_once(layout: Layout) -> None:
    with pytest.raises(SourceError, match=r"[Cc]hoose"):
        decoder_for(layout)


def colour_card(width: int, height: int) -> Plane:
    """(height, width, 3) RGB: smooth ramps in all three, as a camera's picture."""
    rows, columns = np.mgrid[0:height, 0:width]
    ramps = (columns / width, rows / height, 0.5 + 0.5 * np.sin(columns / 40 + rows / 60))
    return np.asarray(np.rint(np.stack(ramps, -1) * 200 + 30), np.uint8)


def jpeg(name: str, width: int = 160, height: int = 96, quality: int = 2) -> tuple[bytes, av.VideoFrame]:
    """A JPEG as cameras send it, and the full-range picture that it holds."""
    codec = av.CodecContext.create("mjpeg", "w")
    assert isinstance(codec, av.VideoCodecContext)
    codec.width, codec.height, codec.pix_fmt, codec.time_base = width, height, name, Fraction(1, 30)
    codec.qmin = codec.qmax = quality
    codec.options = {"strict": "-1"}
    picture = av.VideoFrame.from_ndarray(colour_card(width, height), "rgb24").reformat(
        format=name, dst_colorspace="ITU601", dst_color_range="JPEG"
    )
    return b"".join(bytes(each) for each in (*codec.encode(picture), *codec.encode(None))), picture


@pytest.mark.parametrize("name", ["yuvj422p", "yuvj420p", "yuvj444p"])
@pytest.mark.parametrize(("width", "height"), [(160, 96), (98, 75)])
def test_a_jpeg_becomes_the_same_colours_in_limited_range(name: str, width: int, height: int) -> None:
    data, picture = jpeg(name, width, height)
    got = decoder_for(Layout("MJPG", width, height)).decode(data + bytes(100))  # padded, as by some cameras
    assert got.y.shape == (height, width)
    assert got.u.shape == got.v.shape == ((height + 1) // 2, (width + 1) // 2)
    for plane, full, scale in zip(got, picture.planes, (219, 224, 224), strict=True):
        rows = (
            np.frombuffer(memoryview(full), np.uint8).reshape(full.height, -1)[:, : full.width].astype(float)
        )
        if rows.shape[0] > plane.shape[0]:
            rows = row_means(rows)
        if rows.shape[1] > plane.shape[1]:
            rows = row_means(rows.T).T
        wanted = 16 + rows * 219 / 255 if scale == 219 else 128 + (rows - 128) * 224 / 255
        difference = plane - wanted  # what JPEG itself loses is in it
        bias = 0.7 if name == "yuvj444p" else 0.3  # no camera sends 4:4:4: FFmpeg's own way will do
        assert np.abs(difference).mean() < 1.2 and abs(difference.mean()) < bias


def test_damaged_jpegs_raise_and_the_next_good_one_is_whole() -> None:
    data, _ = jpeg("yuvj422p")
    decoder = JpegDecoder(Layout("MJPG", 160, 96))
    good = decoder.decode(data)
    middle = len(data) // 2
    noise = np.random.default_rng(3).integers(0, 256, 60, np.uint8).tobytes()
    damaged = {
        "empty": b"",
        "zeros": bytes(500),
        "cut in half": data[:middle],
        "cut near its end": data[:-3],
        "zeros at the end": data[:middle] + bytes(len(data) - middle),
        "noise within": data[:middle] + noise + data[middle + 60 :],
        "header only": data[:200],
        "two halves of two pictures": data[:middle] + data[-middle // 2 :],
    }
    for what, each in damaged.items():
        with pytest.raises(DamagedPictureError):
            pytest.fail(f"{what}: {decoder.decode(each).y.shape}")
        for plane, same in zip(decoder.decode(data), good, strict=True):
            np.testing.assert_array_equal(plane, same)


@settings(deadline=None, max_examples=60)
@given(st.data())
def test_no_bytes_make_the_jpeg_decoder_fail_otherwise(data: st.DataObject) -> None:
    whole, _ = jpeg("yuvj420p", 64, 48)
    decoder = JpegDecoder(Layout("MJPG", 64, 48))
    damage = bytearray(whole)
    for place in data.draw(st.lists(st.integers(0, len(whole) - 1), min_size=1, max_size=20)):
        damage[place] = data.draw(st.integers(0, 255))
    try:
        planes = decoder.decode(bytes(damage))
    except DamagedPictureError:
        return
    assert planes.y.size <= 2 * 64 * 48
    assert planes.u.shape == ((planes.y.shape[0] + 1) // 2, (planes.y.shape[1] + 1) // 2)


def test_a_jpeg_of_another_size_is_handed_on_up_to_twice_the_area() -> None:
    decoder = decoder_for(Layout("MJPG", 160, 96))
    assert decoder.decode(jpeg("yuvj422p", 160, 104)[0]).y.shape == (104, 160)
    with pytest.raises(DamagedPictureError):
        decoder.decode(jpeg("yuvj422p", 640, 480)[0])
