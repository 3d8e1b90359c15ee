#!/bin/sh
# Puts the docker command of this machine's Debian at /usr/local/bin/docker, unless there is one: docker_cli.sh
# Only the client: the package would start a daemon of its own.
set -eu
command -v docker >/dev/null && exit 0
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
apt-get download -qq docker-cli 2>/dev/null || apt-get download -qq docker.io
dpkg-deb -x ./docker*.deb unpacked
install unpacked/usr/bin/docker /usr/local/bin/docker
