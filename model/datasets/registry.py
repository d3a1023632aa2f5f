"""The datasets by name."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

from model.datasets import cohface, mmpd, plain, pure, scamps, ubfc, ubfc_phys
from model.datasets.errors import need_folder
from model.datasets.protocol import Dataset
from streamfilter.errors import UsageError


@dataclass(frozen=True)
class Entry:
    """How a dataset is read, and the layout that its reader wants."""

    read: Callable[[Path], Dataset]
    layout: str


DATASETS: Mapping[str, Entry] = MappingProxyType(
    {
        "pure": Entry(pure.read, pure.LAYOUT),
        "ubfc1": Entry(ubfc.read_1, ubfc.LAYOUT_1),
        "ubfc2": Entry(ubfc.read_2, ubfc.LAYOUT_2),
        "mmpd": Entry(mmpd.read, mmpd.LAYOUT),
        "scamps": Entry(scamps.read, scamps.LAYOUT),
        "ubfc-phys": Entry(ubfc_phys.read, ubfc_phys.LAYOUT),
        "cohface": Entry(cohface.read, cohface.LAYOUT),
        "plain": Entry(plain.read, plain.LAYOUT),
    }
)


def open_dataset(name: str, folder: Path) -> Dataset:
    """The dataset ``name`` that was unpacked into ``folder``; no picture is read yet.

    Raises UsageError for a name that is not known, DatasetError where the folder holds something else.
    """
    if name not in DATASETS:
        raise UsageError(f"no dataset {name!r}: choose from {', '.join(DATASETS)}")
    return DATASETS[name].read(need_folder(folder))
