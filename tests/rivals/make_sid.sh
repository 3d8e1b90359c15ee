#!/bin/sh
# Makes the root of Debian sid that holds podman 5.8, buildah and skopeo: make_sid.sh DIR [MIRROR]
# Point STORAGED_SID_ROOT at DIR afterwards. Needs root and debootstrap; nothing is mounted in DIR
# outside the mount namespace of a running peer. A root that is complete is left as it is.
set -eu
dir=$1
shift
[ -e "$dir/.complete" ] && exit 0
# What an attempt that was cut short left behind cannot be gone on with.
rm -rf --one-file-system "$dir"
mkdir -p "$dir"
debootstrap --variant=minbase \
    --include=ca-certificates,podman,buildah,skopeo,crun,conmon,netavark,golang-github-containers-common \
    sid "$dir" "$@" >"$dir.log" 2>&1 || { tail -n 20 "$dir.log" >&2; exit 1; }
: >"$dir/.complete"
