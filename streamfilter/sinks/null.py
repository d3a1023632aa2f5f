"""A sink that counts frames and keeps none, for measurements."""

from __future__ import annotations

from streamfilter.frame import Frame


class NullSink:
    """Throws every frame away."""

    def __init__(self) -> None:
        self.count = 0

    @property
    def notes(self) -> tuple[str, ...]:
        return ()

    def write(self, frame: Frame) -> None:
        self.count += 1

    def close(self) -> None:
        """Nothing to finish."""

    def finish_early(self) -> None:
        """Nothing to finish."""

    def abort(self) -> None:
        """Nothing to remove."""
