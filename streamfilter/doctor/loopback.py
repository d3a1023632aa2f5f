"""The virtual camera of Linux: how v4l2loopback is loaded for physio-cam."""

from __future__ import annotations

from pathlib import Path

MODULE = "v4l2loopback"

# exclusive_caps: browsers list a camera only if it says that it does nothing else. Number 10 leaves the low
# numbers to webcams, which come and go.
OPTIONS = 'devices=1 video_nr=10 exclusive_caps=1 card_label="physio-cam"'
MODPROBE = f"sudo modprobe {MODULE} {OPTIONS}"


def foreign_options(root: Path) -> list[Path]:
    """Files of modprobe's configuration below ``root``, other than ours, that set the module's options."""
    found = []
    for folder in ("etc/modprobe.d", "run/modprobe.d", "usr/lib/modprobe.d", "lib/modprobe.d"):
        for path in sorted((root / folder).glob("*.conf")):
            if path.name != "physio-cam.conf" and _sets_options(path):
                found.append(path)
    return found


def _sets_options(path: Path) -> bool:
    try:
        text = path.read_text(encoding="utf-8", errors="replace")
    except OSError:  # a file that we may not read is not ours to judge
        return False
    words = (line.split() for line in text.splitlines())
    return any(line[:2] == ["options", MODULE] for line in words)
