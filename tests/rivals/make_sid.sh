#!/bin/sh
# Makes the root of Debian sid that holds podman 5.8, buildah and skopeo: make_sid.sh DIR [MIRROR]
# Point STORAGED_SID_ROOT at DIR afterwards. Needs root and debootstrap; nothing is mounted in DIR
# outside the mount namespace of a running peer.
set -eu
dir=$1
mirror=${2:-http://deb.debian.org/debian}
debootstrap --variant=minbase \
    --include=ca-certificates,podman,buildah,skopeo,crun,conmon,netavark,golang-github-containers-common \
    sid "$dir" "$mirror"
