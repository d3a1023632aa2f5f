"""physio-cam at run time: takes the true pulse out of a face's video and shows a chosen heart rate."""

from __future__ import annotations

import os

__version__ = "0.1.0"

# ONNX Runtime reads this when it is first imported: without it the library keeps a device identifier and a
# store of usage events in the user's cache folder. A privacy filter leaves none of that.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
