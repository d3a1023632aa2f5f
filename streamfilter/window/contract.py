"""What a window artifact promises: ``window.onnx`` takes a whole window of crops and gives them back edited.

Its manifest is one of its own, told from a stream editor's by ``kind``. Programs from before it know neither
and say that they need an update, since its format is 2.
"""

from __future__ import annotations

from dataclasses import dataclass

from streamfilter.contract import TensorSpec

FORMAT_VERSION = 2
GRAPH = "window.onnx"

CROPS = "crops"  # (1, W, 3, S, S) float32: R, G, B of the face's box in each frame, 0..1, unrounded
TEXT = "text"  # (1, D) float32: frozen embedding of the wanted heart rate
PHASE = "phase"  # (1, W, 2) float32: cos and sin of the wanted pulse's phase at each frame
EDITED = "edited"  # (1, W, 3, S, S) float32: the crops as they should look, about 0..1


@dataclass(frozen=True, slots=True)
class WindowManifest:
    """The contents of a window artifact's ``manifest.json``, checked.

    ``window`` is W, the frames that the graph takes at once, ``crop_size`` S, ``vae`` the kind of its VAE,
    ``pulse_direction`` the relative amplitudes in R, G, B of the pulse that skin beyond the face is given.
    The other fields are as :class:`streamfilter.contract.Manifest` has them.
    """

    format_version: int
    kind: str
    name: str
    files: dict[str, str]
    crop_size: int
    window: int
    nominal_fps: float
    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]
    bpm_grid: tuple[int, ...]
    text_encoder: str
    vae: str
    pulse_direction: tuple[float, float, float]
    training: dict[str, object]
    measured: dict[str, object]
    licence: str
