"""``storagectl manifest ls``: lists every local manifest list and index, with one request."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..podman import names
from . import exits, output
from .flags import FORMAT, NO_TRUNC, NOHEADING, QUIET
from .invocation import Invocation

if TYPE_CHECKING:
    from ..contract.plain import Instance, ManifestListSummary

ARGUMENTS = ""
FLAGS = (FORMAT, QUIET, NO_TRUNC, NOHEADING)


def run(invocation: Invocation) -> int:
    options = invocation.options
    template, json = output.chosen(options.text("format"), "manifests")
    invocation.no_arguments()
    include = ["instances", "annotations"] if not options.on("quiet") else []
    lists = invocation.call("manifests.list", {"include": include})["manifests"]
    if options.on("quiet"):
        full = options.on("no-trunc")
        output.emit("".join(f"{output.identifier(item['id'], full)}\n" for item in lists))
    elif template is not None:
        from . import rows

        structs = [rows.struct(item, columns(item, full=options.on("no-trunc"))) for item in lists]
        output.emit_filled(template, structs, None if options.on("noheading") else _TITLES)
    elif json:
        output.emit(output.pretty(lists))
    else:
        output.emit(render(lists, full=options.on("no-trunc"), heading=not options.on("noheading")))
    return exits.DONE


_TITLES = {
    "ID": "LIST ID",
    "Names": "NAMES",
    "Digest": "DIGEST",
    "Instances": "INSTANCES",
    "Local": "LOCAL",
    "Platforms": "PLATFORMS",
    "Damage": "DAMAGE",
}
"""Columns by their names in templates; the last one is in a table only if there is damage."""


def render(lists: list[ManifestListSummary], *, full: bool = False, heading: bool = True) -> str:
    """One row per list. LOCAL counts the instances whose image is in the store."""
    shown = len(_TITLES) if any(item["damage"] for item in lists) else len(_TITLES) - 1
    rows = [tuple(columns(item, full=full).values())[:shown] for item in lists]
    return output.table(tuple(_TITLES.values())[:shown], rows, heading=heading)


def columns(item: ManifestListSummary, *, full: bool = False) -> dict[str, str]:
    """The contents of a row's columns."""
    instances = item["instances"] or []
    digest = item["digest"] or names.NONE
    return {
        "ID": output.identifier(item["id"], full),
        "Names": ",".join(item["names"]) or names.NONE,
        "Digest": digest if full else digest[:19],
        "Instances": str(item["instance_count"]),
        "Local": str(sum(instance["image"] is not None for instance in instances)),
        "Platforms": ",".join(dict.fromkeys(filter(None, map(_platform, instances)))) or "-",
        "Damage": item["damage"]["name"] if item["damage"] else "",
    }


def _platform(instance: Instance) -> str:
    platform = instance["platform"]
    if platform is None:
        return ""
    return "/".join(part for part in (platform["os"], platform["architecture"], platform["variant"]) if part)
