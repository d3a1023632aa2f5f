"""What the project promises about itself: the import rule, what the wheel holds, what the runtime needs."""

from __future__ import annotations

import email
import json
import re
import subprocess
import sys
import tomllib
import zipfile
from importlib import metadata
from pathlib import Path
from typing import Any

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

import streamfilter

ROOT = Path(__file__).resolve().parent.parent
FOREIGN = ("torch", "diffusers", "transformers", "scipy", "matplotlib", "skimage", "onnx", "model", "export")

# OpenCV, PyAV, ONNX Runtime and NumPy are 401 MB on disk for Linux on x86-64 (142 MB to download).
INSTALLED_LIMIT_MB = 420

IMPORT_EVERYTHING = """
import importlib, importlib.util, json, pkgutil, sys
import streamfilter
names = [module.name for module in pkgutil.walk_packages(streamfilter.__path__, "streamfilter.")]
for name in names:
    no_openvino = importlib.util.find_spec("openvino") is None
    optional = name.startswith("streamfilter.engine.openvino_") and no_openvino
    optional |= name.startswith("streamfilter.relay.") and importlib.util.find_spec("aiortc") is None
    if not name.endswith("__main__") and not optional:
        importlib.import_module(name)
print(json.dumps({"imported": names, "loaded": sorted({name.partition(".")[0] for name in sys.modules})}))
"""


def run(*command: str, stdin: str | None = None) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command, cwd=ROOT, input=stdin, capture_output=True, text=True, timeout=100, check=False
    )


@pytest.fixture(scope="module")
def pyproject() -> dict[str, Any]:
    return tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel, built from this tree."""
    folder = tmp_path_factory.mktemp("dist")
    built = run(
        sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(folder), str(ROOT)
    )
    assert built.returncode == 0, built.stdout + built.stderr
    (path,) = folder.glob("*.whl")
    return path


def test_the_runtime_loads_nothing_of_training() -> None:
    result = run(sys.executable, "-c", IMPORT_EVERYTHING)
    assert result.returncode == 0, result.stderr
    seen = json.loads(result.stdout)
    assert {"streamfilter.artifact", "streamfilter.engine.select", "streamfilter.cli.main"} <= set(
        seen["imported"]
    )
    assert not set(FOREIGN) & set(seen["loaded"])


def test_importing_the_package_is_cheap() -> None:
    code = "import sys, streamfilter; print(streamfilter.__version__, 'numpy' in sys.modules)"
    assert run(sys.executable, "-c", code).stdout.split() == [streamfilter.__version__, "False"]


@pytest.mark.parametrize(
    ("path", "module", "allowed"),
    [
        *(("streamfilter/x.py", name, False) for name in FOREIGN if name not in ("skimage", "onnx")),
        ("streamfilter/face/x.py", "model.train", False),
        ("model/x.py", "export.onnx", False),
        ("model/x.py", "torch", True),
        ("export/x.py", "model.train", True),
    ],
)
def test_ruff_holds_the_import_rule(path: str, module: str, allowed: bool) -> None:
    result = run(
        sys.executable, "-m", "ruff", "check", "--select", "TID251", "--stdin-filename", path, "-",
        stdin=f"import {module}\n",
    )  # fmt: skip
    assert (result.returncode == 0) is allowed, result.stdout + result.stderr
    assert ("TID251" in result.stdout) is not allowed


def test_the_wheel_holds_the_runtime_only(wheel: Path) -> None:
    names = zipfile.ZipFile(wheel).namelist()
    tops = {name.partition("/")[0] for name in names}
    assert tops == {"streamfilter", f"physio_cam-{streamfilter.__version__}.dist-info"}
    kinds = {Path(name).suffix for name in names if name.startswith("streamfilter/")}
    page = {".html", ".css", ".js", ".svg", ".woff2"}
    desktop = {".conf", ".desktop", ".service"}
    assert kinds <= {".py", ".typed", ".onnx", ".npz", ".json", ".txt", ".md", ""} | page | desktop, kinds


def test_the_wheel_holds_the_default_artifact_and_the_detector(wheel: Path) -> None:
    names = set(zipfile.ZipFile(wheel).namelist())
    folder = "streamfilter/artifacts/default"
    assert {f"{folder}/{name}" for name in ("manifest.json", "step.onnx", "conditioning.npz")} <= names
    assert any(re.fullmatch(r"streamfilter/face/weights/.+\.onnx", name) for name in names)
    assert "streamfilter/py.typed" in names


def test_the_wheel_says_who_and_what_it_is(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        info = f"physio_cam-{streamfilter.__version__}.dist-info"
        described = email.message_from_bytes(archive.read(f"{info}/METADATA"))
        scripts = archive.read(f"{info}/entry_points.txt").decode()
        licences = [name for name in archive.namelist() if name.startswith(f"{info}/licenses/")]
    assert described["Name"] == "physio-cam"
    assert described["Version"] == streamfilter.__version__
    assert described["License-Expression"] == "Apache-2.0"
    assert described["Requires-Python"] == ">=3.11"
    assert "physio-cam = streamfilter.cli.main:main" in scripts
    assert f"{info}/licenses/LICENSE" in licences
    required = {Requirement(text) for text in described.get_all("Requires-Dist", [])}
    always = {requirement.name for requirement in required if requirement.marker is None}
    assert always == {
        "numpy", "opencv-python-headless", "av", "onnxruntime", "pyvirtualcam", "platformdirs", "aiohttp",
    }  # fmt: skip
    assert {requirement.name for requirement in required if "sys_platform" in str(requirement.marker)} >= {
        "linuxpy"
    }


def test_the_runtime_installs_small_and_without_torch(pyproject: dict[str, Any]) -> None:
    sizes = installed_sizes(pyproject["project"]["dependencies"])
    assert not {"torch", "scipy", "transformers", "diffusers", "matplotlib"} & sizes.keys()
    total = sum(sizes.values()) + sum(
        path.stat().st_size for path in (ROOT / "streamfilter").rglob("*") if path.is_file()
    )
    parts = ", ".join(f"{name} {size / 1e6:.0f}" for name, size in sizes.items())
    assert total < INSTALLED_LIMIT_MB * 1e6, f"the runtime is {total / 1e6:.0f} MB on disk: {parts}"


def installed_sizes(requirements: list[str]) -> dict[str, int]:
    """Bytes of each installed distribution in the closure of ``requirements``, by its name."""
    sizes: dict[str, int] = {}
    waiting = [Requirement(text) for text in requirements]
    while waiting:
        requirement = waiting.pop()
        name = canonicalize_name(requirement.name)
        if name in sizes or (
            requirement.marker is not None and not requirement.marker.evaluate({"extra": ""})
        ):
            continue
        distribution = metadata.distribution(name)
        # pip records the compiled files that it adds without a size; they are not in the download.
        sizes[name] = sum(file.size or 0 for file in distribution.files or [])
        waiting += [Requirement(text) for text in distribution.requires or []]
    return sizes


def test_the_pins_fit_the_bounds(pyproject: dict[str, Any]) -> None:
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    pinned = [Requirement(line) for line in lines if line and not line.startswith("#")]
    pins = {canonicalize_name(pin.name): str(pin.specifier).removeprefix("==") for pin in pinned}
    project = pyproject["project"]
    tested = ("openvino", "relay", "train", "dev")
    wanted = project["dependencies"] + [
        line for extra in tested for line in project["optional-dependencies"][extra]
    ]
    for requirement in map(Requirement, wanted):
        pin = pins.get(canonicalize_name(requirement.name))
        assert pin is not None, f"constraints.txt does not pin {requirement.name}"
        assert requirement.specifier.contains(pin), f"{requirement} excludes the tested {pin}"
    for requirement in map(Requirement, project["dependencies"]):
        operators = {specifier.operator for specifier in requirement.specifier}
        assert operators == {">=", "<"}, f"{requirement} lacks a lower or an upper bound"


def test_the_licence_is_whole() -> None:
    text = (ROOT / "LICENSE").read_text(encoding="utf-8")
    assert "Apache License" in text
    assert "END OF TERMS AND CONDITIONS" in text
