"""physio-cam at run time: takes the true pulse out of a face's video and shows a chosen heart rate."""

from __future__ import annotations

__version__ = "0.1.0"
