"""What a dry run found: every image that goes or stays, with its reasons, and what that frees."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

from . import measures, names, output, removals, terminal

if TYPE_CHECKING:
    from .wire_changes import Removed, Report

_HEADER = ("IMAGE ID", "NAMES", "VERDICT", "FREED", "BECAUSE")
_GOES, _STAYS = "goes", "stays"
_COLOURS = {_GOES: terminal.YELLOW, _STAYS: terminal.GREEN}


def show(report: Report, *, full: bool, heading: bool) -> None:
    """Print it: as wide as it is in a pipe, cut to the screen and in colour on a terminal."""
    text = render(report, full=full, heading=heading)
    output.emit(fitted(text, shutil.get_terminal_size().columns) if terminal.wanted() else text)


def render(report: Report, *, full: bool = False, heading: bool = True) -> str:
    """What goes first, in the order it goes; a name that only is taken is a line below the table."""
    rows: list[tuple[str, ...]] = [
        (
            output.identifier(each["id"], full),
            ",".join(each["names"]) or names.NONE,
            _GOES,
            measures.size(each["freed"]),
            _why_it_goes(each),
        )
        for each in report["removed"]
    ]
    rows += [
        (
            output.identifier(each["id"], full),
            ",".join(each["names"]) or names.NONE,
            _STAYS,
            "-",
            removals.because(each),
        )
        for each in report["kept"]
    ]
    table = output.table(_HEADER, rows, heading=heading) if rows else ""
    gone = {each["id"] for each in report["removed"]}
    lines = [f"loses the name {each['name']}" for each in report["untagged"] if each["id"] not in gone]
    lines.append(_total(report))
    if report["plan"] is not None:
        lines.append(f"to remove what goes here and nothing else: storagectl image prune --plan {report['plan']}")
    return table + "".join(f"{output.printable(line)}\n" for line in lines)


def fitted(text: str, width: int) -> str:
    """The rows cut to ``width`` columns and painted by their verdict. The lines below the table stay whole."""
    lines = []
    at = text.partition("\n")[0].find("VERDICT")
    for line in text.split("\n"):
        verdict = line[at:].partition(" ")[0] if at >= 0 else ""
        if verdict in _COLOURS:
            line = terminal.paint(line if len(line) <= width else f"{line[: max(1, width - 1)]}…", _COLOURS[verdict])
        lines.append(line)
    return "\n".join(lines)


def _why_it_goes(removed: Removed) -> str:
    details = [each["detail"] for each in removed["reasons"]]
    if removed["containers"]:
        details.append("with its containers " + " ".join(id_[:12] for id_ in removed["containers"]))
    return "; ".join(details)


def _total(report: Report) -> str:
    going, all_ = len(report["removed"]), len(report["removed"]) + len(report["kept"])
    freed = "an amount still unknown" if report["freed"] is None else measures.size(report["freed"])
    return f"would remove {going} of {all_} images and free {freed}"
