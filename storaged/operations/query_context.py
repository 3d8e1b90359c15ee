"""Everything an answer depends on besides the snapshot: this machine's platform, leases, short names."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from msgspec import Struct, field

from storaged.store.layout.contents import ConfigFacts, PlatformFacts
from storaged.store.layout.records import ImageID

_ARCHITECTURES = {
    "x86_64": "amd64",
    "x86-64": "amd64",
    "i386": "386",
    "i486": "386",
    "i586": "386",
    "i686": "386",
    "aarch64": "arm64",
    "aarch64_be": "arm64be",
    "loongarch64": "loong64",
    "mips64el": "mips64le",
    "mipsel": "mipsle",
    "powerpc64le": "ppc64le",
}
_ARM = {"arm": "v7", "armhf": "v7", "armel": "v6", "armv8l": "v8", "armv7l": "v7", "armv6l": "v6", "armv5tel": "v5"}
_COMPATIBLE = {"arm": ("v8", "v7", "v6", "v5"), "arm64": ("v8",)}
"""Variants from most to least capable (image ``internal/pkg/platform/platform_matcher.go``)."""


class HostPlatform(Struct, frozen=True, kw_only=True):
    """A platform in the spelling of image configurations: ``linux``, ``arm``, ``v7``."""

    os: str
    architecture: str
    variant: str = ""

    def __str__(self) -> str:
        return "/".join(part for part in (self.os, self.architecture, self.variant) if part)

    def variants(self) -> tuple[str, ...]:
        """The variants that run here, in order of preference; ``""`` is "not set"."""
        known = _COMPATIBLE.get(self.architecture, ())
        if not self.variant:
            return ("", *known)
        capable = known[known.index(self.variant) :] if self.variant in known else (self.variant,)
        return (*capable, "")

    def rank(self, platform: PlatformFacts | ConfigFacts | None) -> int | None:
        """How well a platform fits, 0 best; None if it does not run here."""
        if platform is None or platform.os != self.os or platform.architecture != self.architecture:
            return None
        variants = self.variants()
        variant = platform.variant or ""
        return variants.index(variant) if variant in variants else None


def normalise_platform(system: str, machine: str, variant: str = "") -> HostPlatform:
    """Convert a kernel's or user's name of a platform to the spelling of image configurations."""
    system, machine, variant = system.lower(), machine.lower(), variant.lower()
    if system == "macos":
        system = "darwin"
    if machine in _ARM:
        variant = variant or _ARM[machine]
        return HostPlatform(
            os=system, architecture="arm", variant=variant if variant.startswith("v") else f"v{variant}"
        )
    machine = _ARCHITECTURES.get(machine, machine)
    if (machine, variant) in (("arm64", "8"), ("arm64", "v8"), ("amd64", "v1")):
        variant = ""
    return HostPlatform(os=system, architecture=machine, variant=variant)


def localhost_only(path: str) -> tuple[str, ...]:
    """The repositories that a short name may refer to if no registries are configured."""
    return (f"localhost/{path}",)


class QueryContext(Struct, frozen=True, kw_only=True):
    """What the engine provides for the operations."""

    platform: HostPlatform
    short_names: Callable[[str], tuple[str, ...]] = localhost_only
    """Repositories that a short name may refer to, in order; docker.io's follows implicitly."""
    search_registries: tuple[str, ...] = ()
    """The configured registries to search for short names."""
    short_name_doubts: tuple[str, ...] = ()
    """What is wrong with skipped files of registries.conf: with them, a short name may refer to another image."""
    podman_lists: bool = False
    """Whether ``rmi`` and ``untag`` of a manifest list act on its local instance, as in podman."""
    leases: Mapping[ImageID, tuple[str, ...]] = field(default_factory=dict)
    """Leases that protect an image, by image."""
