"""``storagectl rmi``: removes names, and images with their last name."""

from __future__ import annotations

from typing import Any

from . import output, removals
from .flags import FORMAT_JSON, NO_TRUNC, NOHEADING, QUIET, Flag, Options, UsageError
from .invocation import Invocation

ARGUMENTS = "IMAGE [IMAGE...]"
FLAGS = (
    Flag("all", "Remove all images", short="a"),
    Flag("dry-run", "Show what would be removed, what stays, and why; remove nothing"),
    Flag("force", "Remove images with several names, and containers of other tools than podman", short="f"),
    Flag("ignore", "Ignore names of images that do not exist", short="i"),
    Flag("no-prune", "Do not remove dangling ancestors"),
    FORMAT_JSON,
    QUIET,
    NO_TRUNC,
    NOHEADING,
)


def run(invocation: Invocation) -> int:
    """podman's status: 0, 1 if there is no such name, 2 if an image is in use, 125 otherwise."""
    options = invocation.options
    json = output.json_wanted(options.text("format"))
    report = invocation.call("images.remove", params(options, invocation.arguments), watched=True)
    if json:
        output.emit(output.pretty(report))
    elif options.on("quiet"):
        output.emit(removals.ids(report))
    elif options.on("dry-run"):
        from . import removal_plan

        removal_plan.show(invocation, report)
    else:
        output.emit(removals.removed(report))
    removals.complain(report)
    return removals.status(report["failed"])


def params(options: Options, names: list[str]) -> dict[str, Any]:
    """The request.

    Raises:
        UsageError: no name and no ``--all``, or both.
    """
    if options.on("all") and names:
        raise UsageError("when using the --all switch, you may not pass any images names or IDs")
    if not options.on("all") and not names:
        raise UsageError("image name or ID must be specified")
    removals.refuse_idle(options)
    # podman's --force accepts names of nothing.
    switches = {
        "all": options.on("all"),
        "dry_run": options.on("dry-run"),
        "force": options.on("force"),
        "ignore": options.on("ignore") or options.on("force"),
        "no_prune": options.on("no-prune"),
    }
    asked: dict[str, Any] = {name: True for name, on in switches.items() if on}
    return {**asked, "names": names} if names else asked
