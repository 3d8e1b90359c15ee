"""``storagectl why``: shows what keeps an image, with the evidence, on one screen."""

from __future__ import annotations

from typing import TYPE_CHECKING

from . import exits, output, terminal
from .flags import FORMAT, NO_TRUNC, QUIET
from .invocation import Invocation

if TYPE_CHECKING:
    from ..contract.plain import Reason, Why

ARGUMENTS = "IMAGE"
FLAGS = (FORMAT, QUIET, NO_TRUNC)

_TITLES = {
    "named": "it has a name",
    "child": "it has a child",
    "manifest_list": "a list names it",
    "container": "a container uses it",
    "lease": "it is leased",
    "read_only": "it is read-only",
    "unreadable_evidence": "evidence is unreadable",
}

_MOST = 8
"""Reasons of one kind on the screen."""


def run(invocation: Invocation) -> int:
    options = invocation.options
    template, json = output.chosen(options.text("format"), "why")
    name = invocation.one_argument()
    why = invocation.call("images.why", {"name": name})
    if options.on("quiet"):
        reasons = dict.fromkeys(reason["code"] for reason in why["reasons"])
        output.emit("".join(f"{code}\n" for code in reasons))
        return exits.DONE
    if template is not None:
        from . import rows

        id_ = why["id"] if options.on("no-trunc") else why["id"][:12]
        output.emit_filled(template, [rows.struct(why, {"ID": id_})], {})
        return exits.DONE
    if json:
        output.emit(output.pretty(why))
        return exits.DONE
    text = invocation.reaching(render(name, why, full=options.on("no-trunc")))
    output.emit(paint(text) if terminal.wanted() else text)
    return exits.DONE


def render(name: str, why: Why, *, full: bool = False) -> str:
    """The verdicts and the reasons, for people."""
    id_ = why["id"] if full else why["id"][:12]
    called = f"{name} ({id_})" if not why["id"].startswith(name) else id_
    lines = [
        called,
        "",
        f"  dangling      {_word(why['dangling'])}",
        f"  intermediate  {_word(why['intermediate'])}",
        f"  prunable      {_word(why['prunable'])}",
        f"  removable     {_word(why['removable'])}",
        "",
    ]
    if not why["reasons"]:
        lines.append("Nothing keeps it: `storagectl image prune` would remove it.")
    else:
        lines += ["Kept because", *_reasons(why["reasons"])]
    return "".join(f"{output.printable(line)}\n" for line in lines)


def paint(text: str) -> str:
    """For a terminal: highlight the image and what keeps it, but not the hints."""
    head, *rest = text.split("\n")
    lines = [terminal.paint(head, terminal.BOLD)]
    for line in rest:
        code = ""
        if line.endswith("  yes"):
            code = terminal.YELLOW
        elif line.startswith(("Kept because", "Nothing keeps it")):
            code = terminal.BOLD
        elif line.lstrip().startswith(("file: ", "to change that: ")):
            code = terminal.DIM
        lines.append(terminal.paint(line, code) if code else line)
    return "\n".join(lines)


def _reasons(reasons: list[Reason]) -> list[str]:
    lines = []
    width = max(len(_title(reason)) for reason in reasons) + 2
    groups: dict[str, list[Reason]] = {}
    for reason in reasons:
        groups.setdefault(_title(reason), []).append(reason)
    for title, members in groups.items():
        for reason in members[:_MOST]:
            lines.append(f"  {title.ljust(width)}{reason['detail']}")
            lines += [f"  {' ' * width}{hint}" for hint in _hints(reason)]
        if len(members) > _MOST:
            lines.append(f"  {title.ljust(width)}and {len(members) - _MOST} more: --format json has them all")
    return lines


def _title(reason: Reason) -> str:
    return _TITLES.get(reason["code"], reason["code"])


def _hints(reason: Reason) -> list[str]:
    hints = []
    if reason.get("file"):
        hints.append(f"file: {reason['file']}")
    if reason.get("command") and str(reason["command"]) not in reason["detail"]:
        hints.append(f"to change that: {reason['command']}")
    return hints


def _word(value: bool) -> str:
    return "yes" if value else "no"
