"""``storagectl inspect``: like ``image inspect``, with podman's flags for objects of every type."""

from __future__ import annotations

from . import exits, image_inspect, output
from .flags import Flag, UsageError
from .invocation import Invocation

ARGUMENTS = "IMAGE [IMAGE...]"
_TYPES = ("image", "container", "pod", "network", "volume", "artifact", "all")
FLAGS = (
    *image_inspect.FLAGS,
    Flag("latest", "Accepted for compatibility: only podman knows its latest container", short="l"),
    Flag("size", "Accepted for compatibility: an image always shows its size", short="s"),
    Flag("type", "Type of object: image, or all (default all)", short="t", kind="string"),
)


def run(invocation: Invocation) -> int:
    options = invocation.options
    kind = options.text("type") or "all"
    if kind not in _TYPES:
        choices = ", ".join(f'"{word}"' for word in _TYPES[:-1])
        raise UsageError(f'invalid type "{kind}": must be {choices}, or "all"')
    if kind not in ("image", "all"):
        raise UsageError(f"storagectl only knows images; use: {invocation.podmans_command()}")
    for name in ("size", "latest"):
        if kind == "image" and options.on(name):
            raise UsageError(f'{name} is not supported for type "image"')
    if options.on("latest"):
        return _latest(invocation)
    return image_inspect.inspect(invocation, everything=kind == "all")


def _latest(invocation: Invocation) -> int:
    """podman's latest container: None if no container of the store is podman's; otherwise only podman knows
    it.

    Raises:
        UsageError: there are arguments, or containers of podman.
    """
    if invocation.arguments:
        raise UsageError("--latest and arguments cannot be used together")
    containers = invocation.call("containers.list")["containers"]
    if any(container["owner"] == "podman" for container in containers):
        raise UsageError(f"storagectl only knows images; use: {invocation.podmans_command()}")
    output.emit("[]\n")
    output.complain("Error: no containers to inspect: no such container")
    return exits.FAILED
