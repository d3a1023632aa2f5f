"""The whole command on real video devices, in a small virtual machine (``make test-vm``, see vm_live.py)."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
CHECKS = 7


@pytest.mark.vm
@pytest.mark.timeout(1800)
def test_from_one_loopback_device_to_another() -> None:
    vmrun = Path(os.environ.get("PHYSIOCAM_SHARED", ROOT.parent / "shared")) / "tools" / "vmrun"
    if not vmrun.is_file():
        pytest.skip(f"no vmrun at {vmrun} (set PHYSIOCAM_SHARED)")
    cache = os.environ.get("PHYSIOCAM_VM_CACHE", str(Path.home() / ".cache" / "physio-cam-vm"))
    command = [
        *(sys.executable, str(vmrun), "--cache", cache, "--timeout", "1500", "--"),
        *("env", f"PYTHONPATH={ROOT}", sys.executable, str(ROOT / "tests" / "vm_live.py")),
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.count(" holds ") == CHECKS, done.stdout
