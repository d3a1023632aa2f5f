"""A real driver's webcam that is pulled out 20 times under ``physio-cam``; test_live_vm runs it in a machine.

The kernel's test webcam vivid shows no face, so that the card "no face in view" is what says that its
pictures are read and filtered again. Argument: the folder for the figures.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path

from tests.vm_live_parts import (
    Command,
    Reader,
    keep,
    say,
    until,
)

TIMES = 20
VIVID = "/dev/video0"
WIDTH, HEIGHT = 320, 180
DRIVER = Path("/sys/bus/platform/drivers/vivid")


def main() -> None:
    folder = Path(sys.argv[1])
    command = Command("--hr", "90", "--camera", "vivid", "--output", "PhysioCam", "--fps", "5",
                      "--size", f"{WIDTH}x{HEIGHT}")  # fmt: skip
    until(lambda: command.said("virtual camera: "), "the start")
    reader = Reader(WIDTH * HEIGHT * 3 // 2, WIDTH * HEIGHT)
    until(lambda: command.said("no face in view"), "the state 'no face in view'")
    no_face = reader.frames[-1][1]

    def shows(is_read: bool) -> bool:
        return (reader.frames[-1][1] == no_face) is is_read

    lost, back = [], []
    for number in range(TIMES):
        start = time.monotonic()
        (DRIVER / "unbind").write_text("vivid.0")
        until(lambda: shows(is_read=False), "the loss to be seen")
        lost.append(time.monotonic() - start)
        until(lambda: not command.holds(VIVID), "the lost webcam to be closed")
        time.sleep(0.3 * (number % 4))  # at different places of the schedule of attempts
        (DRIVER / "bind").write_text("vivid.0")
        back.append(until(lambda: shows(is_read=True), "the recovery"))
        say(f"{number + 1}: card after {lost[-1]:.2f} s, back after {back[-1]:.2f} s")
        time.sleep(0.3)
    reader.close()
    assert all(reader.is_card(frame) for _, frame in reader.frames), "vivid's picture left unedited"
    figures: dict[str, object] = {"lost": lost, "back": back, "SIGTERM, ended": command.terminate()}
    keep(folder, [], figures)
    say("every check passed")


if __name__ == "__main__":
    main()
