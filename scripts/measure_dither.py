"""How an edit has to be written so that it survives a video encoder: dither, colour and strength compared.

The editor is a band-stop on the colour of each cell of the crop (no network), plus a wanted pulse; each
variant is composited, encoded as a call would, and read as the other side would. Writes a Markdown table::

    python scripts/measure_dither.py --clip ../shared/data/clips/evm_face.mp4 --true 53
    python scripts/measure_dither.py            # the built-in portrait with a known pulse of 68 bpm

Columns: PSNR over the face (dB, in R, G, B and in the planes); the wanted pulse's signal-to-noise ratio in
POS / CHROM / GREEN / PCA, worst of all codecs (dB); readings at the target (within 1.5 bpm); readings of the
true rate once the target is notched out (within 4 bpm); coherence with the true pulse, mean of the codecs.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import cv2
import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from scripts.codec_lab import CODECS, FPS, Read, decode, encode, face_psnr, read
from scripts.pulse_editor import Edit, apply_edit, crops_of, face_box, living_portrait
from streamfilter.dither import Dither, PlaneDither

SKIN = (0.43, 1.0, 0.69)
GREEN = (0.0, 1.0, 0.3)
RED_AGAINST = (-0.4, 1.0, 0.0)

SINGLE = PlaneDither()

# The default of streamfilter.dither is chroma in blocks of 2, thresholds drawn anew in each frame.
VARIANTS = {
    "mean removed, skin's colour 0.6 %": Edit(SKIN, cells=False),
    "cells removed, skin's colour 0.6 %": Edit(SKIN),
    "green 0.4 %": Edit(GREEN, strength=0.004),
    "green 0.6 %": Edit(GREEN),
    "green 0.6 %, red against it": Edit(RED_AGAINST),
    "green 0.6 %, chroma in single samples": Edit(GREEN, dither=Dither(SINGLE, SINGLE)),
    "green 0.6 %, single samples, thresholds still": Edit(GREEN, dither=Dither(SINGLE, SINGLE, still=True)),
    "green 0.6 %, chroma in blocks of 4": Edit(GREEN, dither=Dither(chroma=PlaneDither(block=4))),
    "green 0.6 %, chroma in blocks of 8": Edit(GREEN, dither=Dither(chroma=PlaneDither(block=8))),
    "green 0.6 %, blocks of 4, steps of 2": Edit(GREEN, dither=Dither(chroma=PlaneDither(block=4, step=2))),
    "green 0.6 %, masked 0.1 %": Edit(GREEN, masking=0.001),
    "green 0.6 %, masked 0.2 %": Edit(GREEN, masking=0.002),
    "green 0.6 %, decoy 0.15 %": Edit(GREEN, decoy=0.0015),
}


def main(arguments: list[str] | None = None) -> int:
    """Command line; returns the exit code."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n\n")[0])
    parser.add_argument("--clip", type=Path, help="a video with a face; without it the built-in portrait")
    parser.add_argument("--true", dest="truth", type=float, default=68.0, help="its heart rate, bpm")
    parser.add_argument("--target", type=float, default=90.0)
    parser.add_argument("--only", default="", help="variants whose name holds this")
    parser.add_argument("--seconds", type=float, default=11.0)
    options = parser.parse_args(arguments)
    cv2.setNumThreads(1)
    limit = int(options.seconds * FPS)
    frames = decode(options.clip, limit) if options.clip else living_portrait(limit, options.truth)
    box = face_box(frames[0])
    crops = crops_of(frames, box)
    raw = read(frames, box, options.target, options.truth, None)
    print(
        "| variant | PSNR RGB / planes | worst SNR POS/CHROM/GREEN/PCA | at target | true found | coherence |"
    )
    print("|---|---|---|---|---|---|")
    for name, edit in VARIANTS.items():
        if options.only not in name:
            continue
        edited = apply_edit(frames, crops, box, edit, options.target)
        rgb, planes = face_psnr(frames, edited, box)
        reads = [
            read(encode(edited, codec, kbps), box, options.target, options.truth, raw.reference)
            for codec, kbps in CODECS
        ]
        print(f"| {name} | {rgb:.1f} / {planes:.1f} | {_summary(reads)} |", flush=True)
    return 0


def _summary(reads: list[Read]) -> str:
    worst = np.min([r.snr for r in reads], axis=0)
    close = np.mean([r.coherence for r in reads], axis=0)
    total = sum(len(r.snr) for r in reads)
    return (
        f"{' / '.join(f'{x:.1f}' for x in worst)} | {sum(r.at_target for r in reads)} of {total} "
        f"| {sum(r.true_found for r in reads)} of {total} | {' / '.join(f'{x:.2f}' for x in close)}"
    )


if __name__ == "__main__":
    raise SystemExit(main())
