"""The camera against real Video4Linux devices, in a small virtual machine (see vm_camera.py)."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent


@pytest.mark.vm
@pytest.mark.timeout(900)
def test_the_camera_on_the_kernels_test_devices() -> None:
    vmrun = Path(os.environ.get("PHYSIOCAM_SHARED", ROOT.parent / "shared")) / "tools" / "vmrun"
    if not vmrun.is_file():
        pytest.skip(f"no vmrun at {vmrun} (set PHYSIOCAM_SHARED)")
    cache = os.environ.get("PHYSIOCAM_VM_CACHE", str(Path.home() / ".cache" / "physio-cam-vm"))
    command = [
        *(sys.executable, str(vmrun), "--cache", cache, "--timeout", "500", "--"),
        *("env", f"PYTHONPATH={ROOT}", sys.executable, str(ROOT / "tests" / "vm_camera.py")),
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "every check passed" in done.stdout
