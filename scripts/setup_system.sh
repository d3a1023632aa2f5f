#!/usr/bin/env bash
# Checks for what pip cannot install and, on Debian and Ubuntu, installs what is missing:
#   venv      python3-venv, where Python comes without it (needed)
# OpenCV comes headless and PyAV brings its own FFmpeg, so no system library is needed beyond that.
# The evaluation in a real call also uses Chromium; it is skipped, and says so, where there is none.
set -euo pipefail

python=${PYTHON:-python3}
if "$python" -c 'import ensurepip, venv' 2>/dev/null; then
    exit 0
fi

if ! command -v apt-get >/dev/null; then
    echo "setup: $python has no venv module, and this is no Debian: install Python 3.11+ with venv and pip" >&2
    exit 1
fi
if [ "$(id -u)" -eq 0 ]; then
    as_root=()
elif command -v sudo >/dev/null; then
    as_root=(sudo)
else
    echo "setup: ask an administrator for: apt-get install python3-venv" >&2
    exit 1
fi
echo "setup: installing python3-venv with apt-get" >&2
"${as_root[@]}" apt-get update -qq
"${as_root[@]}" apt-get install -y -qq --no-install-recommends python3-venv
