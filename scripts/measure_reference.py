r"""Where the reference editor's decibels go: PSNR over the face's box on generated held-out clips.

python scripts/measure_reference.py --checkpoint runs/compact-reference-strength/last.pt --faces FACES \
    --out runs/measure-window

Three editors: the crop of 72 × 72 put back as it was cut, the VAE's round trip, the trained editor. Prints
a table in Markdown.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import cv2
import numpy as np
import torch

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from model.evaluate.clip import EvalClip
from model.evaluate.metrics import Fidelity, rgb_of
from model.evaluate.synthetic import open_synthetic, synthetic_specs
from model.reference.editor import Array32, ReferenceEditor
from model.reference.network import ReferenceNetwork
from model.reference.pretrained import load_vae
from streamfilter.errors import PhysioCamError


class CropAlone(ReferenceEditor):
    """No network at all: what the crop's resolution costs."""

    def edit_crops(self, crops: Array32, bpm: float, fps: float) -> Array32:
        return crops


class RoundTrip(ReferenceEditor):
    """An untrained network: the VAE's own round trip."""

    def __init__(self, checkpoint: Path) -> None:
        super().__init__(checkpoint)
        vae = self.settings.vae
        untrained = ReferenceNetwork(self.settings.network, load_vae(vae.kind, vae.source, vae.subfolder))
        self.network = untrained.eval()


def psnr(clip: EvalClip, editor: ReferenceEditor) -> float:
    """dB over the face's box, over the part of the clip that is read."""
    given = np.stack([rgb_of(frame) for frame in clip.frames()])
    edited = editor.edit(given, clip.target, clip.fps)
    fidelity = Fidelity()
    for index in range(*clip.read):
        fidelity.add(given[index], edited[index], clip.box(index))
    found = fidelity.figures()["psnr"]
    assert found is not None
    return found


def main(argv: list[str] | None = None) -> int:
    """Runs the command; returns the exit code."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--checkpoint", type=Path, required=True, help="of model.reference.train")
    parser.add_argument("--faces", type=Path, help="folder of stills (default: the built-in portrait)")
    parser.add_argument("--out", type=Path, required=True, help="folder for the clips")
    parser.add_argument("--seconds", type=float, default=20.0, help="read of each clip (%(default)s)")
    parser.add_argument("--clips", type=int, default=3, help="how many (%(default)s)")
    options = parser.parse_args(argv)
    cv2.setNumThreads(1)
    torch.set_num_threads(1)
    print("| clip | crop of 72 × 72 alone | and the VAE's round trip | edited |\n|---|---|---|---|")
    try:
        editors = [kind(options.checkpoint) for kind in (CropAlone, RoundTrip, ReferenceEditor)]
        for spec in synthetic_specs(options.faces, quick=True, seconds=options.seconds)[: options.clips]:
            clip = open_synthetic(spec, options.out / "clips")
            cells = [f"{psnr(clip, editor):.1f}" for editor in editors]
            print(f"| {' | '.join([clip.name, *cells])} |", flush=True)
    except PhysioCamError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main())
