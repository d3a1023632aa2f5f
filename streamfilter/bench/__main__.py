"""``python -m streamfilter.bench`` is ``physio-bench``."""

from __future__ import annotations

import sys

from streamfilter.bench.cli import main

if __name__ == "__main__":
    sys.exit(main())
