"""Figures that others have published, to stand beside ours; none of them was measured here.

Zhou, Paruchuri, Spjut, Akşit 2025, arXiv 2509.25348. Its abstract gives PSNR 38.96 dB, SSIM 0.98, MAE 10.00
bpm, MAPE 10.09 %, and names neither dataset nor estimator; that these are its averages on PURE, read by POS,
and all else is from a public reading note of it and could not be checked against the paper. PulseEdit's row
is as run by those authors. Neither PulseEdit's (Chen, Liao, Wu 2022) nor Privacy-Phys's (Sun, Li 2022) own
tables were to be had.
"""

from __future__ import annotations

from dataclasses import dataclass
from types import MappingProxyType

ESTIMATOR = "POS"


@dataclass(frozen=True)
class Published:
    """One row. ``target`` None: the average over targets. ``confirmed``: PSNR, SSIM, MAE and MAPE are seen
    in the paper's own text."""

    method: str
    dataset: str
    target: float | None
    psnr: float
    ssim: float
    input_mae: float | None
    output_mae: float
    output_mape: float
    confirmed: bool = False


_PHYSIOLATENT, _PULSE_EDIT = "PhysioLatent (the paper)", "PulseEdit (as the paper ran it)"

ROWS = (
    Published(_PHYSIOLATENT, "PURE", 60, 39.04, 0.98, 38.95, 9.22, 8.20),
    Published(_PHYSIOLATENT, "PURE", 80, 39.02, 0.98, 41.80, 9.98, 10.55),
    Published(_PHYSIOLATENT, "PURE", 100, 38.85, 0.98, 44.67, 10.41, 10.29),
    Published(_PHYSIOLATENT, "PURE", 120, 38.94, 0.9761, 50.63, 10.36, 11.34),
    Published(_PHYSIOLATENT, "PURE", None, 38.96, 0.98, 44.01, 10.00, 10.09, confirmed=True),
    Published(_PHYSIOLATENT, "UBFC", 120, 40.04, 0.9803, None, 11.18, 10.15),
    Published(_PHYSIOLATENT, "UBFC", None, 40.09, 0.98, 26.77, 11.08, 10.57),
    Published(_PHYSIOLATENT, "MMPD", 120, 37.87, 0.9542, None, 10.75, 7.96),
    Published(_PHYSIOLATENT, "MMPD", None, 37.50, 0.95, 44.58, 9.84, 8.09),
    Published(_PULSE_EDIT, "PURE", 120, 42.68, 0.9720, None, 16.71, 12.26),
    Published(_PULSE_EDIT, "UBFC", 120, 43.08, 0.9867, None, 15.07, 15.56),
    Published(_PULSE_EDIT, "MMPD", 120, 41.72, 0.9664, None, 20.36, 18.30),
)

NAMES = MappingProxyType({"pure": "PURE", "ubfc1": "UBFC", "ubfc2": "UBFC", "mmpd": "MMPD"})
NOTE = """Published figures were not measured here. PSNR, SSIM, MAE and MAPE of PhysioLatent's average (marked
*published*) stand in the paper's abstract, which names neither dataset nor estimator; that they are
of PURE, read by POS, and all other figures are from a public reading note and could not be checked
(*published, unconfirmed*). PulseEdit's are as those authors ran it. The tables of PulseEdit's and
Privacy-Phys's own papers were not to be had; of the latter a reading note says that its PSNR came to
51 dB and more, with no figure of the error.
"""
