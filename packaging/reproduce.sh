#!/bin/bash
# Build the release of the last commit twice and compare all files. `make reproduce` runs this script.
#
# The builds are in two new clones with other names, with another umask, time zone and language.
set -euo pipefail
cd "$(dirname "$0")/.."
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

release() { # UMASK FROM CLONE
    (umask "$1" && git clone -q "$2" "$3" && make -s -C "$3" release >"$work/log" 2>&1) || { cat "$work/log"; exit 1; }
}
TZ=UTC LC_ALL=C.UTF-8 release 022 . "$work/one"
TZ=Asia/Tokyo LC_ALL=C release 077 "$work/one" "$work/another-name" # a commit in the meantime changes nothing
diff "$work/one/dist/SHA256SUMS" "$work/another-name/dist/SHA256SUMS"
cat "$work/one/dist/SHA256SUMS"
