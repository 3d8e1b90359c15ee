"""``storagectl containers``: lists the storage containers of podman, buildah, cri-o and others."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from ..podman import measures, names
from . import exits, output
from .flags import FORMAT, NO_TRUNC, NOHEADING, QUIET
from .invocation import Invocation

if TYPE_CHECKING:
    from ..contract.plain import ContainerSummary

ARGUMENTS = ""
FLAGS = (FORMAT, QUIET, NO_TRUNC, NOHEADING)


def run(invocation: Invocation) -> int:
    options = invocation.options
    template, json = output.chosen(options.text("format"), "containers")
    invocation.no_arguments()
    containers = invocation.call("containers.list")["containers"]
    full = options.on("no-trunc")
    if options.on("quiet"):
        output.emit("".join(f"{item['id'] if full else item['id'][:12]}\n" for item in containers))
    elif template is not None:
        from . import rows

        now = time.time()
        structs = [rows.struct(item, columns(item, now, full=full)) for item in containers]
        output.emit_filled(template, structs, None if options.on("noheading") else _TITLES)
    elif json:
        output.emit(output.pretty(containers))
    else:
        output.emit(render(containers, time.time(), full=full, heading=not options.on("noheading")))
    return exits.DONE


_TITLES = {
    "ID": "CONTAINER ID",
    "Owner": "OWNER",
    "Image": "IMAGE",
    "Layer": "LAYER",
    "Created": "CREATED",
    "Names": "NAMES",
}
"""Columns by their names in templates."""


def render(containers: list[ContainerSummary], now: float, *, full: bool = False, heading: bool = True) -> str:
    """One row per container; ids as in podman's ``ps``, without a prefix."""
    rows = [tuple(columns(item, now, full=full).values()) for item in containers]
    return output.table(tuple(_TITLES.values()), rows, heading=heading)


def columns(item: ContainerSummary, now: float, *, full: bool = False) -> dict[str, str]:
    """The contents of a row's columns."""
    length = 64 if full else 12
    return {
        "ID": item["id"][:length],
        "Owner": item["owner"],
        "Image": (item["image"] or "-")[:length],
        "Layer": (item["layer"] or "-")[:length],
        "Created": measures.age(item["created"], now),
        "Names": ",".join(item["names"]) or names.NONE,
    }
