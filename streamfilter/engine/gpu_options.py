"""What all engines on a GPU have in common."""

from __future__ import annotations

import os

import onnxruntime as ort


def gpu_options() -> ort.SessionOptions:
    """A session that is refused, not slowed down, where a part of the graph would run on the processor."""
    options = ort.SessionOptions()
    options.log_severity_level = 3
    options.add_session_config_entry("session.disable_cpu_ep_fallback", "1")
    return options


def without_tf32() -> None:
    """NVIDIA's libraries read this when they load: TF32 rounds a colour by a good part of a pulse.

    The device graph leaves them nothing to round so (export/device/forms.py); this is the second lock.
    """
    os.environ.setdefault("NVIDIA_TF32_OVERRIDE", "0")


def cause(error: Exception) -> str:
    """What went wrong, without ONNX Runtime's prefix and the path of its library."""
    return str(error).rsplit("with error: ", 1)[-1].strip()
