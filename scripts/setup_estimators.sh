#!/usr/bin/env bash
# Makes the environment of the learned estimators: open-rppg with its published weights, 1.3 GB with JAX and Keras.
# Its releases would not fit those of the project, and nothing else needs them. Another folder: PHYSIOCAM_ESTIMATORS.
set -euo pipefail

root=$(cd "$(dirname "$0")/.." && pwd)
folder=${PHYSIOCAM_ESTIMATORS:-$root/runs/estimators}
test -x "$folder/bin/python" || "${PYTHON:-python3}" -m venv "$folder"
"$folder/bin/python" -m pip install --quiet --disable-pip-version-check -r "$root/model/estimators/requirements.txt"
"$folder/bin/python" -c 'import rppg' 2>/dev/null || {
    echo "setup: open-rppg was installed in $folder but cannot be imported; delete the folder and try again" >&2
    exit 1
}
echo "learned estimators: $folder"
