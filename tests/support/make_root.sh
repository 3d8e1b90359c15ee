#!/bin/sh
# Makes the root of a Debian release with some packages: make_root.sh SUITE PACKAGES DIR [MIRROR]
# Needs root and debootstrap; nothing is mounted in DIR outside the mount namespace of what runs in it. A root that is
# complete is left as it is.
set -eu
suite=$1
packages=$2
dir=$3
shift 3
[ -e "$dir/.complete" ] && exit 0
# What an attempt that was cut short left behind cannot be gone on with.
rm -rf --one-file-system "$dir"
mkdir -p "$dir"
debootstrap --variant=minbase --include="$packages" "$suite" "$dir" "$@" >"$dir.log" 2>&1 ||
    { tail -n 20 "$dir.log" >&2; exit 1; }
: >"$dir/.complete"
