#!/bin/sh
# Runs a command in the root DIR with WORK at its own path: unshare -m enter_sid.sh DIR WORK COMMAND…
# Every mount is of this mount namespace and ends with it. /run is kept in WORK, or each command would
# take the machine for restarted. DIR is bound to itself, since crun makes no container below a root that is no
# mount point.
set -eu
dir=$1
work=$2
shift 2
mount --make-rprivate /
mount --rbind "$dir" "$dir"
mount -t proc proc "$dir/proc"
mount --rbind /dev "$dir/dev"
mount --rbind /sys "$dir/sys"
mkdir -p "$work/sid-run"
mount -t tmpfs tmpfs "$dir/tmp"
mkdir -p "$dir$work"
mount --rbind "$work" "$dir$work"
mount --bind "$work/sid-run" "$dir/run"
exec chroot "$dir" "$@"
