"""Text for a terminal."""

from __future__ import annotations


def printable(text: str) -> str:
    """``text`` with a question mark for each character that is no plain print: a device names itself, and
    could steer the terminal by its name."""
    return "".join(character if character.isprintable() else "?" for character in text)
