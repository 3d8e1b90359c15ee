"""Prints the result of a removal in podman's lines: shared by ``rmi``, ``image prune`` and ``manifest rm``.

Standard output shows what was removed; standard error what could not be, as Go's multierror prints it, and what a plan
listed but was kept. One failure never hides the rest.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from . import exits, output
from .flags import UsageError

if TYPE_CHECKING:
    from ..contract.plain import Failed, Kept, PruneReport
    from .flags import Options

_LOOKUP = ("ImageUnknown", "ManifestListUnknown", "NotAManifestList", "AmbiguousName", "InvalidName")
"""What podman finds out about all names before it removes the first image, and so reports first."""

_UNKNOWN = frozenset(("ImageUnknown", "ManifestListUnknown", "LayerUnknown"))
_MOST = 3
"""Reasons per line."""

NOT_NOW = "it cannot be removed now"
"""What is printed for an image that stays without a reason."""


def refuse_idle(options: Options) -> None:
    """Refuse options that only the table of a dry run uses.

    Raises:
        UsageError: there is such a flag, and no ``--dry-run``.
    """
    for name in ("kept", "no-trunc", "noheading"):
        if options.on(name) and not options.on("dry-run"):
            raise UsageError(f"--{name} only applies to the table of a dry run: add --dry-run")


def removed(report: PruneReport) -> str:
    """``rmi``: every removed name, then every removed image."""
    lines = [f"Untagged: {each['name']}" for each in report["untagged"]]
    lines += [f"Deleted: {each['id']}" for each in report["removed"]]
    return "".join(f"{output.printable(line)}\n" for line in lines)


def ids(report: PruneReport) -> str:
    """``image prune``: one id per line."""
    return "".join(f"{output.printable(each['id'])}\n" for each in report["removed"])


def complain(report: PruneReport) -> None:
    """What could not be removed, what was kept against the plan, and what is still on disk; on standard error."""
    for each in report["changed"]:
        output.complain(f"storagectl: {each['id'][:12]} was kept: {because(each)}")
    unfinished = report.get("unfinished")  # a daemon of an earlier version does not report it
    if unfinished:
        output.complain(f"storagectl: files are left, the next start of the daemon removes them: {unfinished}")
    if report["failed"]:
        output.complain(f"Error: {errors(report['failed'])}")


def errors(failed: list[Failed]) -> str:
    """One error as it is, several in podman's list, those of the look-up first."""
    ordered = sorted(failed, key=lambda each: _name(each) not in _LOOKUP)
    messages = [each["error"]["message"] for each in ordered]
    if len(messages) == 1:
        return messages[0]
    return "\n".join((f"{len(messages)} errors occurred:", *(f"\t* {message}" for message in messages)))


def because(kept: Kept) -> str:
    """The reasons in one line."""
    details = [reason["detail"] for reason in kept["reasons"]]
    more = len(details) - _MOST
    return "; ".join(details[:_MOST]) + (f"; and {more} more" if more > 0 else "") if details else NOT_NOW


def status(failed: list[Failed]) -> int:
    """podman's exit status of named removals: 2 if one is in use, 1 if all that failed do not exist."""
    if not failed:
        return exits.DONE
    names = {_name(each) for each in failed}
    if "ImageInUse" in names:
        return exits.IN_USE
    if names <= _UNKNOWN:
        return exits.ABSENT
    from storaged_client.contract.errors import from_wire

    statuses = {exits.status_of(from_wire(dict(each["error"]))) for each in failed}
    return statuses.pop() if len(statuses) == 1 else exits.FAILED


def _name(failed: Failed) -> str:
    return str(failed["error"]["data"].get("name"))
