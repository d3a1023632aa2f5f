"""Which identities may be trained on. The split is by identity and by name: nothing else decides it."""

from __future__ import annotations

import re
from typing import Literal, get_args

from streamfilter.errors import UsageError

Split = Literal["train", "val", "test"]
SPLITS: tuple[Split, ...] = get_args(Split)

# Real clips. evm_face has a true pulse that is known: it is for the evaluation only.
_CLIPS: dict[str, Split] = {
    "evm_face": "test",
    "clm_franck": "test",
    "hschn58": "test",
    "lp_d20": "test",
    "lp_d19": "val",
    "pyfeat": "val",
}
_FIRST_VAL, _FIRST_TEST = 22, 24


def split_of(identity: str) -> Split:
    """The split of an identity: numbered stills by NN (22–23 val, 24 and up test), clips by name."""
    for prefix, split in _CLIPS.items():
        if identity.startswith(prefix):
            return split
    numbered = re.fullmatch(r"[a-z]+_[a-z]+_(\d+)", identity)
    if numbered is None:
        return "train"
    number = int(numbered.group(1))
    if number >= _FIRST_TEST:
        return "test"
    return "val" if number >= _FIRST_VAL else "train"


def require_split(identity: str, split: Split) -> None:
    """Refuse an identity that belongs to another split.

    Raises UsageError: identities of one split must never be drawn for another.
    """
    if split_of(identity) != split:
        raise UsageError(
            f"{identity} belongs to the split {split_of(identity)!r} and cannot be used for {split!r}; "
            "choose other footage"
        )
