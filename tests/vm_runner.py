"""Runs a script of this folder in a small virtual machine with real video devices, by vmrun."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
SHARED = Path(os.environ.get("PHYSIOCAM_SHARED", ROOT.parent / "shared"))
PER_NANOSECOND = 6  # instructions: the speed of the counted machine, a slow laptop's core

# An emulated machine is 10 to 40 times too slow for deadlines, and the busier its host the slower. Here QEMU
# counts instructions instead of looking at the clock (-icount): the machine's second lasts as many of them
# wherever it runs, however long that takes outside. The kernel's tsc_early_khz makes it a faster machine.
_QEMU = """#!{python}
import os, sys
given = ["tcg,thread=single,tb-size=512" if each.startswith("tcg,") else each for each in sys.argv[1:]]
os.execv({qemu!r}, [{qemu!r}, *given, "-icount", "shift=0"])
"""


def run_in_machine(
    script: str,
    *arguments: str,
    folder: Path,
    timeout: float = 500,
    counted: bool = False,
    options: Sequence[str] = (),
) -> str:
    """What ``tests/SCRIPT`` printed in the machine; skips where there is no vmrun, fails where it fails.

    ``folder`` can be written to from inside. ``counted``: the machine's time is counted in instructions, so
    that a second in it is one of a computer that is fast enough, on any host. ``timeout`` is in the host's
    seconds, ``options`` are vmrun's.
    """
    vmrun = SHARED / "tools" / "vmrun"
    if not vmrun.is_file():
        pytest.skip(f"no virtual machine: {vmrun} is missing (set PHYSIOCAM_SHARED)")
    cache = os.environ.get("PHYSIOCAM_VM_CACHE", str(Path.home() / ".cache" / "physio-cam-vm"))
    command = [sys.executable, str(vmrun), "--cache", cache, "--timeout", f"{timeout:g}", "--rw", str(folder)]
    path = os.environ["PATH"]
    if counted:
        qemu = shutil.which("qemu-system-x86_64")
        if qemu is None:
            pytest.skip("no qemu-system-x86_64 (vmrun --install --prepare installs it)")
        path = f"{_counting(folder, qemu)}:{path}"
        command += ["--smp", "1", "--append", f"tsc_early_khz={PER_NANOSECOND * 1_000_000}"]
    command += [*options, "--", sys.executable, str(ROOT / "tests" / script), *arguments]
    # What OpenBLAS is told of this processor would be illegal instructions on the machine's.
    own = {name: value for name, value in os.environ.items() if not name.startswith("OPENBLAS_")}
    environment = {**own, "PATH": path, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT, env=environment)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def _counting(folder: Path, qemu: str) -> Path:
    """A folder for PATH whose QEMU counts instructions."""
    place = folder / "bin"
    place.mkdir()
    wrapper = place / "qemu-system-x86_64"
    wrapper.write_text(_QEMU.format(python=sys.executable, qemu=qemu), encoding="utf-8")
    wrapper.chmod(0o755)
    return place
