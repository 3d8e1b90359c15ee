"""``storagectl layers``: all layers, one with its chain, or the forest."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from ..podman import measures
from . import exits, output
from .flags import FORMAT, NO_TRUNC, NOHEADING, QUIET, Flag, UsageError
from .invocation import Invocation

if TYPE_CHECKING:
    from ..contract.plain import LayerSummary

ARGUMENTS = "[LAYER]"
FLAGS = (
    Flag("tree", "Show all layers, or those on top of LAYER, as a tree"),
    FORMAT,
    QUIET,
    NO_TRUNC,
    NOHEADING,
)


def run(invocation: Invocation) -> int:
    """All layers; with an argument, that layer and its chain down to the base."""
    options = invocation.options
    template, json = output.chosen(options.text("format"), "layers")
    if len(invocation.arguments) > 1:
        raise UsageError(f"accepts at most 1 arg(s), received {len(invocation.arguments)}")
    wanted = invocation.arguments[0] if invocation.arguments else None
    tree = options.on("tree")
    layers: list[LayerSummary]
    if tree:
        layers = invocation.pages("layers.tree", {"id": wanted}, "layers")
    elif wanted:
        details = invocation.call("layers.get", {"id": wanted})
        if json:
            output.emit(output.pretty(details))
            return exits.DONE
        known = {layer["id"]: layer for layer in invocation.pages("layers.list", {}, "layers")}
        layers = [known[id_] for id_ in details["chain"] if id_ in known]
    else:
        layers = invocation.pages("layers.list", {}, "layers")
    full = options.on("no-trunc")
    if options.on("quiet"):
        output.emit("".join(f"{_short(layer['id'], full)}\n" for layer in layers))
    elif template is not None:
        from . import rows

        now = time.time()
        structs = [rows.struct(layer, columns(layer, now, full=full)) for layer in layers]
        output.emit_filled(template, structs, None if options.on("noheading") else _TITLES)
    elif json:
        output.emit(output.pretty(layers))
    else:
        text = render(layers, time.time(), full=full, tree=tree, heading=not options.on("noheading"))
        output.emit(text)
    return exits.DONE


_TITLES = {
    "ID": "LAYER ID",
    "Parent": "PARENT",
    "Created": "CREATED",
    "Size": "SIZE",
    "Images": "IMAGES",
    "Containers": "CONTAINERS",
    "Damage": "DAMAGE",
}
"""Columns by their names in templates; the last one is in a table only if there is damage."""


def render(
    layers: list[LayerSummary], now: float, *, full: bool = False, tree: bool = False, heading: bool = True
) -> str:
    """One row per layer. IMAGES counts those whose top layer it is; a tree indents the id by the layer's depth."""
    shown = len(_TITLES) if any(layer["damage"] for layer in layers) else len(_TITLES) - 1
    lowest = min((layer["depth"] for layer in layers), default=0)
    rows = []
    for layer in layers:
        first, *rest = columns(layer, now, full=full).values()
        indent = "  " * (layer["depth"] - lowest) if tree else ""
        rows.append((f"{indent}{first}", *rest)[:shown])
    return output.table(tuple(_TITLES.values())[:shown], rows, heading=heading)


def columns(layer: LayerSummary, now: float, *, full: bool = False) -> dict[str, str]:
    """The contents of a row's columns."""
    return {
        "ID": _short(layer["id"], full),
        "Parent": _short(layer["parent"], full) if layer["parent"] else "",
        "Created": measures.age(layer["created"], now),
        "Size": measures.size(layer["size"]),
        "Images": str(len(layer["images"])),
        "Containers": str(len(layer["containers"])),
        "Damage": layer["damage"]["name"] if layer["damage"] else "",
    }


def _short(id_: str, full: bool) -> str:
    return id_ if full else id_[:12]
