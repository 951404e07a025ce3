#!/usr/bin/env bash
# Builds the Dockerfile without Docker: debootstrap makes the base, replay.py plays the steps in it and tries what comes out.
#   tests/container/build_in_chroot.sh           # with the CPU's packages, 2 GB of disk
#   tests/container/build_in_chroot.sh --cuda    # with those of CUDA, several times that
# Needs root, debootstrap, Python and the network. MIRROR, SUITE and TMPDIR say otherwise where the defaults do not fit.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

work=$(mktemp --directory)
trap 'rm -rf --one-file-system "$work"' EXIT

echo "==> debootstrap, in place of the base image"
debootstrap --variant=minbase --include=python3,python3-venv,ca-certificates \
    "${SUITE:-bookworm}" "$work/base" "${MIRROR:-http://deb.debian.org/debian}" >"$work/log" 2>&1 || { cat "$work/log" >&2; exit 1; }
ln --symbolic /usr/bin/python3 "$work/base/usr/local/bin/python" # the image's name for it
"${PYTHON:-python3}" -m tests.container.replay "$work/base" "$work" "$@"
echo "==> done"
