"""The median of a few hundred numbers, without the preparations for any input that NumPy's own makes."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt


def median(values: npt.NDArray[np.floating]) -> float:
    """As ``float(np.median(values))``, of any shape, for values that are finite and at least one."""
    upper = values.size // 2
    lower = (values.size - 1) // 2
    ordered = np.partition(values, (lower, upper), axis=None)
    # In the values' own precision, as NumPy does it.
    return float((ordered[lower] + ordered[upper]) / values.dtype.type(2))
