"""The result of a dry run: every image to be removed with size and reasons, a summary of what stays, and the freed
bytes."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from ..podman import measures, names
from . import output, removals, terminal

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ..contract.plain import Kept, PruneReport, Removed
    from .invocation import Invocation

_STAYS = {
    "named": "has a name",
    "child": "has a child",
    "manifest_list": "a list names it",
    "container": "a container uses it",
    "lease": "is leased",
    "read_only": "is read-only",
    "unreadable_evidence": "evidence is unreadable",
    "filtered": "the filters do not select it",
}
"""The codes of reasons in a summary; a newer daemon's code is shown as it is."""

_LEAST = 12
"""The minimum width of names, and of a reason before it is cut."""


def show(invocation: Invocation, report: PruneReport, *, each: bool = True) -> None:
    """Print it: full width in a pipe, fitted to the screen on a terminal unless ``--no-trunc`` is given."""
    full, heading = invocation.options.on("no-trunc"), not invocation.options.on("noheading")
    width = None if full else terminal.width()
    for kept in report["kept"]:
        for reason in kept["reasons"]:
            reason["detail"] = invocation.reaching(reason["detail"])
    text = render(report, full=full, heading=heading, each=each, width=width, colour=terminal.wanted())
    if report["removed"] and report["plan"] is not None:
        command = invocation.own_command("image", "prune", "--plan", report["plan"])
        text += _lines(["to remove exactly these images:", f"  {command}"])
    output.emit(text)


def render(
    report: PruneReport,
    *,
    full: bool = False,
    heading: bool = True,
    each: bool = True,
    width: int | None = None,
    colour: bool = False,
) -> str:
    """What is removed, in order; what stays, ``each`` or one line for all with the same reasons; the sum.

    In ``width`` columns, names are shortened first, then reasons; a name that is only removed is a separate line.
    """
    going = [
        ((output.identifier(it["id"], full), measures.size(it["freed"]), _why_it_goes(it)), it["names"])
        for it in report["removed"]
    ]
    parts = []
    if going:
        table = _table(("IMAGE ID", "FREED", "GOES BECAUSE"), going, width, heading=heading)
        parts.append(_painted(table, terminal.YELLOW if colour else "", heading))
    gone = {it["id"] for it in report["removed"]}
    untagged = [f"loses the name {it['name']}" for it in report["untagged"] if it["id"] not in gone]
    if untagged:
        parts.append(_lines(untagged))
    kept = report["kept"]
    if kept and each:
        staying = [((output.identifier(it["id"], full), removals.because(it)), it["names"]) for it in kept]
        table = _table(("IMAGE ID", "STAYS BECAUSE"), staying, width, heading=heading)
        parts.append(_painted(table, terminal.GREEN if colour else "", heading))
    elif kept:
        parts.append(_lines(["what stays, and why (--kept lists each)", *_summary(kept)]))
    return "\n".join((*parts, _lines(_total(report))))


def _why_it_goes(removed: Removed) -> str:
    details = [each["detail"] for each in removed["reasons"]]
    if removed["containers"]:
        details.append("with its containers " + " ".join(id_[:12] for id_ in removed["containers"]))
    return "; ".join(details)


def _table(
    header: tuple[str, ...], rows: Sequence[tuple[tuple[str, ...], list[str]]], width: int | None, *, heading: bool
) -> str:
    """The cells, the last of which is the reason, and the names if there are any."""
    if not any(called for _, called in rows):
        texts = [cells for cells, _ in rows]
        room = None if width is None else width - output.used_by([header, *texts], len(header) - 1)
        fitted = [(*cells[:-1], _cut(cells[-1], room)) for cells in texts]
        return output.table(header, fitted, heading=heading)
    room = reason = None
    if width is not None:
        room = width - output.used_by([header, *(cells for cells, _ in rows)], len(header) - 1)
        longest = max(len(output.printable(cells[-1])) for cells, _ in rows)
        reason = max(_LEAST, min(longest, room - 2 - _LEAST))
        room -= max(_LEAST, reason + 2, len(header[-1]) + 2)
    lines = [(*cells[:-1], _cut(cells[-1], reason), _called(called, room)) for cells, called in rows]
    return output.table((*header, "NAMES"), lines, heading=heading)


def _cut(text: str, room: int | None) -> str:
    text = output.printable(text)
    return text if room is None or len(text) <= room else f"{text[: max(1, room - 1)]}…"


def _called(called: list[str], room: int | None) -> str:
    """The names; if they are too long, only the end of the first, which is the most specific part."""
    text = output.printable(",".join(called)) or names.NONE
    if room is None or len(text) <= room:
        return text
    more = f" +{len(called) - 1}" if len(called) > 1 else ""
    first = output.printable(called[0])
    left = max(2, room - len(more))
    return (first if len(first) <= left else f"…{first[1 - left :]}") + more


def _painted(table: str, code: str, heading: bool) -> str:
    lines = table.splitlines()
    first = 1 if heading else 0
    return _lines([*lines[:first], *(terminal.paint(line, code) if code else line for line in lines[first:])])


def _summary(kept: list[Kept]) -> list[str]:
    """The number of images that stay for the same reasons; most first."""
    counts = Counter(tuple(dict.fromkeys(reason["code"] for reason in it["reasons"])) for it in kept)
    width = max(len(f"{count:,}") for count in counts.values())
    return [
        f"  {count:>{width},}  {', '.join(_STAYS.get(code, code) for code in codes) or removals.NOT_NOW}"
        for codes, count in counts.most_common()
    ]


def _total(report: PruneReport) -> list[str]:
    going, all_ = len(report["removed"]), len(report["removed"]) + len(report["kept"])
    images = f"{all_:,} image{'s' if all_ != 1 else ''}"
    if not going:
        return [f"would remove none of {images}" if all_ else "would remove nothing: no image was considered"]
    freed = "an unknown amount" if report["freed"] is None else measures.size(report["freed"])
    return [f"would remove {going:,} of {images} and free {freed}"]


def _lines(lines: list[str]) -> str:
    return "".join(f"{line}\n" for line in lines)
