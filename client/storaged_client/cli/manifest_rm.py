"""``storagectl manifest rm``: removes lists, and never their instances."""

from __future__ import annotations

from typing import Any

from . import output, removals
from .flags import FORMAT_JSON, QUIET, Flag
from .invocation import Invocation

ARGUMENTS = "LIST [LIST...]"
FLAGS = (Flag("ignore", "Ignore errors when a specified manifest is missing", short="i"), FORMAT_JSON, QUIET)


def run(invocation: Invocation) -> int:
    """The status is that of ``rmi``."""
    options = invocation.options
    json = output.json_wanted(options.text("format"))
    params: dict[str, Any] = {"names": invocation.at_least(1)}
    if options.on("ignore"):
        params["ignore"] = True
    report = invocation.call("manifests.remove", params, watched=True)
    if json:
        output.emit(output.pretty(report))
    else:
        output.emit(removals.ids(report) if options.on("quiet") else removals.removed(report))
    removals.complain(report)
    return removals.status(report["failed"])
