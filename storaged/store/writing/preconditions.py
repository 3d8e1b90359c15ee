"""Checks a store before it is written, and a new table before it is published.

Podman 4.3 takes a table that it cannot decode for an empty one, and its next write empties the store. So a new table is
decoded again before it replaces the old one, and a table that cannot be decoded completely is never overwritten.
"""

from __future__ import annotations

import os
import re
from collections.abc import Collection, Mapping, Sequence
from typing import Final

from attrs import field, frozen

from storaged.store.content import may_be_list
from storaged.store.files import Files, Identity, read_whole
from storaged.store.inventory import TableFile, TableKind
from storaged.store.layout.paths import containers_dir, images_dir, images_json, layers_dir
from storaged.store.layout.records import ContainerRecord, ImageRecord, LayerRecord
from storaged.store.layout.references import is_listable
from storaged.store.layout.table import Decoder, Record, split
from storaged.store.mountinfo import is_remote
from storaged.store.table_reader import TABLE_LIMIT
from storaged.store.tables import StoreLocation
from storaged.store.writing.prepared import PlanOutdated
from storaged_client.contract.errors import StoragedError, StoreCorrupt, StoreReadOnly, StoreUnsupported
from storaged_client.times import instant

DRIVERS: Final = ("overlay", "vfs")
"""Drivers whose stores can be written."""

_ID: Final = re.compile(r"[0-9a-f]{64}")
_DIGESTS: Final = re.compile(r"sha256:[0-9a-f]{64}|sha384:[0-9a-f]{96}|sha512:[0-9a-f]{128}")
_KINDS: Final[Mapping[TableKind, type[Record]]] = {
    "images": ImageRecord,
    "layers": LayerRecord,
    "containers": ContainerRecord,
}
_RELATIONS: Final[Mapping[TableKind, str]] = {
    "images": "id|names|layer|mapped-layers",
    "layers": "id|parent|flags",
    "containers": "id|image|layer",
}
"""Members that express dependencies. Go matches them in any case, the decoder here only in lower case."""

_STRANGE: Final[Mapping[TableKind, re.Pattern[bytes]]] = {
    kind: re.compile(rf'"(?!(?:{names})")(?i:{names})"\s*:'.encode()) for kind, names in _RELATIONS.items()
}


@frozen(kw_only=True)
class CurrentTable:
    """A table before the change: every element's exact bytes, and the record it decodes to."""

    file: TableFile
    data: bytes = field(repr=False)
    raws: tuple[bytes, ...] = field(repr=False)
    records: tuple[Record, ...] = field(repr=False)


def refusal(location: StoreLocation, files: Files) -> StoragedError | None:
    """Why this store cannot be written, whatever the change; None if it can. A few system calls.

    The error has ``missing`` in its data if the store does not exist yet (``create_store``).
    """
    root, driver = location.graphroot, location.driver
    if driver not in DRIVERS:
        return StoreUnsupported(
            f"{root}: storaged does not write to stores of the driver {driver}; use podman", driver=driver
        )
    if location.image_store is not None:
        return StoreUnsupported(
            f"{root}: its images are in {location.image_store}; storaged does not write to split stores; use podman"
        )
    if location.transient:
        return StoreUnsupported(f"{root}: storaged does not write to transient stores; use podman")
    if is_remote(root, files):
        return StoreUnsupported(
            f"{root}: it is on a network file system, whose locks may not reach all hosts; use podman"
        )
    for folder in (images_dir(root, driver), layers_dir(root, driver), containers_dir(root, driver)):
        try:
            files.stat(folder)
        except FileNotFoundError:
            return StoreUnsupported(
                f"{folder} does not exist: the first change creates the store", file=folder, missing=True
            )
        except OSError as error:
            return StoreReadOnly(f"{folder}: {error.strerror}", file=folder)
        if not files.access(folder, os.W_OK | os.X_OK):
            return StoreReadOnly(f"{folder} cannot be written", file=folder)
    return None


def read_table(
    files: Files, table: TableFile, seen: Identity | None, ahead: CurrentTable | None = None
) -> CurrentTable:
    """Read and decode a whole table that is to be replaced. ``seen`` is its identity in the stamp.

    ``ahead`` is an earlier reading of it: records with the same bytes are reused.

    Raises:
        PlanOutdated: it is another file by now.
        StoreCorrupt: it, or one of its records, cannot be decoded, or other tools read it differently, or it was
            emptied: what is not understood is not overwritten, and nothing is removed because of it.
    """
    data = b""
    if seen is not None:
        try:
            data, now = read_whole(files, table.path, TABLE_LIMIT)
        except FileNotFoundError:
            raise PlanOutdated(f"{table.path} is gone", file=table.path) from None
        except OSError as error:
            raise corrupt(table.path, error.strerror or str(error)) from None
        if now != seen:
            raise PlanOutdated(f"{table.path} was replaced", file=table.path)
        if not data and table.kind != "images" and not table.volatile:
            raise corrupt(table.path, "it has 0 bytes, which no tool writes: its records were lost")
    if ahead is not None and ahead.data == data:
        return ahead
    raws = split(data, file=table.path)
    known = dict(zip(ahead.raws, ahead.records, strict=True)) if ahead is not None else {}
    for index, raw in enumerate(raws):
        if raw not in known and (strange := _STRANGE[table.kind].search(raw)) is not None:
            raise corrupt(table.path, f"record {index + 1} has the member {strange[0].decode()} in unusual letter case")
    decoded = Decoder(_KINDS[table.kind], lambda _, record: record).decode(raws, known)
    for flaw in decoded.flaws:
        raise corrupt(table.path, f"record {flaw.index + 1} ({flaw.id or 'without id'}): {flaw.detail}")
    return CurrentTable(
        file=table, data=data, raws=tuple(raws), records=tuple([record for _, record in decoded.entries])
    )


def refuse_lost_table(files: Files, location: StoreLocation, table: CurrentTable) -> None:
    """Refuse a missing or empty table beside folders of images: it is lost, and its images may still be saved.

    Raises:
        StoreCorrupt: it is lost.
    """
    if table.data:
        return
    folder = images_dir(location.graphroot, location.driver)
    found = next((name for name in files.listdir(folder) if _ID.fullmatch(name)), None)
    if found is not None:
        path = images_json(location.graphroot, location.driver)
        raise corrupt(path, f"it has no record, but there is data of images, for example {found}: the table was lost")


def check_emitted(
    data: bytes, table: CurrentTable, raws: Sequence[bytes], written: Mapping[bytes, Record | None]
) -> None:
    """Read a new table as the next reader will. ``written`` maps the changed records to their old values.

    Raises:
        StoreCorrupt: it is not what was meant, or not what other tools accept.
    """
    path = table.file.path
    if split(data, file=path) != list(raws):
        raise corrupt(path, "the new table does not read back as intended")
    decoded = Decoder(_KINDS[table.file.kind], lambda _, record: record).decode(list(written), {})
    for flaw in decoded.flaws:
        raise corrupt(path, f"the new record {flaw.id or ''} cannot be read back: {flaw.detail}")
    bearers: dict[str, str] = {}
    for raw, record in decoded.entries:
        if not isinstance(record, ImageRecord):
            continue
        before = written[raw]
        assert before is None or isinstance(before, ImageRecord)
        if (wrong := _wrong(record, before)) is not None:
            raise corrupt(path, f"record {record.id[:12]} would be wrong: {wrong}")
        for name in record.names or ():
            if bearers.setdefault(name, record.id) != record.id:
                raise corrupt(path, f"the name {name} would be on two records")
    if not bearers:
        return
    kept = frozenset(raws).difference(written)
    for raw, record in zip(table.raws, table.records, strict=True):
        # Every other tool takes the name from one of the two at its next load.
        if isinstance(record, ImageRecord) and raw in kept and not bearers.keys().isdisjoint(record.names or ()):
            raise corrupt(path, f"a name of record {record.id[:12]} would be on two records")


def _wrong(record: ImageRecord, before: ImageRecord | None) -> str | None:
    """What other tools would not accept in the changes of a record; None if they accept all."""
    old = before or ImageRecord(id=record.id)
    names = record.names or ()
    if len(set(names)) != len(names):
        return "a name twice"
    for name in names:
        if name not in (old.names or ()) and not is_listable(name):
            return f"{name[:80]!r} is not an image reference that every podman can list"
    if record.digest and record.digest != old.digest and not _DIGESTS.fullmatch(record.digest):
        return f"{record.digest!r} is not a digest"
    described = before is None or record.big_data_digests != before.big_data_digests
    if described and (wrong := _wrong_data(record, old)) is not None:
        return wrong
    if before is None:
        try:
            instant(record.created)
        except ValueError as error:
            return str(error)
    return None


def _wrong_data(record: ImageRecord, old: ImageRecord) -> str | None:
    keys = record.big_data_names or ()
    sizes, digests = record.big_data_sizes or {}, record.big_data_digests or {}
    if len(set(keys)) != len(keys) or set(keys) != set(sizes) or set(keys) != set(digests):
        return "names, sizes and digests of its big data do not agree"
    known = old.big_data_digests or {}
    for key, digest in digests.items():
        # What another tool wrote stays as it is, whatever its algorithm.
        if digest != known.get(key) and not _DIGESTS.fullmatch(digest):
            return f"{digest!r} is not a digest"
    if may_be_list(record) and "instances.json" not in keys:
        return "a manifest list without instances.json stops every listing of podman"
    return None


def places(records: Sequence[Record], touched: Collection[str], file: str) -> dict[str, int]:
    """The index of each record to be changed, by id.

    Raises:
        StoreCorrupt: two records have the same id, so tools disagree which one is meant.
    """
    found: dict[str, int] = {}
    for index, record in enumerate(records):
        if record.id in touched:
            if record.id in found:
                raise corrupt(file, f"two records have the id {record.id}: `podman system check` says more")
            found[record.id] = index
    return found


def corrupt(file: str, detail: str) -> StoreCorrupt:
    """The refusal to overwrite this file."""
    return StoreCorrupt(f"{file}: {detail}; nothing was written", file=file, detail=detail)
