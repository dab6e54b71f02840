#!/bin/sh
# make_venv.sh FOLDER [PYTHON]: a virtual environment in FOLDER, with PYTHON or the first Python 3.11 or newer found.
# An environment that is there already and works is kept, unless another PYTHON is asked for.
set -eu
folder=$1
wanted=${2:-}

usable() { # runs at all (a pyenv shim may not), is new enough, and can make an environment with pip in it
    "$1" -c 'import ensurepip, sys, venv; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1
}

if [ -x "$folder/bin/python" ] && "$folder/bin/python" -m pip --version >/dev/null 2>&1; then
    if [ -z "$wanted" ]; then exit 0; fi
    version='import sys; print(sys.version)'
    if [ "$("$folder/bin/python" -c "$version")" = "$("$wanted" -c "$version" 2>/dev/null)" ]; then exit 0; fi
fi

for candidate in ${wanted:-python3.11 python3.12 python3.13 python3.14 python3 \
    /usr/bin/python3.11 /usr/bin/python3.12 /usr/bin/python3.13 /usr/bin/python3.14 /usr/bin/python3}; do
    if usable "$candidate"; then
        rm -rf "$folder"
        echo "Making $folder with $candidate ($("$candidate" --version))"
        # a Python without its pip wheels only shows when it is used: then the next one is tried
        if "$candidate" -m venv "$folder"; then exit 0; fi
        rm -rf "$folder"
    fi
done

if [ -n "$wanted" ]; then
    echo "$wanted is no Python 3.11 or newer with venv and ensurepip." >&2
else
    echo "No Python 3.11 or newer with venv and ensurepip was found. Install one (on Debian: python3 and python3-venv)," >&2
    echo "or name one: make PYTHON=/path/to/python3.12 ..." >&2
fi
exit 1
