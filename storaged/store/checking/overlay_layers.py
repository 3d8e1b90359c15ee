"""Checks one layer of the overlay driver against its record and the chain below it.

::

    overlay/<id>/diff/           its files
                 link            its short name: 26 characters
                 lower           l/<short name> of all below, nearest first, joined by ":"; absent for a base layer
                 lower-layers    ids of all below, likewise (from 1.63; not in layers of older tools)
    overlay/l/<short name>       symbolic link to ../<id>/diff

``parent`` in the records is the truth: all of these can be restored from it. Tools before 1.63 read ``lower``, later
ones ``lower-layers`` if it exists; if the two disagree, tools see different images.

Source: containers/storage ``drivers/overlay/overlay.go``.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence

from storaged.store.checking import repair_hints
from storaged.store.checking.findings import Finding
from storaged.store.checking.layer_data import check_tar_split, layer_finding
from storaged.store.checking.look import Look
from storaged.store.layout.records import LayerID
from storaged.store.tables import LayerRow

_LINKS = "l"


def check_overlay_layer(look: Look, row: LayerRow) -> Iterator[Finding | None]:
    """Raises: OSError: a file that is there cannot be read."""
    folder = look.layer_folder(row)
    if look.kind_of(folder) != "directory":
        yield layer_finding(look, row, "layer_directory_missing", "its folder is missing", folder)
        return
    diff = os.path.join(folder, "diff")
    has_diff = look.kind_of(diff) == "directory"
    if not has_diff:
        yield layer_finding(look, row, "layer_diff_missing", "it has no diff: its files are lost", diff)
    yield from _link(look, row, folder)
    chain, complete = look.state.chain(row.record.id)
    if complete:
        yield from _lower(look, row, folder, chain[1:])
        yield from _lower_layers(look, row, folder, [below.record.id for below in chain[1:]])
    if has_diff:
        # With composefs, the files are stored under their digests.
        whole = look.kind_of(os.path.join(folder, "composefs-data")) is None
        yield from check_tar_split(look, row, diff, whole=whole)


def _link(look: Look, row: LayerRow, folder: str) -> Iterator[Finding]:
    home = os.path.dirname(folder)
    target = target_of(row.record.id)
    link = look.link(row)
    file = os.path.join(folder, "link")
    if link is None:
        text = look.text(file)
        why = (
            "is missing"
            if text is None
            else "is empty"
            if not text
            else f"says {text[:80]!r}, which is not a short name"
        )
        known = _found_link(look, home, target)
        mend = repair_hints.write(known, file) if known else None
        yield layer_finding(look, row, "link_file_lost", f"its link file {why}", file, mend)
        return
    path = os.path.join(home, _LINKS, link)
    kind = look.kind_of(path)
    if kind is None:
        detail = f"l/{link} is missing; containers/storage 1.63 and later do not create it again"
        yield layer_finding(look, row, "link_lost", detail, path, repair_hints.make_link(target, path))
    elif kind != "link":
        detail = f"l/{link} is not a symbolic link"
        mend = f"{repair_hints.remove_tree(path)} && {repair_hints.make_link(target, path)}"
        yield layer_finding(look, row, "link_wrong", detail, path, mend)
    elif (found := look.target(path)) != target:
        detail = f"l/{link} points to {(found or 'nothing')[:200]!r}, not to {target!r}"
        yield layer_finding(look, row, "link_wrong", detail, path, repair_hints.make_link(target, path))


def target_of(id: LayerID) -> str:
    """The target of a layer's short-name link."""
    return f"../{id}/diff"


def _found_link(look: Look, home: str, target: str) -> str | None:
    """The short name of the link that points to the layer."""
    above = os.path.join(home, _LINKS)
    return next((name for name in look.names(above) if look.target(os.path.join(above, name)) == target), None)


def _lower(look: Look, row: LayerRow, folder: str, below: Sequence[LayerRow]) -> Iterator[Finding]:
    path = os.path.join(folder, "lower")
    text = look.text(path)
    links = [look.link(each) for each in below]
    known = [f"{_LINKS}/{link}" for link in links if link is not None]
    mend = None
    if below and len(known) == len(below):
        mend = repair_hints.write(":".join(known), path)
    elif below:
        mend = "repair the link files of the layers below it first, then check again"
    if not below:
        if text:
            detail = f"it is a base layer, but lower says {text[:80]!r}"
            yield layer_finding(look, row, "lower_wrong", detail, path, repair_hints.remove(path))
    elif not text:
        detail = "lower is missing" if text is None else "lower is empty"
        yield layer_finding(look, row, "lower_lost", f"{detail}: {len(below)} layers lie below", path, mend)
    else:
        entries = text.split(":")
        # If a layer below has lost its short name, that layer reports it, and this entry is all that is left of the
        # name.
        same = len(entries) == len(links) and all(
            link is None or entry == f"{_LINKS}/{link}" for entry, link in zip(entries, links, strict=True)
        )
        if not same:
            detail = f"lower lists other layers than the {len(below)} of the parent chain"
            yield layer_finding(look, row, "lower_wrong", detail, path, mend)


def _lower_layers(look: Look, row: LayerRow, folder: str, below: Sequence[LayerID]) -> Iterator[Finding]:
    path = os.path.join(folder, "lower-layers")
    text = look.text(path)
    wanted = ":".join(below)
    if text is None or text == wanted:
        return
    mend = repair_hints.write(wanted, path) if below else repair_hints.remove(path)
    if text:
        detail = f"lower-layers names other layers than the {len(below)} of the parent chain"
        yield layer_finding(look, row, "lower_layers_wrong", detail, path, mend)
    else:
        yield layer_finding(look, row, "lower_layers_empty", "lower-layers is empty", path, mend)
