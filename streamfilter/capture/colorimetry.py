"""From the colour description of a file to the matrix and range that the editor computes with."""

from __future__ import annotations

from dataclasses import replace

from streamfilter.capture.source import UNSPECIFIED, ColorTags
from streamfilter.frame import ColorSpec, Matrix

HD_HEIGHT = 720  # rows; from here on untagged video is taken as BT.709, as players do

LIMITED, FULL = 1, 2

_BT709, _RGB = 1, 0
_BT601 = (4, 5, 6)  # FCC, BT.470BG, SMPTE 170M: the same luma weights to within 1 %
_BT601_TAG = 6


def matrix_of(tags: ColorTags, height: int) -> tuple[Matrix, str | None]:
    """The matrix for ``tags``, and a note where the file's own one is only approximated.

    Code points: ITU-T H.273, table 4. ``height`` is that of the stored picture, in rows.
    """
    if tags.matrix == _BT709:
        return "bt709", None
    if tags.matrix in _BT601:
        return "bt601", None
    if tags.matrix in (UNSPECIFIED, _RGB):
        return ("bt601" if height < HD_HEIGHT else "bt709"), None
    return "bt709", f"colour matrix {tags.matrix} of the input is edited as BT.709, its nearest relative"


def color_of(tags: ColorTags, height: int) -> tuple[ColorSpec, str | None]:
    """Matrix and range for a YUV picture with these tags; untagged range is limited."""
    matrix, note = matrix_of(tags, height)
    return ColorSpec(matrix=matrix, full_range=tags.video_range == FULL), note


def tags_after_rgb(tags: ColorTags, color: ColorSpec) -> ColorTags:
    """The tags of a picture that was RGB and has been converted to ``color``."""
    return replace(
        tags,
        matrix=_BT709 if color.matrix == "bt709" else _BT601_TAG,
        video_range=FULL if color.full_range else LIMITED,
    )
