"""Puts the page's two npm packages into streamfilter/web/static/vendor, as they are published.

Needs npm. The tarballs are pinned by version and SHA-512; the files that the page uses, and each package's
licence, are taken out of them and nothing is run::

    python scripts/vendor_web.py            # fetch and write
    python scripts/vendor_web.py --check    # fetch, and only compare with what is there
"""

from __future__ import annotations

import argparse
import base64
import hashlib
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

VENDOR = Path(__file__).resolve().parent.parent / "streamfilter" / "web" / "static" / "vendor"


@dataclass(frozen=True, slots=True)
class Package:
    """An npm package: ``sha512`` of its tarball in base64, ``files`` from its path to the name here."""

    name: str
    version: str
    sha512: str
    files: Mapping[str, str]


PACKAGES = (
    Package(
        "uplot",
        "1.6.32",
        "KIMVnG68zvu5XXUbC4LQEPnhwOxBuLyW1AHtpm6IKTXImkbLgkMy+jabjLgSLMasNuGGzQm/ep3tOkyTxpiQIw==",
        {
            "dist/uPlot.esm.js": "uPlot.esm.js",
            "dist/uPlot.min.css": "uPlot.min.css",
            "LICENSE": "uPlot.LICENSE.txt",
        },
    ),
    Package(
        "@fontsource-variable/hanken-grotesk",
        "5.3.0",
        "DOd0FqL+3cH2dfNy0JtSq9tUfxBz5mLmHMjTU0DOr3E9Zo6wxuatCl53DIPNrSPgCsnuKyM739BTIG5glCLirw==",
        {
            "files/hanken-grotesk-latin-wght-normal.woff2": "hanken-grotesk.woff2",
            "LICENSE": "hanken-grotesk.LICENSE.txt",
        },
    ),
)


def fetch(package: Package, folder: Path) -> Path:
    """The package's tarball, from the registry that npm is set to. Raises ValueError on another content."""
    said = subprocess.run(
        ["npm", "pack", "--silent", "--ignore-scripts", f"{package.name}@{package.version}"],
        cwd=folder,
        check=True,
        stdout=subprocess.PIPE,
        text=True,
    )
    tarball = folder / said.stdout.split()[-1]
    digest = base64.b64encode(hashlib.sha512(tarball.read_bytes()).digest()).decode()
    if digest != package.sha512:
        raise ValueError(f"{package.name}@{package.version} has SHA-512 {digest}, not the pinned one")
    return tarball


def contents(package: Package, tarball: Path) -> dict[str, bytes]:
    """The wanted files by their name here."""
    wanted = {}
    with tarfile.open(tarball) as archive:
        for path, name in package.files.items():
            member = archive.extractfile(f"package/{path}")
            if member is None:
                raise ValueError(f"{package.name}: {path} is no file")
            wanted[name] = member.read()
    return wanted


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--check", action="store_true", help="compare, write nothing")
    options = parser.parse_args()
    stale = []
    with tempfile.TemporaryDirectory() as folder:
        for package in PACKAGES:
            for name, data in contents(package, fetch(package, Path(folder))).items():
                place = VENDOR / name
                if options.check:
                    stale += [name] if not place.is_file() or place.read_bytes() != data else []
                else:
                    VENDOR.mkdir(parents=True, exist_ok=True)
                    place.write_bytes(data)
    if stale:
        print(f"vendor_web: not as published: {', '.join(stale)}", file=sys.stderr)
    return 1 if stale else 0


if __name__ == "__main__":
    raise SystemExit(main())
