"""How the output is encoded. The defaults keep colour changes far below one grey level's worth of area."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from streamfilter.errors import UsageError

H264_SUFFIXES = (".mp4", ".mov", ".m4v", ".mkv")
VP9_SUFFIXES = (".webm",)
LOSSLESS_SUFFIXES = (".mkv",)

MAX_CRF = {"libx264": 51, "libvpx-vp9": 63}


@dataclass(frozen=True, slots=True)
class CodecSettings:
    """Encoder settings; frozen, so that a run's report can quote them.

    ``crf`` None takes the codec's default below. B-frames and adaptive quantisation are off: both spend
    fewer bits where the picture hardly changes, which is where a pulse lives; and without B-frames decoding
    times equal display times, so that Matroska keeps the input's times unshifted. The negative chroma offset
    gives U and V, where most of the pulse shows, a finer quantiser than luma. The preset has no trellis,
    which drops small coefficients: of a sine of 0.5 / 0.25 / 0.3 levels in Y / U / V, dithered onto a real
    clip, these settings keep 99 / 97 / 98 %, VP9's about 95 / 80 / 82 %.
    """

    lossless: bool = False
    crf: int | None = None
    x264_crf: int = 12
    x264_preset: str = "veryfast"
    x264_tune: str = "grain"
    x264_params: str = "bframes=0:aq-mode=0:chroma-qp-offset=-12"
    vp9_crf: int = 4
    vp9_speed: int = 5

    def codec_for(self, path: Path) -> str:
        """FFmpeg's name of the encoder for an output at ``path``.

        Raises UsageError for an ending that no container here has, or that cannot hold lossless video.
        """
        suffix = path.suffix.lower()
        if self.lossless:
            if suffix not in LOSSLESS_SUFFIXES:
                raise UsageError(
                    f"--lossless writes FFV1, which needs an output ending in .mkv, not {suffix!r}."
                )
            if self.crf is not None:
                raise UsageError("--crf and --lossless exclude each other: leave one out.")
            return "ffv1"
        if suffix in H264_SUFFIXES:
            return self._checked("libx264")
        if suffix in VP9_SUFFIXES:
            return self._checked("libvpx-vp9")
        raise UsageError(
            f"no video format for an output ending in {suffix!r}. "
            f"Use one of {', '.join((*H264_SUFFIXES, *VP9_SUFFIXES))}, "
            "or no ending for a folder of PNG pictures."
        )

    def _checked(self, codec: str) -> str:
        if self.crf is not None and not 0 <= self.crf <= MAX_CRF[codec]:
            raise UsageError(f"--crf {self.crf} is out of range: 0 (best) to {MAX_CRF[codec]} for {codec}.")
        return codec

    def options(self, codec: str) -> dict[str, str]:
        """Options for the encoder ``codec``, in FFmpeg's names."""
        if codec == "libx264":
            return {
                "crf": str(self.x264_crf if self.crf is None else self.crf),
                "preset": self.x264_preset,
                "tune": self.x264_tune,
                "x264-params": self.x264_params,
            }
        if codec == "libvpx-vp9":
            return {
                "crf": str(self.vp9_crf if self.crf is None else self.crf),
                "b": "0",
                "deadline": "good",
                "cpu-used": str(self.vp9_speed),
                "row-mt": "1",
                "aq-mode": "0",
                "auto-alt-ref": "0",
                "lag-in-frames": "0",
            }
        return {"level": "3", "coder": "1", "context": "0", "g": "1", "slicecrc": "1"}
