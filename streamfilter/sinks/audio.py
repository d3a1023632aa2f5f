"""Sound from the input to the output: packets copied as they are, or encoded anew where they cannot be."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import cast

import av
from av.audio.codeccontext import AudioCodecContext
from av.audio.resampler import AudioResampler
from av.audio.stream import AudioStream
from av.container import OutputContainer
from av.packet import Packet

from streamfilter.capture.media import clock_origin, open_media

_TRANSCODE_BIT_RATE = 192_000


class _Copy:
    """One stream whose packets go through unchanged but for the clock's origin."""

    def __init__(self, output: OutputContainer, source: AudioStream, origin: Fraction) -> None:
        self.stream = output.add_stream_from_template(source)
        self.stream.time_base = source.time_base
        self._shift = round(origin / source.time_base) if source.time_base else 0

    def feed(self, packet: Packet[AudioStream]) -> list[Packet[AudioStream]]:
        if packet.pts is not None:
            packet.pts -= self._shift
        if packet.dts is not None:
            packet.dts -= self._shift
        packet.stream = self.stream
        return [packet]

    def flush(self) -> list[Packet[AudioStream]]:
        return []


class _Transcode:
    """One stream decoded and encoded anew, in a codec that the output's container takes."""

    def __init__(self, output: OutputContainer, source: AudioStream, origin: Fraction, codec: str) -> None:
        context: AudioCodecContext = source.codec_context
        rate = 48_000 if codec == "libopus" else context.sample_rate
        self.stream = cast(AudioStream, output.add_stream(codec, rate=rate))
        self.stream.layout = "stereo" if context.layout.nb_channels >= 2 else "mono"
        self.stream.bit_rate = _TRANSCODE_BIT_RATE
        self.stream.codec_context.open()
        self._source = source
        self._origin = origin
        self._resampler = AudioResampler(
            format=self.stream.codec_context.format.name,
            layout=self.stream.layout.name,
            rate=rate,
            frame_size=self.stream.codec_context.frame_size,
        )

    def feed(self, packet: Packet[AudioStream]) -> list[Packet[AudioStream]]:
        encoded: list[Packet[AudioStream]] = []
        for frame in packet.decode():
            if frame.pts is not None and frame.time_base:
                frame.pts -= round(self._origin / frame.time_base)
            for part in self._resampler.resample(frame):
                encoded += self.stream.encode(part)
        return encoded

    def flush(self) -> list[Packet[AudioStream]]:
        encoded: list[Packet[AudioStream]] = []
        for part in self._resampler.resample(None):
            encoded += self.stream.encode(part)
        return encoded + self.stream.encode(None)


class AudioTracks:
    """Every audio stream of ``media``, fed into ``output`` in step with the pictures.

    Sound and pictures share the input's clock and keep it. A stream whose codec the container does not take
    is encoded as AAC (Opus in WebM), and ``notes`` says so.
    """

    def __init__(self, output: OutputContainer, media: Path) -> None:
        self.notes: tuple[str, ...] = ()
        self._output = output
        self._input = open_media(media)
        try:
            origin = clock_origin(self._input)
            self._tracks: dict[int, _Copy | _Transcode] = {}
            for stream in self._input.streams.audio:
                self._tracks[stream.index] = self._track(stream, origin)
        except BaseException:
            self._input.close()
            raise
        self._origin = origin
        self._packets = self._read()
        self._held: Packet[AudioStream] | None = None

    def _track(self, stream: AudioStream, origin: Fraction) -> _Copy | _Transcode:
        codec = stream.codec_context.codec.canonical_name if stream.codec_context else None
        if codec is None or codec in self._output.supported_codecs:
            return _Copy(self._output, stream, origin)
        target = "libopus" if self._output.format.name == "webm" else "aac"
        name = "Opus" if target == "libopus" else "AAC"
        self.notes += (
            f"the sound ({codec}) cannot be copied into this format and is encoded as {name}; "
            "an output ending in .mkv keeps it as it is",
        )
        return _Transcode(self._output, stream, origin, target)

    def mux_until(self, seconds: float | None) -> None:
        """Writes the sound up to a time on the output's clock; all the rest of it for None.

        Raises what PyAV raises for a failed write.
        """
        while True:
            packet = self._held if self._held is not None else next(self._packets, None)
            self._held = None
            if packet is None:
                return
            if seconds is not None and self._start(packet) > seconds:
                self._held = packet
                return
            self._output.mux(self._tracks[packet.stream.index].feed(packet))

    def flush(self) -> None:
        """Writes what encoders still hold."""
        for track in self._tracks.values():
            self._output.mux(track.flush())

    def close(self) -> None:
        self._input.close()

    def _start(self, packet: Packet[AudioStream]) -> float:
        stamp = packet.pts if packet.pts is not None else packet.dts
        return float((stamp or 0) * packet.time_base - self._origin)

    def _read(self) -> Iterator[Packet[AudioStream]]:
        packets = self._input.demux(*self._input.streams.audio)
        while True:
            try:
                packet = next(packets)
            except StopIteration:
                return
            except av.FFmpegError:
                self.notes += ("the sound of the input is cut off: what could be read was kept",)
                return
            if packet.size:
                yield cast("Packet[AudioStream]", packet)
