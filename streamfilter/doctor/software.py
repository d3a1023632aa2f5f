"""Python, and the packages that the live filter stands on."""

from __future__ import annotations

import platform
import re
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module, metadata
from types import ModuleType

from streamfilter.doctor.check import Check, fail, ok

OLDEST_PYTHON = (3, 11)
Version = tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Package:
    """A package: its name at the package index, its module, the oldest release that will do."""

    name: str
    module: str
    oldest: Version


# As in pyproject.toml.
PACKAGES = (
    Package("numpy", "numpy", (2, 0)),
    Package("opencv-python-headless", "cv2", (4, 10)),
    Package("av", "av", (17,)),
    Package("onnxruntime", "onnxruntime", (1, 21)),
    Package("pyvirtualcam", "pyvirtualcam", (0, 13)),
    Package("platformdirs", "platformdirs", (4, 3)),
    Package("aiohttp", "aiohttp", (3, 10)),
)
LINUX_PACKAGES = (*PACKAGES, Package("linuxpy", "linuxpy", (0, 22)))


def packages_of(system: str = sys.platform) -> Sequence[Package]:
    """What is needed on this system."""
    return LINUX_PACKAGES if system.startswith("linux") else PACKAGES


def check_python(version: Version = sys.version_info[:3]) -> Check:
    said = f"Python {'.'.join(map(str, version))} on {platform.system()} {platform.machine()}"
    if version < OLDEST_PYTHON:
        oldest = ".".join(map(str, OLDEST_PYTHON))
        return fail("python", f"{said} is too old", f"install Python {oldest} or newer, and physio-cam in it")
    return ok("python", said)


def check_packages(packages: Sequence[Package], load: Callable[[str], ModuleType] = import_module) -> Check:
    """Loads each package, which alone shows that it works, and compares its version."""
    bad: list[str] = []
    broken: list[str] = []
    versions: dict[str, str] = {}
    for package in packages:
        try:
            module = load(package.module)
        except Exception as error:  # noqa: BLE001  # a broken extension raises whatever it likes
            bad.append(f"{package.name} does not load ({type(error).__name__}: {error})")
            broken.append(package.name)
            continue
        version = _version(package, module)
        versions[package.name] = version
        if _numbers(version) < package.oldest:
            bad.append(f"{package.name} {version} is older than {'.'.join(map(str, package.oldest))}")
            broken.append(package.name)
    if bad:
        return fail(
            "packages",
            "; ".join(bad),
            f"  {sys.executable} -m pip install --upgrade --force-reinstall {' '.join(broken)}",
        )
    return ok("packages", _listed(versions))


def _version(package: Package, module: ModuleType) -> str:
    told = getattr(module, "__version__", None)
    return told if isinstance(told, str) else metadata.version(package.name)


def _numbers(version: str) -> Version:
    return tuple(int(number) for number in re.findall(r"\d+", version)[:3])


def _listed(versions: Mapping[str, str]) -> str:
    return ", ".join(f"{name} {version}" for name, version in versions.items())
