"""The virtual camera on a real v4l2loopback, in a small virtual machine (``make test-vm``)."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
CHECKS = 8


@pytest.mark.vm
@pytest.mark.timeout(600)
def test_the_virtual_camera_on_v4l2loopback() -> None:
    shared = Path(os.environ.get("PHYSIOCAM_SHARED", ROOT.parent / "shared"))
    vmrun = shared / "tools" / "vmrun"
    if not vmrun.is_file():
        pytest.skip(f"no virtual machine: {vmrun} is missing (set PHYSIOCAM_SHARED)")
    cache = os.environ.get("PHYSIOCAM_VM_CACHE", str(Path.home() / ".cache" / "physio-cam-vm"))
    command = [sys.executable, str(vmrun), "--cache", cache, "--timeout", "500", "--"]
    result = subprocess.run(
        [*command, sys.executable, "tests/vm_output.py"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 0, result.stdout + result.stderr
    assert result.stdout.count(" holds ") == CHECKS, result.stdout
