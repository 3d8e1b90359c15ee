"""The host, as podman's ``info`` describes it. Blocking: reads /proc, /etc/os-release and the kernel's names."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from typing import Final

from attrs import frozen

_ARCHITECTURES: Final = {"x86_64": "amd64", "aarch64": "arm64", "i686": "386", "i386": "386", "armv7l": "arm"}
"""Go's names; other architectures keep the kernel's name."""


@frozen(kw_only=True)
class HostFacts:
    architecture: str
    kernel: str
    hostname: str
    processors: int
    distribution: str
    distribution_version: str
    codename: str
    memory: Mapping[str, int]
    """Bytes, by their names in /proc/meminfo."""
    uptime: float
    """Seconds."""
    unified_cgroups: bool
    now: float
    """Seconds since 1970."""


def look() -> HostFacts:
    """Read the facts of the host now."""
    system = os.uname()
    release = _pairs("/etc/os-release", "=")
    return HostFacts(
        architecture=_ARCHITECTURES.get(system.machine, system.machine),
        kernel=system.release,
        hostname=system.nodename,
        processors=os.cpu_count() or 1,
        distribution=release.get("ID", "unknown"),
        distribution_version=release.get("VERSION_ID", "unknown"),
        codename=release.get("VERSION_CODENAME", ""),
        memory={name: _bytes(value) for name, value in _pairs("/proc/meminfo", ":").items()},
        uptime=time.clock_gettime(time.CLOCK_BOOTTIME),
        unified_cgroups=os.path.exists("/sys/fs/cgroup/cgroup.controllers"),
        now=time.time(),
    )


def _pairs(path: str, between: str) -> dict[str, str]:
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            lines = file.read(64 << 10).splitlines()
    except OSError:
        return {}
    pairs = (line.partition(between) for line in lines)
    return {name.strip(): value.strip().strip("\"'") for name, _, value in pairs}


def _bytes(text: str) -> int:
    number = text.removesuffix(" kB")
    return int(number) * 1024 if number.isdigit() else 0
