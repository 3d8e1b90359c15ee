"""``storagectl image prune``: remove what nothing needs, after asking; ``--dry-run`` tells what and why."""

from __future__ import annotations

import sys
from typing import Any

from . import exits, output, removals
from .flags import Flag, Options, UsageError
from .invocation import Invocation

ARGUMENTS = ""
FLAGS = (
    Flag("all", "Remove all images not in use by containers, not just dangling ones", short="a"),
    Flag("dry-run", "Tell what would go, and what stays and why; remove nothing"),
    Flag("external", "Remove images even when they are used by external containers (e.g., by build containers)"),
    Flag("filter", "Provide filter values (e.g. 'label=<key>=<value>')", kind="list"),
    Flag("force", "Do not prompt for confirmation", short="f"),
    Flag("plan", "Remove what a dry run listed, and nothing else", kind="string"),
)
PODMANS = (Flag("build-cache", "Remove persistent build cache created by --mount=type=cache"),)

_WARNINGS = {
    "dangling": "WARNING! This command removes all dangling images.",
    "all": "WARNING! This command removes all images without at least one container associated with them.",
    "plan": "WARNING! This command removes the images that its plan lists.",
}
_QUESTION = "Are you sure you want to continue? [y/N] "


def run(invocation: Invocation) -> int:
    options = invocation.options
    json = output.json_wanted(options.text("format"))
    if invocation.arguments:
        raise UsageError("`storagectl image prune` takes no arguments")
    asked = params(options)
    if not options.on("force") and not options.on("dry-run") and not _confirmed(_warning(options)):
        return exits.DONE
    report = removals.asked_for(invocation, "images.prune", asked)
    if json:
        output.emit(output.pretty(report))
    elif options.on("dry-run") and not options.on("quiet"):
        from . import removal_plan

        removal_plan.show(report, full=options.on("no-trunc"), heading=not options.on("noheading"))
    else:
        output.emit(removals.ids(report))
    removals.complain(report)
    return exits.FAILED if report["failed"] else exits.DONE


def params(options: Options) -> dict[str, Any]:
    """The request.

    Raises:
        UsageError: a filter without ``=``, or a plan with anything that it has settled already.
    """
    filters = options.many("filter")
    for filter_ in filters:
        if "=" not in filter_:
            raise UsageError(f"filter input must be in the form of filter=value: {filter_} is invalid")
    switches = {"all": options.on("all"), "dry_run": options.on("dry-run"), "external": options.on("external")}
    asked: dict[str, Any] = {name: True for name, on in switches.items() if on}
    if filters:
        asked["filters"] = filters
    plan = options.text("plan")
    if plan is None:
        return asked
    if asked:
        raise UsageError("a plan says what goes: --plan takes no --all, --dry-run, --external or --filter")
    return {"plan": plan}


def _warning(options: Options) -> str:
    return _WARNINGS["plan" if options.text("plan") is not None else "all" if options.on("all") else "dangling"]


def _confirmed(warning: str) -> bool:
    """Ask as podman does: the first letter of the answer counts.

    Raises:
        UsageError: the input ended before the line did.
    """
    output.emit(f"{warning}\n{_QUESTION}")
    answer = sys.stdin.buffer.readline() if sys.stdin is not None else b""
    if not answer.endswith(b"\n"):
        raise UsageError("EOF")
    return answer[:1] in (b"y", b"Y")
