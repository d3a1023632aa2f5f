"""Errors that callers handle. Each message says what is wrong and what to do about it.

The exit code of the command line is a property of the error's class, so that one table documents both.
"""

from __future__ import annotations


class PhysioCamError(Exception):
    """Base of every error that physio-cam raises on purpose."""

    exit_code = 1


class UsageError(PhysioCamError):
    """A setting or command-line value is out of its range or contradicts another one."""

    exit_code = 2


class SourceError(PhysioCamError):
    """The input cannot be opened or decoded, or holds no video."""

    exit_code = 3


class SinkError(PhysioCamError):
    """The output cannot be created or written; what was there before is untouched."""

    exit_code = 4


class ArtifactError(PhysioCamError):
    """The artifact (trained editor) is missing, damaged, or of a version this program does not know."""

    exit_code = 5


class EngineError(PhysioCamError):
    """No engine can run the artifact, or the engine failed during a step."""

    exit_code = 6


class Interrupted(PhysioCamError):
    """The user stopped the run (Ctrl-C); what was written until then is playable."""

    exit_code = 130
