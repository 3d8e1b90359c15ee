#!/bin/sh
# Makes the root of Debian sid that holds podman 5.8, buildah and skopeo: make_sid.sh DIR [MIRROR]
# Point STORAGED_SID_ROOT at DIR afterwards. See make_root.sh.
set -eu
packages=ca-certificates,podman,buildah,skopeo,crun,conmon,netavark,golang-github-containers-common
exec sh "$(dirname "$0")/make_root.sh" sid "$packages" "$@"
