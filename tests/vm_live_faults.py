"""``physio-cam`` on real devices whose ends come and go; test_live_vm runs it in a virtual machine.

Arguments: a clip of I420 pictures, and the folder for what was read.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path

from tests.vm_live_parts import (
    OUTPUT,
    WEBCAM,
    Command,
    Reader,
    Webcam,
    check_end,
    keep,
    pictures_of,
    say,
    until,
)

FPS = 5.0


def main() -> None:
    pictures, folder = pictures_of(Path(sys.argv[1])), Path(sys.argv[2])
    figures: dict[str, object] = {}

    def found(name: str, seconds: float) -> None:
        figures[name] = round(seconds, 3)
        say(f"{name}: {seconds:.2f} s")

    webcam = Webcam(pictures, FPS)
    command = Command("--hr", "90", "--camera", "Webcam", "--output", "PhysioCam", "--fps", f"{FPS:g}",
                      "--size", "144x160", "--settle", "0.5")  # fmt: skip
    until(lambda: command.said("virtual camera: "), "the start")
    until(lambda: command.said("waiting"), "the state waiting without a reader")
    until(lambda: not command.holds(WEBCAM), "the webcam to be closed")

    start = time.monotonic()
    reader = Reader()
    found("a reader comes, picture", reader.wait_for(card=False, start=start, what="a first picture"))
    assert command.holds(WEBCAM) and command.holds(OUTPUT)
    time.sleep(0.6)

    webcam.mode = "stall"
    time.sleep(1 / FPS)  # a picture may be on its way
    fed = webcam.fed_at
    found("stall, card", reader.wait_for(card=True, start=fed, what="a card for a stall"))
    time.sleep(0.5)
    start, webcam.mode = time.monotonic(), "face"
    found("stall over, picture", reader.wait_for(card=False, start=start, what="the end of a stall"))

    time.sleep(0.6)
    start = time.monotonic()
    webcam.close()
    found("unplugged, card", reader.wait_for(card=True, start=start, what="a card for a lost webcam"))
    until(lambda: not command.holds(WEBCAM), "the lost webcam to be closed")
    start = time.monotonic()
    webcam = Webcam(pictures, FPS)
    found("plugged in, picture", reader.wait_for(card=False, start=start, what="the webcam's return"))

    time.sleep(0.6)
    start, webcam.mode = time.monotonic(), "noise"
    found("noise, card", reader.wait_for(card=True, start=start, what="a card for noise"))
    time.sleep(0.6)
    start, webcam.mode = time.monotonic(), "face"
    found("noise over, picture", reader.wait_for(card=False, start=start, what="the end of noise"))

    webcam.close()
    until(lambda: not command.holds(WEBCAM), "the webcam to be closed")
    webcam = Webcam(pictures, 30.0, b"MJPG")
    webcam.mode = "noise"
    start = time.monotonic()
    until(lambda: command.said("damaged pictures in a row"), "the damage to be said")
    assert reader.first_after(start, card=False) is None, "a picture where there was none"
    found("no JPEG, given up", time.monotonic() - start)
    webcam.close()
    until(lambda: not command.holds(WEBCAM), "the webcam to be closed")
    start = time.monotonic()
    webcam = Webcam(pictures, FPS)
    found("no JPEG over, picture", reader.wait_for(card=False, start=start, what="the end of garbage"))

    reader.close()
    frames = reader.frames
    start = time.monotonic()
    until(lambda: command.said("waiting", after=start), "the state waiting when the reader has gone")
    until(lambda: not command.holds(WEBCAM), "the webcam to be closed")
    found("reader gone, webcam closed", time.monotonic() - start)
    start = time.monotonic()
    reader = Reader()
    found("the reader is back, picture", reader.wait_for(card=False, start=start, what="the next picture"))
    reader.close()
    found("SIGTERM, ended", check_end(command))
    webcam.close()
    keep(folder, frames + reader.frames, figures)
    say("every check passed")


if __name__ == "__main__":
    main()
