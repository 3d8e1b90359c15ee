"""``storagectl history``: prints the instructions of an image like podman."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from ..podman import measures
from . import exits, output
from .flags import FORMAT, NO_TRUNC, NOHEADING, Flag
from .invocation import Invocation

if TYPE_CHECKING:
    from ..contract.plain import HistoryRow

ARGUMENTS = "IMAGE"
FLAGS = (
    Flag("human", "Display sizes and dates in human readable format (default true)", short="H"),
    Flag("quiet", "Display the numeric IDs only", short="q"),
    FORMAT,
    NO_TRUNC,
    NOHEADING,
)

TITLES = {"CreatedBy": "CREATED BY", "CreatedAt": "CREATED AT", "CreatedSince": "CREATED SINCE"}
_MISSING = "<missing>"
_ZERO = "0001-01-01T00:00:00Z"
_MOST = 45
"""Bytes of an instruction in a table."""


def run(invocation: Invocation) -> int:
    options = invocation.options
    template, json = output.chosen(options.text("format"), "history")
    name = invocation.one_argument()
    rows: list[HistoryRow] = invocation.call("images.history", {"name": name})["history"]
    full, human = options.on("no-trunc"), options.on("human", True)
    if json:
        output.emit(output.compact([encoded(row) for row in rows], escape_html=True))
    elif options.on("quiet"):
        output.emit("".join(f"{_id(row, full)}\n" for row in rows))
    elif template is not None:
        structs = [struct(row, time.time(), full=full, human=human) for row in rows]
        output.emit_filled(template, structs, None if options.on("noheading") else TITLES)
    else:
        heading = not options.on("noheading")
        output.emit(render(rows, time.time(), full=full, human=human, heading=heading))
    return exits.DONE


def render(rows: list[HistoryRow], now: float, *, full: bool = False, human: bool = True, heading: bool = True) -> str:
    """podman's table."""
    header = ("ID", "CREATED", "CREATED BY", "SIZE", "COMMENT")
    cells: list[tuple[str, ...]] = [
        (
            _id(row, full),
            _created(row, now, human),
            _created_by(row, full),
            measures.brief(row["size"], 3),
            row["comment"] or "",
        )
        for row in rows
    ]
    return output.table(header, cells, heading=heading)


def encoded(row: HistoryRow) -> dict[str, Any]:
    """One row of podman's JSON: both spellings of the time, and no empty members."""
    created = row["created"] or _ZERO
    form: dict[str, Any] = {"id": row["id"] or _MISSING, "created": measures.rfc3339(created, fraction=True)}
    if row["created_by"]:
        form["CreatedBy"] = row["created_by"]
    if row["tags"]:
        form["tags"] = row["tags"]
    form["size"] = row["size"]
    if row["comment"]:
        form["comment"] = row["comment"]
    return {**form, "Created": measures.rfc3339(created)}


def struct(row: HistoryRow, now: float, *, full: bool, human: bool) -> dict[str, Any]:
    """The fields for templates: podman's ``historyReporter`` around ``ImageHistoryLayer``."""
    from ..gotemplate.times import Time
    from ..gotemplate.values import NilSlice, Struct, known

    created = row["created"] or _ZERO
    form = encoded(row)
    form.pop("Created")
    try:
        instant: Any = Time(created)
    except ValueError:
        instant = created
    layer = {
        "ID": row["id"] or _MISSING,
        "Created": instant,
        "CreatedBy": row["created_by"] or "",
        "Tags": row["tags"] or NilSlice(),
        "Size": known(row["size"]),
        "Comment": row["comment"] or "",
    }
    methods = {
        "ID": _id(row, full),
        "Created": _created(row, now, human),
        "CreatedSince": _created(row, now, human),
        "CreatedAt": measures.rfc3339(created),
        "CreatedBy": _created_by(row, full),
        "Size": measures.brief(row["size"], 3),
    }
    whole = Struct("entities.ImageHistoryLayer", layer, encoded=form)
    return Struct(
        "images.historyReporter",
        {"ImageHistoryLayer": whole, **layer, **methods},
        printed=("ImageHistoryLayer",),
        encoded=form,
    )


def _id(row: HistoryRow, full: bool) -> str:
    id_ = row["id"] or _MISSING
    return id_ if full else id_[:12]


def _created(row: HistoryRow, now: float, human: bool) -> str:
    created = row["created"] or _ZERO
    return measures.age(created, now) if human else measures.rfc3339(created)


def _created_by(row: HistoryRow, full: bool) -> str:
    text = row["created_by"] or ""
    data = text.encode("utf-8", "replace")
    if full or len(data) <= _MOST:
        return text
    return data[: _MOST - 3].decode("utf-8", "replace") + "..."
