"""What an artifact promises: tensor names, shapes and the manifest. The single source of shapes at run time.

``step.onnx`` takes one frame's crop and returns one relative gain map; its recurrent state enters and
leaves as named tensors, ``state.<name>`` in and ``next.<name>`` out, zeros at the start of a stream.
"""

from __future__ import annotations

from dataclasses import dataclass

FORMAT_VERSION = 1
WINDOW_KIND = "window"  # in a window editor's manifest (streamfilter/window/); a stream editor's has no kind
MANIFEST = "manifest.json"
STEP_GRAPH = "step.onnx"
CONDITIONING = "conditioning.npz"
SERVING_GRAPH = "serving.onnx"  # optional: the same step for many streams at once, see export/serving.py
DEVICE_GRAPH = "device.onnx"  # optional: the same for a GPU that keeps the state, see export/device/graph.py

CROP = "crop"  # (1, 3, S, S) float32: R, G, B of the face's box, 0..1, unrounded
TEXT = "text"  # (1, D) float32: frozen embedding of the wanted heart rate
PHASE = "phase"  # (1, 2) float32: cos and sin of the wanted pulse's phase
STRENGTH = "strength"  # (1, 1) float32: 1 shows the wanted pulse in full, 0 shows none
MASKING = "masking"  # (1, 3, 3, 3) float32: relative noise of R, G, B on a 3 x 3 grid over the crop
DT = "dt"  # (1, 1) float32: seconds since the previous step of this stream
GAIN = "gain"  # (1, 3, S, S) float32: relative change of R, G, B; out = in * (1 + gain)
STATE_PREFIX = "state."
NEXT_PREFIX = "next."
# In the serving and the device graph only, where every first axis is the batch:
FRAME = "frame"  # (B,) int64: steps that the stream has done; device graph: HOLD leaves its state as it is
HOLD = -1
RING_PREFIX = "ring."  # the past, oldest overwritten first: read by the graph, written by the engine
ROW_PREFIX = "row."  # this step's entry of the ring of that name: size 1 along the ring's axis

STEP_INPUTS = (CROP, TEXT, PHASE, STRENGTH, DT, MASKING)


@dataclass(frozen=True, slots=True)
class TensorSpec:
    """Name, shape and dtype (NumPy name) of one tensor of the graph."""

    name: str
    shape: tuple[int, ...]
    dtype: str


@dataclass(frozen=True, slots=True)
class Manifest:
    """The contents of ``manifest.json``, checked.

    ``files`` maps each file of the artifact to its sha256. ``crop_size`` is S of the crop, ``context``
    the number of past frames that the graph looks back over, ``nominal_fps`` the rate it was trained at.
    ``bpm_grid`` lists the heart rates (beats a minute) that ``conditioning.npz`` holds a row for.
    ``masking`` is the level (relative, rms) of the random in-band colour change that the runtime adds,
    ``pulse_direction`` the relative amplitudes of the wanted pulse in R, G, B.
    """

    format_version: int
    name: str
    files: dict[str, str]
    crop_size: int
    context: int
    nominal_fps: float
    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]
    bpm_grid: tuple[int, ...]
    text_encoder: str
    masking: float
    pulse_direction: tuple[float, float, float]
    training: dict[str, object]
    measured: dict[str, object]
    licence: str

    def state_inputs(self) -> tuple[TensorSpec, ...]:
        """The recurrent state's tensors, as inputs of the graph."""
        return tuple(spec for spec in self.inputs if spec.name.startswith(STATE_PREFIX))
