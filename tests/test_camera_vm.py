"""The camera against real Video4Linux devices, in a small virtual machine (see vm_camera.py)."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.vm_runner import run_in_machine


@pytest.mark.vm
@pytest.mark.timeout(900)
def test_the_camera_on_the_kernels_test_devices(tmp_path: Path) -> None:
    assert "every check passed" in run_in_machine("vm_camera.py", folder=tmp_path)
