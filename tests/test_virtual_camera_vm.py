"""The virtual camera on a real v4l2loopback, in a small virtual machine (``make test-vm``)."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.vm_runner import run_in_machine

CHECKS = 8


@pytest.mark.vm
@pytest.mark.timeout(600)
def test_the_virtual_camera_on_v4l2loopback(tmp_path: Path) -> None:
    said = run_in_machine("vm_output.py", folder=tmp_path)
    assert said.count(" holds ") == CHECKS, said
