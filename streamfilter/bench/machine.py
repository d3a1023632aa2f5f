"""The machine that figures belong to."""

from __future__ import annotations

import os
import platform
import subprocess
import sys
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from streamfilter import __version__
from streamfilter.bench.gpu import Gpu

PACKAGES = ("numpy", "opencv-python-headless", "av", "onnxruntime", "openvino", "tensorrt-rtx")


@dataclass(frozen=True, slots=True)
class Machine:
    """``cpus`` are those that this process may use; ``load`` is the system's average of the last minute
    (None: it does not say). ``commit`` is the checkout's, "+" where it has changes (None: installed)."""

    cpu: str
    cpus: int
    memory_gb: float | None
    system: str
    python: str
    packages: dict[str, str]
    gpu: str | None
    gpu_driver: str | None
    version: str
    commit: str | None
    load: float | None


BUSY = 0.5  # load for each processor


def is_busy(machine: Machine) -> bool:
    """Whether others worked when the run began, so that its times are too long."""
    return machine.load is not None and machine.load > BUSY * machine.cpus


def describe(gpu: Gpu) -> Machine:
    """This machine, now."""
    return Machine(
        cpu=_cpu(),
        cpus=usable_cpus(),
        memory_gb=_memory_gb(),
        system=f"{platform.system()} {platform.release()} ({platform.machine()})",
        python=platform.python_version(),
        packages={name: found for name in PACKAGES if (found := _version(name)) is not None},
        gpu=gpu.name,
        gpu_driver=gpu.driver,
        version=__version__,
        commit=_commit(),
        load=round(os.getloadavg()[0], 2) if hasattr(os, "getloadavg") else None,
    )


def usable_cpus() -> int:
    """Processors that this process may run on."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def memory_mb() -> tuple[float, float] | None:
    """Resident memory of this process now and at its peak, in MB; None where the system does not say."""
    if sys.platform == "win32":
        return None
    status = Path("/proc/self/status")
    if status.exists():
        # Not getrusage: there a process inherits the peak of the one that started it.
        lines = status.read_text(encoding="utf-8").splitlines()
        sizes = {name: value for name, _, value in (line.partition(":") for line in lines)}
        now, peak = (int(sizes[name].split()[0]) * 1024 / 1e6 for name in ("VmRSS", "VmHWM"))
        return round(now, 1), round(peak, 1)
    import resource

    unit = 1 if sys.platform == "darwin" else 1024
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 1e6
    return round(peak, 1), round(peak, 1)


def _cpu() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        lines = []
    named = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return named[0] if named else platform.processor() or platform.machine()


def _memory_gb() -> float | None:
    try:
        return round(os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / 1e9, 1)
    except (AttributeError, ValueError, OSError):
        return None


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def _commit() -> str | None:
    root = Path(__file__).resolve().parent.parent.parent
    if not (root / ".git").exists():
        return None
    try:
        head = _git(root, "rev-parse", "--short=12", "HEAD")
        changed = _git(root, "status", "--porcelain", "--untracked-files=no", "--", "streamfilter")
    except (OSError, subprocess.SubprocessError):
        return None
    return head + ("+" if changed else "")


def _git(root: Path, *arguments: str) -> str:
    done = subprocess.run(
        ["git", "-C", str(root), *arguments], capture_output=True, text=True, check=True, timeout=20
    )
    return done.stdout.strip()
