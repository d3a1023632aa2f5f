"""What a check says, and how one that itself fails says so."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

from streamfilter.errors import PhysioCamError


class Verdict(StrEnum):
    OK = "ok"
    WARN = "warn"  # it works, with less than it could
    FAIL = "fail"  # the live filter does not work like this


@dataclass(frozen=True, slots=True)
class Check:
    """One line of the doctor's list.

    ``what`` is what was found. ``what_to_do`` is one step a line, empty where nothing is to be done; a line
    that starts with two spaces is a command, to be copied as it stands.
    """

    name: str
    verdict: Verdict
    what: str
    what_to_do: str = ""


def ok(name: str, what: str) -> Check:
    return Check(name, Verdict.OK, what)


def warn(name: str, what: str, *what_to_do: str) -> Check:
    return Check(name, Verdict.WARN, what, "\n".join(what_to_do))


def fail(name: str, what: str, *what_to_do: str) -> Check:
    return Check(name, Verdict.FAIL, what, "\n".join(what_to_do))


def examined(name: str, check: Callable[[], Check]) -> Check:
    """The check's answer; whatever it raises is a failed check that names the error."""
    try:
        return check()
    except PhysioCamError as error:  # says itself what is wrong and what to do
        return fail(name, str(error))
    except Exception as error:  # noqa: BLE001  # a doctor that breaks down helps nobody
        said = str(error) or "without a message"
        return fail(
            name,
            f"the check itself failed, {type(error).__name__}: {said}",
            "report this, with the output of: physio-cam doctor --json",
        )
