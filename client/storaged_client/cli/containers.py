"""``storagectl containers``: the storage containers of podman, buildah, cri-o and others."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from . import exits, measures, names, output
from .flags import FORMAT, NO_TRUNC, NOHEADING, QUIET
from .invocation import Invocation

if TYPE_CHECKING:
    from .wire import Container

ARGUMENTS = ""
FLAGS = (FORMAT, QUIET, NO_TRUNC, NOHEADING)


def run(invocation: Invocation) -> int:
    options = invocation.options
    template = output.template(options.text("format"), "containers")
    json = template is None and output.json_wanted(options.text("format"))
    invocation.no_arguments()
    containers = invocation.call("containers.list")["containers"]
    full = options.on("no-trunc")
    if options.on("quiet"):
        output.emit("".join(f"{item['id'] if full else item['id'][:12]}\n" for item in containers))
    elif template is not None:
        output.emit_filled(template, containers, None if options.on("noheading") else {})
    elif json:
        output.emit(output.pretty(containers))
    else:
        output.emit(render(containers, time.time(), full=full, heading=not options.on("noheading")))
    return exits.DONE


def render(containers: list[Container], now: float, *, full: bool = False, heading: bool = True) -> str:
    """A row a container; ids as podman's ``ps`` shows them, without a prefix."""
    length = 64 if full else 12
    rows: list[tuple[str, ...]] = [
        (
            item["id"][:length],
            item["owner"],
            (item["image"] or "-")[:length],
            (item["layer"] or "-")[:length],
            measures.age(item["created"], now),
            ",".join(item["names"]) or names.NONE,
        )
        for item in containers
    ]
    header = ("CONTAINER ID", "OWNER", "IMAGE", "LAYER", "CREATED", "NAMES")
    return output.table(header, rows, heading=heading)
