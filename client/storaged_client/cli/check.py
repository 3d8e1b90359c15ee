"""``storagectl check``: lists problems of the store, grouped by what they endanger, worst first."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

from . import exits, output, terminal
from .flags import NO_TRUNC, QUIET, Flag
from .invocation import Invocation

if TYPE_CHECKING:
    from ..contract.plain import Finding

ARGUMENTS = ""
_SCOPES = ("records", "files", "contents")
FLAGS = (
    Flag("format", "Output format: json or table", short="f", kind="string"),
    Flag(
        "scope",
        "What to check: records, files (also sizes and small files), contents (also every byte)",
        kind="string",
        choices=_SCOPES,
    ),
    QUIET,
    NO_TRUNC,
)

_SLICE = 2.0
"""Seconds between two progress reports on a terminal."""

_UNSEEN = {
    "files": "the files of images and layers, and their contents",
    "contents": "every byte of images' data and layers' files",
}
"""What a check without these scopes did not see."""

_SEVERITIES = ("fatal", "damage", "warning", "debris")
_MOST_IMAGES = 4

_COLOURS = {
    "fatal: ": terminal.RED,
    "damage: ": terminal.RED,
    "warning: ": terminal.YELLOW,
    "debris: ": terminal.CYAN,
    "    to repair it: ": terminal.DIM,
    "Nothing is wrong": terminal.GREEN,
}
"""The beginning of a line, and its colour on a terminal."""


def run(invocation: Invocation) -> int:
    """0 if nothing is wrong in what was checked, 1 if something is."""
    options = invocation.options
    json = output.json_wanted(options.text("format"))
    invocation.no_arguments()
    report = _whole(invocation, options.text("scope") or "files")
    findings: list[Finding] = report["findings"]
    if json:
        output.emit(output.pretty(report))
    elif options.on("quiet"):
        output.emit("".join(f"{output.printable(each['id'])}\n" for each in findings))
    else:
        text = render(report, full=options.on("no-trunc"))
        output.emit(paint(text) if terminal.wanted() else text)
    return exits.FOUND if findings else exits.DONE


def _whole(invocation: Invocation, scope: str) -> dict[str, Any]:
    """The combined report of all slices."""
    watched = sys.stderr.isatty()
    findings: list[Any] = []
    unsettled: list[str] = []
    notes: list[str] = []
    params: dict[str, Any] = {"scope": scope, "slice": _SLICE}
    age = begun = None
    while True:
        result = invocation.call("store.check", params)
        if age is None:
            age, begun = result.get("age", 0.0), result.get("begun", 0.0)
        findings += result["findings"]
        unsettled += result["unsettled"]
        notes += result.get("notes", ())
        if watched:
            output.overwrite(f"checked {result['done']} of {result['total']}" if result["resume"] else "")
        if result["resume"] is None:
            return {
                "scope": scope,
                "not_looked_at": not_looked_at(scope),
                "findings": findings,
                "unsettled": unsettled,
                "notes": notes,
                "done": result["done"],
                "total": result["total"],
                "age": age,
                "begun": begun,
            }
        params["resume"] = result["resume"]


def not_looked_at(scope: str) -> list[str]:
    """The scopes that look further than this one."""
    return list(_SCOPES[_SCOPES.index(scope) + 1 :])


def render(report: dict[str, Any], *, full: bool = False) -> str:
    """Every finding below what it endangers, with its repair hint; then what could not be judged."""
    findings: list[Finding] = report["findings"]
    lines: list[str] = []
    for severity in _SEVERITIES:
        groups = dict.fromkeys(each["endangers"] for each in findings if each["severity"] == severity)
        for endangered in groups:
            lines += [f"{severity}: endangers {endangered}"]
            for each in findings:
                if (each["severity"], each["endangers"]) == (severity, endangered):
                    lines += [f"  {line}" for line in _finding(each, full)]
            lines.append("")
    if report["unsettled"]:
        lines += ["not judged; check again later", *(f"  {text}" for text in report["unsettled"]), ""]
    if report.get("notes"):
        lines += ["to know", *(f"  {text}" for text in report["notes"]), ""]
    judged = _count(report["total"] - len(report["unsettled"]), "unit")
    if report["unsettled"]:
        judged += f" of {report['total']}"
    if findings:
        units = _count(report["total"], "unit")
        lines.append(f"{_count(len(findings), 'finding')} in {units} (scope {report['scope']})")
    else:
        lines.append(f"Nothing is wrong in {judged} (scope {report['scope']}).")
    if report.get("age", 0.0) >= 1.0:
        lines.append(f"This was found {report['age']:.0f} s ago; users who may change the store get a new check.")
    elif report.get("begun", 0.0) > 2 * _SLICE:
        lines.append(f"Another check was under way and was joined; it had begun {report['begun']:.0f} s before.")
    if unseen := not_looked_at(report["scope"]):
        lines.append(f"Not looked at: {_UNSEEN[unseen[0]]}: storagectl check --scope {unseen[-1]}")
    return "".join(f"{output.printable(line)}\n" for line in lines)


def paint(text: str) -> str:
    """Colour the text for a terminal: endangered things by severity, repair hints, and that nothing is wrong."""
    lines = []
    for line in text.split("\n"):
        code = next((code for start, code in _COLOURS.items() if line.startswith(start)), "")
        lines.append(terminal.paint(line, code) if code else line)
    return "\n".join(lines)


def _finding(found: Finding, full: bool) -> list[str]:
    lines = [f"{found['name']}: {_subject(found, full)}: {found['detail']}"]
    if found["file"] and found["file"] != found["id"]:
        lines.append(f"  file: {found['file']}")
    images = [image for image in found["images"] if image != found["id"]]
    if images:
        shown = images if full else [image[:12] for image in images[:_MOST_IMAGES]]
        more = len(images) - len(shown)
        lines.append(f"  images: {' '.join(shown)}" + (f" and {more} more" if more else ""))
    if found["mend"]:
        lines.append(f"  to repair it: {found['mend']}")
    return lines


def _subject(found: Finding, full: bool) -> str:
    id_ = found["id"]
    if found["kind"] in ("image", "layer", "container"):
        id_ = f"{found['kind']} {id_ if full else id_[:12]}"
    return f"{id_} (additional store {found['store']})" if found["store"] else id_


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
