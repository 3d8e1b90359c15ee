"""Checks one table file: is it complete, can Go decode every record, is every id and name unique and usable?"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from typing import Any, Final

import msgspec

from storaged.store.checking import repair_hints
from storaged.store.checking.findings import Finding, Subject, finding
from storaged.store.checking.look import ID, Look
from storaged.store.checking.schema import wrong_digests, wrong_time, wrong_types
from storaged.store.files import FileTooLarge, NotAFile, read_whole
from storaged.store.inventory import TableFile, TableKind
from storaged.store.layout.decoding import bounded
from storaged.store.layout.paths import containers_dir, images_dir, layer_contents
from storaged.store.layout.records import LayerID
from storaged.store.layout.references import is_valid
from storaged.store.layout.table import split
from storaged.store.table_reader import TABLE_LIMIT
from storaged_client.contract.errors import StoreCorrupt

_SUBJECT: Final[dict[TableKind, Subject]] = {"images": "image", "layers": "layer", "containers": "container"}
_BREATH: Final = 4096
_anything: Callable[[bytes], Any] = bounded(msgspec.json.Decoder(Any).decode)
_anything_else: Callable[[bytes], Any] = bounded(json.loads)


def check_table(look: Look, table: TableFile) -> Iterator[Finding | None]:
    """Everything that the bytes of one table show; yields None now and then.

    Raises:
        PermissionError: we may not read it.
    """
    try:
        data, _ = read_whole(look.files, table.path, TABLE_LIMIT)
        raws = split(data, file=table.path)
    except FileNotFoundError:
        yield from _lost(look, table, "there is no such file")
        return
    except (StoreCorrupt, NotAFile, FileTooLarge) as error:
        detail = error.data.get("detail", error.message) if isinstance(error, StoreCorrupt) else error.strerror
        yield _of_table("table_unreadable", table, f"no table: {detail}")
        return
    if not data:
        yield from _lost(look, table, "the file is empty")
        return
    if not raws and (table.kind, table.store) in look.state.hollow:
        yield from _lost(look, table, "it names nothing")
    for index, raw in enumerate(raws):
        if index % _BREATH == _BREATH - 1:
            yield None
        members = _members(raw)
        if members is None:
            yield _of_table("record_null", table, f"record {index} is null: every command ends in a crash")
        elif not isinstance(members, dict):
            yield _of_table("record_malformed", table, f"record {index} is not an object")
        else:
            yield from _record(table, index, members)
    yield from _duplicates(look, table)


def check_store(look: Look, store: int) -> Iterator[Finding]:
    """An additional store whose folder does not exist."""
    root = look.location.additional[store - 1]
    if look.kind_of(root) is None:
        mend = "mount or create it again, or remove it from additionalimagestores in storage.conf"
        yield finding("store_missing", "store", root, "there is no such directory", store=store, file=root, mend=mend)


def _members(raw: bytes) -> Any:
    try:
        return _anything(raw)
    except msgspec.MsgspecError:
        # Go and the standard library accept an escaped lone surrogate.
        try:
            return _anything_else(raw)
        except ValueError:
            return False


def _of_table(name: str, table: TableFile, detail: str) -> Finding:
    mend = repair_hints.restore(table.path)
    return finding(name, "table", table.path, detail, store=table.store, file=table.path, mend=mend)


def _record(table: TableFile, index: int, members: dict[str, Any]) -> Iterator[Finding]:
    own = members.get("id")
    id = own[:256] if isinstance(own, str) else f"{table.path}#{index}"
    kind: Subject = _SUBJECT[table.kind] if isinstance(own, str) else "table"

    def found(name: str, detail: str, mend: str | None = None) -> Finding:
        detail = f"record {index}: {detail}"
        return finding(name, kind, id, detail, store=table.store, file=table.path, mend=mend)

    for wrong in wrong_types(table.kind, members):
        yield found("record_malformed", wrong, repair_hints.restore(table.path))
    if not isinstance(own, str) or not ID.fullmatch(own):
        yield found("record_id_malformed", "its id is not 64 hexadecimal digits")
    if (wrong_created := wrong_time(members)) is not None:
        yield found("time_malformed", f"created: {wrong_created}", repair_hints.restore(table.path))
    for name, wrong in wrong_digests(table.kind, members):
        yield found(name, wrong, repair_hints.restore(table.path) if name == "image_digest_invalid" else None)
    if table.kind == "images":
        names = _texts(members.get("names"))
        for name in names:
            if not is_valid(name):
                yield found(
                    "name_invalid",
                    f"{name[:300]!r} is not an image reference",
                    repair_hints.keep_names(id, [each for each in names if is_valid(each)]),
                )


def _texts(value: Any) -> list[str]:
    return [each for each in value if isinstance(each, str)] if isinstance(value, list) else []


def _duplicates(look: Look, table: TableFile) -> Iterator[Finding]:
    """Duplicate ids and names in the tables of one store and kind, each reported for the table of the record that
    loses."""
    bearers: dict[str, str] = {}
    ids: set[str] = set()
    for other, content in look.state.contents:
        if (other.kind, other.store) != (table.kind, table.store):
            continue
        here = other.path == table.path
        for row in content.rows:
            record = row.record
            kind = _SUBJECT[table.kind]
            if here and record.id in ids and not _two_roots(look, table):
                detail = "two records have this id; " + ("the first counts" if kind == "layer" else "the last counts")
                yield finding("id_duplicate", kind, record.id, detail, store=table.store, file=table.path)
            ids.add(record.id)
            names = record.names or ()
            for name in names if kind == "layer" else dict.fromkeys(names):
                earlier = bearers.get(name)
                bearers[name] = record.id
                if here and earlier is not None and (earlier != record.id or kind == "layer"):
                    detail = f"{name[:300]!r} is also a name of {record.id[:12]}, which keeps it"
                    if earlier == record.id:
                        detail = f"{name[:300]!r} occurs twice in the record, and is lost because of that"
                    mend = repair_hints.OPEN if table.store == 0 else None
                    yield finding(
                        "name_duplicate", kind, earlier, detail, store=table.store, file=table.path, mend=mend
                    )


def _two_roots(look: Look, table: TableFile) -> bool:
    """Whether one store has two tables of images, which may both list an image."""
    return look.location.image_store is not None and table.kind == "images"


def _lost(look: Look, table: TableFile, why: str) -> Iterator[Finding]:
    """A missing or empty table counts as an empty table, unless other records refer to its contents."""
    if table.volatile or not look.state.emptied(table.kind, table.store):
        return
    known = look.state.known(table.kind, table.store)
    root, driver = _root(table), look.location.driver
    folder = {
        "images": images_dir(root, driver),
        "layers": os.path.dirname(layer_contents(root, driver, LayerID("x"))),
        "containers": containers_dir(root, driver),
    }[table.kind]
    unnamed = [name for name in look.names(folder) if ID.fullmatch(name) and name not in known]
    if unnamed:
        detail = f"{why}, but {len(unnamed)} directories of {table.kind} are there"
    elif wanted := _wanted(look, table.kind) - look.state.known(table.kind):
        detail = f"{why}, but other records name {len(wanted)} of its {table.kind}"
    else:
        return
    mend = repair_hints.restore(table.path) + "; do not prune before: that would remove what it named"
    yield finding("table_lost", "table", table.path, detail, store=table.store, file=table.path, mend=mend)


def _wanted(look: Look, kind: TableKind) -> set[str]:
    """The ids that records of other tables refer to."""
    state = look.state
    if kind == "layers":
        tops = [row.record.layer for row in state.images]
        tops += [row.record.layer for row in state.containers]
        return {top for top in tops if top is not None}
    if kind == "images":
        return {row.record.image for row in state.containers if row.record.image is not None}
    return set()


def _root(table: TableFile) -> str:
    return os.path.dirname(os.path.dirname(table.path))
