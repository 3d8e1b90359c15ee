"""``storagectl manifest rm``: remove lists, and never what they name."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from . import output, removals
from .flags import Flag
from .invocation import Invocation

if TYPE_CHECKING:
    from .wire_changes import Report

ARGUMENTS = "LIST [LIST...]"
FLAGS = (Flag("ignore", "Ignore errors when a specified manifest is missing", short="i"),)


def run(invocation: Invocation) -> int:
    """The status is that of ``rmi``."""
    options = invocation.options
    json = output.json_wanted(options.text("format"))
    params: dict[str, Any] = {"names": invocation.at_least(1)}
    if options.on("ignore"):
        params["ignore"] = True
    result = invocation.call("manifests.remove", params, watched=True)
    report: Report = result  # type: ignore[assignment] # the wire's dictionary, see wire.py
    if json:
        output.emit(output.pretty(result))
    else:
        output.emit(removals.ids(report) if options.on("quiet") else removals.removed(report))
    removals.complain(report)
    return removals.status(report["failed"])
