"""``storagectl manifest ls``: every local manifest list and index, in one call."""

from __future__ import annotations

from typing import TYPE_CHECKING

from . import exits, names, output
from .flags import FORMAT, NO_TRUNC, NOHEADING, QUIET
from .invocation import Invocation

if TYPE_CHECKING:
    from .wire import Instance, ManifestList

ARGUMENTS = ""
FLAGS = (FORMAT, QUIET, NO_TRUNC, NOHEADING)


def run(invocation: Invocation) -> int:
    options = invocation.options
    template = output.template(options.text("format"), "manifests")
    json = template is None and output.json_wanted(options.text("format"))
    invocation.no_arguments()
    include = ["instances", "annotations"] if not options.on("quiet") else []
    lists = invocation.call("manifests.list", {"include": include})["manifests"]
    if options.on("quiet"):
        full = options.on("no-trunc")
        output.emit("".join(f"{output.identifier(item['id'], full)}\n" for item in lists))
    elif template is not None:
        output.emit_filled(template, lists, None if options.on("noheading") else {})
    elif json:
        output.emit(output.pretty(lists))
    else:
        output.emit(render(lists, full=options.on("no-trunc"), heading=not options.on("noheading")))
    return exits.DONE


def render(lists: list[ManifestList], *, full: bool = False, heading: bool = True) -> str:
    """A row a list. LOCAL counts the instances whose image is in the store."""
    damaged = any(item["damage"] for item in lists)
    header = ["LIST ID", "NAMES", "DIGEST", "INSTANCES", "LOCAL", "PLATFORMS", *(["DAMAGE"] if damaged else [])]
    rows = []
    for item in lists:
        instances = item["instances"] or []
        digest = item["digest"] or names.NONE
        row = [
            output.identifier(item["id"], full),
            ",".join(item["names"]) or names.NONE,
            digest if full else digest[:19],
            str(item["instance_count"]),
            str(sum(instance["image"] is not None for instance in instances)),
            ",".join(dict.fromkeys(filter(None, map(_platform, instances)))) or "-",
        ]
        if damaged:
            row.append(item["damage"]["name"] if item["damage"] else "")
        rows.append(tuple(row))
    return output.table(tuple(header), rows, heading=heading)


def _platform(instance: Instance) -> str:
    platform = instance["platform"]
    if platform is None:
        return ""
    return "/".join(part for part in (platform["os"], platform["architecture"], platform["variant"]) if part)
