"""Engines run an artifact's step graph. Get one from :func:`streamfilter.engine.select.open_engine`."""

from __future__ import annotations

from streamfilter.engine.base import Engine, Gain, State
from streamfilter.engine.select import ENGINE_NAMES, open_engine

__all__ = ["ENGINE_NAMES", "Engine", "Gain", "State", "open_engine"]
