"""Unreadable evidence: what may be a manifest list but cannot be read, and the command that removes it.

There is no command if the list may be intact: its damage was seen only once, or the disk did not return the bytes.

The commands were tried on records whose manifest was missing, empty, truncated, or well formed but not the recorded
bytes. ``storagectl`` acts on the record itself: ``rmi --force ID``, or ``manifest rm`` with all its names if it can be
read as a list, since ``rmi`` may take that for its instance (``compat = "podman"``).

To a store that is only read here, podman can write if it is named as the root. ``podman image rm --force ID`` removes
the record unless podman takes it for a list; then that command acts on the list's local instance, and only
``podman manifest rm`` with *all* the names (or the id if there are none) removes the list.
"""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Sequence
from posixpath import basename, dirname

from storaged.snapshot.model import Evidence
from storaged.store.layout.contents import ImageContent
from storaged.store.layout.records import ImageID
from storaged.store.tables import ImageRow, RecordFlaw


def find_evidence(
    rows: Sequence[ImageRow], contents: Sequence[ImageContent], flaws: Sequence[RecordFlaw]
) -> Iterator[Evidence]:
    """One value for each such record, in store order, undecodable ones last."""
    for row, content in zip(rows, contents, strict=True):
        if not content.unreadable_evidence:
            continue
        damage = content.damage[0] if content.damage else None
        yield Evidence(
            image=row.record.id,
            names=row.record.names or (),
            detail=damage.detail if damage is not None else "its manifest cannot be read",
            file=damage.file if damage is not None else "",
            command=removal_command(row, content) if damage is None or damage.proven else "",
        )
    for flaw in flaws:
        if flaw.evidence:
            yield Evidence(
                image=ImageID(flaw.id) if flaw.id is not None else None,
                names=(),
                detail=f"record {flaw.index} of the table cannot be decoded, not even by podman: {flaw.detail}. "
                "Restore the table from a backup, or repair that record while no container tool runs",
                file=flaw.file,
                command="",
            )


def removal_command(row: ImageRow, content: ImageContent) -> str:
    """The command that removes this record, whatever its manifest looks like."""
    record = row.record
    names = " ".join(shlex.quote(name) for name in record.names or (record.id,))
    if row.store == 0 or not content.damage:
        if content.manifest is not None and content.manifest.is_list:
            return f"storagectl manifest rm {names}"
        return f"storagectl rmi --force {shlex.quote(record.id)}"
    podman = _podman(content.damage[0].file)
    as_list = f"{podman} manifest rm {names}"
    as_image = f"{podman} image rm --force {shlex.quote(record.id)}"
    if content.manifest is not None:
        return as_list if content.manifest.is_list else as_image
    if content.damage[0].seen is None:
        return as_image
    return f"{as_list} || {as_image}"


def _podman(manifest: str) -> str:
    """podman with the store of this file, ``ROOT/DRIVER-images/ID/manifest``, as its root."""
    folder = dirname(dirname(manifest))
    driver = basename(folder).removesuffix("-images")
    return f"podman --root {shlex.quote(dirname(folder))} --storage-driver {shlex.quote(driver)}"


def record_removal(evidence: Sequence[Evidence], image: ImageID) -> str:
    """The command that removes this unreadable record; empty if it is not such a record, or no tool can."""
    return next((found.command for found in evidence if found.image == image), "")
