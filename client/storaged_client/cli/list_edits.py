"""Flags and output that the commands for editing manifest lists share."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from . import output
from .flags import Flag, Options, UsageError

if TYPE_CHECKING:
    from ..contract.plain import ListEdited

PLATFORM = (
    Flag("arch", "Override the architecture of the entry", kind="string"),
    Flag("features", "Override the features of the entry", kind="list"),
    Flag("os", "Override the OS of the entry", kind="string"),
    Flag("os-version", "Override the OS version of the entry", kind="string"),
    Flag("variant", "Override the variant of the entry", kind="string"),
)
OS_FEATURES = Flag("os-features", "Override the OS features of the entry", kind="list")

REGISTRY = (
    Flag("authfile", "Path of the authentication file", kind="string"),
    Flag("cert-dir", "Certificates for accessing a registry", kind="string"),
    Flag("creds", "Credentials for accessing a registry", kind="string"),
    Flag("insecure", "Neither require HTTPS nor verify certificates when accessing a registry"),
    Flag("tls-verify", "Require HTTPS and verify certificates when accessing a registry"),
)
"""podman's flags for a registry, which storaged never contacts."""

_TEXTS = {"arch": "architecture", "os": "os", "os-version": "os_version", "variant": "variant"}
_LISTS = {"features": "features", "os-features": "os_features"}


def platform(options: Options) -> dict[str, Any]:
    """The given members of the platform; a list may be several flags, or one with commas."""
    given: dict[str, Any] = {}
    for flag, member in _TEXTS.items():
        text = options.text(flag)
        if text is not None:
            given[member] = text
    for flag, member in _LISTS.items():
        values = [word for text in options.many(flag) for word in text.split(",") if word]
        if values:
            given[member] = values
    return given


def annotated(options: Options, *, adding: bool = False) -> dict[str, str]:
    """The given annotations; ``manifest add`` has its own words for an invalid one.

    Raises:
        UsageError: one has no ``=``.
    """
    given = {}
    for text in options.many("annotation"):
        key, equals, value = text.partition("=")
        if not equals:
            if adding:
                raise UsageError(f'no value given for annotation "{text}"')
            raise UsageError(f'expected --annotation "{text}" to be in key=value format')
        given[key] = value
    return given


def show(result: ListEdited, *, json: bool) -> None:
    """Print the list's id, or the whole answer."""
    output.emit(output.pretty(result) if json else f"{output.printable(result['id'])}\n")
