#!/usr/bin/env bash
# Checks for what pip cannot install and, on Debian and Ubuntu, installs what is missing:
#   python3-venv        where Python comes without it (needed)
#   chromium            the page and calls are tested in it (tests skip, and say so, without)
#   desktop-file-utils  checks the desktop entry (the same)
#   janus, coturn       the relay is tested with them (the same)
# OpenCV comes headless and PyAV brings its own FFmpeg, so no system library is needed beyond that. What the tests in a
# virtual machine need is installed by their own tool.
set -euo pipefail

python=${PYTHON:-python3}
needed=()
wished=()
"$python" -c 'import ensurepip, venv' 2>/dev/null || needed+=(python3-venv)
if [ "$(uname)" = Linux ]; then
    command -v chromium >/dev/null || wished+=(chromium)
    command -v desktop-file-validate >/dev/null || wished+=(desktop-file-utils)
    command -v janus >/dev/null || wished+=(janus)
    command -v turnserver >/dev/null || wished+=(coturn)
fi

# install ROOT... -- PACKAGE...: with apt-get, ROOT being the command that makes one root
install() {
    local as_root=()
    while [ "$1" != -- ]; do as_root+=("$1"); shift; done
    shift
    [ "$(id -u)" -ne 0 ] || as_root=()
    command -v apt-get >/dev/null || return 1
    echo "setup: installing $* with apt-get" >&2
    "${as_root[@]}" apt-get update -qq && "${as_root[@]}" apt-get install -y -qq --no-install-recommends "$@"
}
if [ ${#needed[@]} -gt 0 ] && ! install sudo -- "${needed[@]}"; then
    echo "setup: $python has no venv module and it cannot be installed here: install Python 3.11+ with venv and pip" >&2
    exit 1
fi
# Nobody is asked for a password for what only makes more tests run.
if [ ${#wished[@]} -gt 0 ] && ! install sudo -n -- "${wished[@]}"; then
    echo "setup: going on without ${wished[*]}: the tests that need them are skipped" >&2
fi
