"""``storagectl image prune``: removes unneeded images, after asking; ``--dry-run`` shows which and why."""

from __future__ import annotations

import sys
from typing import Any

from ..podman import measures
from . import exits, output, removals
from .flags import FORMAT_JSON, NO_TRUNC, NOHEADING, QUIET, Flag, Options, UsageError
from .invocation import Invocation

ARGUMENTS = ""
FLAGS = (
    Flag("all", "Remove all images not in use by containers, not just dangling ones", short="a"),
    Flag("dry-run", "Show what would be removed, what stays, and why; remove nothing"),
    Flag("external", "Remove images even when they are used by external containers (e.g., by build containers)"),
    Flag("filter", "Provide filter values (e.g. 'label=<key>=<value>')", kind="list"),
    Flag("force", "Do not prompt for confirmation", short="f"),
    Flag("kept", "With --dry-run: list each image that stays, not just how many and why"),
    Flag("plan", "Remove what a dry run listed, and nothing else", kind="string"),
    FORMAT_JSON,
    QUIET,
    NO_TRUNC,
    NOHEADING,
)
PODMANS = (Flag("build-cache", "Remove persistent build cache created by --mount=type=cache"),)

_WARNINGS = {
    "dangling": "WARNING! This command removes all dangling images.",
    "all": "WARNING! This command removes all images without at least one container associated with them.",
    "plan": "WARNING! This command removes {}, as planned.",
}
_QUESTION = "Are you sure you want to continue? [y/N] "


def run(invocation: Invocation) -> int:
    options = invocation.options
    json = output.json_wanted(options.text("format"))
    if invocation.arguments:
        raise UsageError("`storagectl image prune` takes no arguments")
    asked = params(options)
    if not options.on("force") and not options.on("dry-run"):
        warning = _warning(invocation, options)
        if warning is None or not _confirmed(warning):
            return exits.DONE
    report = invocation.call("images.prune", asked, watched=True)
    if json:
        output.emit(output.pretty(report))
    elif options.on("dry-run") and not options.on("quiet"):
        from . import removal_plan

        removal_plan.show(invocation, report, each=options.on("kept"))
    else:
        output.emit(removals.ids(report))
    removals.complain(report)
    return exits.FAILED if report["failed"] else exits.DONE


def params(options: Options) -> dict[str, Any]:
    """The request.

    Raises:
        UsageError: a filter without ``=``, or a plan together with options that it has fixed already.
    """
    filters = options.many("filter")
    for filter_ in filters:
        # Sizes can be compared, too: unique-size>1GB.
        if not any(sign in filter_ for sign in "=<>"):
            raise UsageError(f"filter input must be in the form of filter=value: {filter_} is invalid")
    switches = {"all": options.on("all"), "dry_run": options.on("dry-run"), "external": options.on("external")}
    asked: dict[str, Any] = {name: True for name, on in switches.items() if on}
    if filters:
        asked["filters"] = filters
    removals.refuse_idle(options)
    plan = options.text("plan")
    if plan is None:
        return asked
    if asked.keys() - {"dry_run"}:
        raise UsageError("the plan decides what is removed: --plan takes no --all, --external or --filter")
    return {**asked, "plan": plan}


def _warning(invocation: Invocation, options: Options) -> str | None:
    """The question to confirm; None if a plan has nothing left to remove.

    Raises:
        StoragedError: there is no such plan, or the store cannot be read.
    """
    plan = options.text("plan")
    if plan is None:
        return _WARNINGS["all" if options.on("all") else "dangling"]
    from storaged_client.contract.errors import InvalidParams

    try:
        report = invocation.call("images.prune", {"plan": plan, "dry_run": True}, watched=True)
    except InvalidParams:
        # An older daemon checks a plan only when it runs it.
        return _WARNINGS["plan"].format("the images")
    removals.complain(report)
    number = len(report["removed"])
    if not number:
        output.complain("storagectl: nothing in this plan can be removed any more")
        return None
    freed = "" if report["freed"] is None else f" and frees {measures.size(report['freed'])}"
    return _WARNINGS["plan"].format(f"{number} image{'s' * (number > 1)}{freed}")


def _confirmed(warning: str) -> bool:
    """Ask like podman: the first letter of the answer counts.

    Raises:
        UsageError: the input ended before the line did.
    """
    output.emit(f"{warning}\n{_QUESTION}")
    answer = sys.stdin.buffer.readline() if sys.stdin is not None else b""
    if not answer.endswith(b"\n"):
        raise UsageError("EOF")
    return answer[:1] in (b"y", b"Y")
