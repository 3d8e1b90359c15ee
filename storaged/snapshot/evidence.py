"""Unreadable evidence: what may be a manifest list and cannot be read, and what removes it.

No command is told where the list may be whole: its damage was seen only once, or the disk did not give the bytes.

Which command works was tried on records whose manifest was missing, empty, cut short, or well formed but not the
recorded bytes. ``storagectl`` acts on the record itself: by ``rmi --force ID``, or by ``manifest rm`` with all the
names where it can be read as a list, which the former may take for its instance (``compat = "podman"``).

A store that is only read here is podman's to write to, by naming it as the root. ``podman image rm --force ID`` removes
the record as long as podman does not take it for a list; if it does, that command acts on the list's local instance
instead, and only ``podman manifest rm`` with *all* the names (the id where there are none) removes the list.
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
    """Yield a record a piece, in store order, undecodable ones last."""
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
                detail=f"record {flaw.index} of the table cannot be decoded, by podman neither: {flaw.detail}. "
                "Restore the table from a backup, or mend that record while no container tool runs",
                file=flaw.file,
                command="",
            )


def removal_command(row: ImageRow, content: ImageContent) -> str:
    """The command that removes this record, whatever its manifest is taken for."""
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
    """The command that removes this unreadable record; empty where it is none, or no tool can."""
    return next((found.command for found in evidence if found.image == image), "")
