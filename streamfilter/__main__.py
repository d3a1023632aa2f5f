"""``python -m streamfilter``: the same as the ``physio-cam`` command."""

from __future__ import annotations

import sys

from streamfilter.cli.main import main

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
