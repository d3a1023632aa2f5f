"""The reference setting (`model.reference`), trained here, as a rival."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from model.reference.checkpoint import KIND
from model.reference.editor import ReferenceEditor
from model.reference.files import load_content
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


def described(checkpoint: Path) -> str:
    """What a reader has to know of the editor: its VAE, how far it was trained, what came of it.

    Raises UsageError where the checkpoint is absent or damaged.
    """
    about = load_content(checkpoint, KIND)
    settings, psnr = about["settings"], about["metrics"].get("psnr", float("nan"))
    return (
        f"reference: {settings['vae']['kind']} VAE, step {about['step']} of {settings['optimiser']['steps']} "
        f"of its training; its last validation: PSNR {psnr:.1f} dB over the 72 × 72 crop"
    )
