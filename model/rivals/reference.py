"""The paper's own setting (`model.reference`), trained, as a rival."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from model.reference.editor import ReferenceEditor
from model.rivals.protocol import Array64, Frames


@dataclass(frozen=True)
class ReferenceRival:
    """Edits with a checkpoint, at the clip's mean frame rate."""

    editor: ReferenceEditor

    @classmethod
    def load(cls, checkpoint: Path) -> ReferenceRival:
        """Raises UsageError where the checkpoint, or the VAE that it names, is absent or damaged."""
        return cls(ReferenceEditor(checkpoint))

    def edit(self, frames: Frames, pts: Array64, bpm: float) -> Frames:
        """As `protocol.Rival.edit`."""
        fps = (len(pts) - 1) / max(float(pts[-1] - pts[0]), 1e-9) if len(pts) > 1 else 30.0
        return self.editor.edit(frames, bpm, fps)
