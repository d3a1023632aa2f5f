"""How busy an NVIDIA GPU is, by the driver's own library (``nvidia-ml-py``), where both are there."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

ABSENT = "GPU not measured: nvidia-ml-py is not installed (pip install 'physio-cam[bench]')"


@dataclass(frozen=True, slots=True)
class GpuUse:
    """Mean utilisation in per cent and the most memory in MB of the samples that were taken."""

    utilisation: float
    memory_mb: float


class Gpu:
    """The first GPU of this machine. ``note`` says why there is none (None: there is one)."""

    def __init__(self, library: Callable[[], Any] | None = None) -> None:
        self.name: str | None = None
        self.driver: str | None = None
        self.note: str | None = None
        self._samples: list[tuple[float, float]] = []
        self._library: Any = None
        try:
            loaded = _load() if library is None else library()
        except ImportError:
            self.note = ABSENT
            return
        try:
            loaded.nvmlInit()
            self._handle = loaded.nvmlDeviceGetHandleByIndex(0)
            self.name = str(loaded.nvmlDeviceGetName(self._handle))
            self.driver = str(loaded.nvmlSystemGetDriverVersion())
        except loaded.NVMLError as error:
            self.note = f"GPU not measured: no NVIDIA GPU answers ({error})"
            return
        self._library = loaded

    def sample(self) -> None:
        """Look once; does nothing where there is no GPU."""
        if self._library is None:
            return
        busy = self._library.nvmlDeviceGetUtilizationRates(self._handle).gpu
        used = self._library.nvmlDeviceGetMemoryInfo(self._handle).used
        self._samples.append((float(busy), used / 1e6))

    def use(self) -> GpuUse | None:
        """Of the samples since the last call; None where there are none."""
        taken, self._samples = self._samples, []
        if not taken:
            return None
        busy, used = np.array(taken).T
        return GpuUse(round(float(busy.mean()), 1), round(float(used.max()), 1))


def _load() -> Any:
    import pynvml

    return pynvml
