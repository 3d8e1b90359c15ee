"""Every state the tables of a store pass through, none missed, in order, with its end of transaction.

A writer saves a table as ``.tmp-<name><digits>`` and renames it. fanotify lets no temporary file be opened
before the observer has a descriptor of it, so its content cannot get lost however soon the next save
follows; inotify's queue gives the order of renames over all folders. The lock of a table is released by
closing its descriptor, which the same queue tells: a state is *complete* when every lock under which
something was renamed has been closed since. States in between are of a writer at work and must never be
seen in an answer.

Valid as long as one writer works at a time and no other process opens the lock files for writing.
"""

from __future__ import annotations

import ctypes
import os
import select
import struct
import threading

from attrs import frozen
from msgspec import json

from tests.support.peers import Store

_CLOSE_WRITE, _MOVED_TO = 0x8, 0x80
_OVERFLOW = 0x4000
_EVENT = struct.Struct("iIII")
_FAN_CLASS_CONTENT, _FAN_CLOEXEC, _FAN_NONBLOCK = 0x4, 0x1, 0x2
_FAN_MARK_ADD, _FAN_OPEN_PERM, _FAN_EVENT_ON_CHILD, _FAN_ALLOW = 0x1, 0x10000, 0x08000000, 1
_FAN_EVENT = struct.Struct("IBBHQii")
_FAN_RESPONSE = struct.Struct("iI")
_KINDS = ("layers", "images", "containers")

Rows = tuple[tuple[object, ...], ...]


@frozen(kw_only=True)
class State:
    """What a reader may know of the tables at one instant."""

    images: Rows
    layers: Rows
    containers: Rows


def image_row(record: dict[str, object]) -> tuple[object, ...] | None:
    """What ``images.list`` says of a record and no big data is needed for; None for a half made one."""
    if "manifest" not in (record.get("big-data-names") or ()):  # type: ignore[operator]
        return None
    is_list = "layer" not in record and f"sha256:{record['id']}" not in (record.get("big-data-names") or ())  # type: ignore[operator]
    digest = record["big-data-digests"]["manifest"] if is_list else record.get("digest")  # type: ignore[index]
    return (
        record["id"],
        tuple(record.get("names") or ()),  # type: ignore[arg-type]
        tuple(record.get("names-history") or ()),  # type: ignore[arg-type]
        record["created"],
        digest,
    )


def layer_row(record: dict[str, object]) -> tuple[object, ...] | None:
    """What ``layers.list`` says; None for an incomplete one."""
    if (record.get("flags") or {}).get("incomplete") is True:  # type: ignore[attr-defined]
        return None
    return (record["id"], record.get("parent"), record.get("diff-digest"))


def container_row(record: dict[str, object]) -> tuple[object, ...] | None:
    """What ``containers.list`` says."""
    return (record["id"], tuple(record.get("names") or ()), record.get("image") or None, record.get("layer"))  # type: ignore[arg-type]


_ROW = {"images": image_row, "layers": layer_row, "containers": container_row}


class Observer:
    """Watches one store from ``start`` to ``stop``; the folders of the three tables must exist."""

    def __init__(self, store: Store) -> None:
        self._folders = {store.graphroot / f"{store.driver}-{kind}": kind for kind in _KINDS}
        self._tables: dict[str, Rows] = {}
        self._dirty: set[str] = set()
        self.complete: list[State] = []
        """Complete states in order; equal neighbours are one."""
        self.renames = 0
        self.problems: list[str] = []
        self._lock = threading.Condition()
        self._busy = True
        self._fd = -1
        self._opens = -1
        self._kept: dict[str, int] = {}
        self._stop_read, self._stop_write = os.pipe()
        self._watches: dict[int, str] = {}
        self._thread = threading.Thread(target=self._loop, daemon=True)

    def start(self) -> None:
        """Begin. Nobody may be writing at this moment."""
        libc = ctypes.CDLL(None, use_errno=True)
        self._fd = libc.inotify_init1(os.O_CLOEXEC | os.O_NONBLOCK)
        self._opens = libc.fanotify_init(_FAN_CLASS_CONTENT | _FAN_CLOEXEC | _FAN_NONBLOCK, os.O_RDONLY | os.O_CLOEXEC)
        if self._opens < 0:
            raise OSError(ctypes.get_errno(), "fanotify_init")
        for folder, kind in self._folders.items():
            number = libc.inotify_add_watch(self._fd, os.fsencode(folder), _CLOSE_WRITE | _MOVED_TO)
            if number < 0:
                raise OSError(ctypes.get_errno(), "inotify_add_watch", str(folder))
            self._watches[number] = kind
            for name in (f"{kind}.json", f"volatile-{kind}.json"):
                path = folder / name
                self._tables[name] = _rows(path.read_bytes(), kind) if path.exists() else ()
        for folder in self._folders:
            mark = ctypes.c_uint64(_FAN_OPEN_PERM | _FAN_EVENT_ON_CHILD)
            if libc.fanotify_mark(self._opens, _FAN_MARK_ADD, mark, -1, os.fsencode(folder)) < 0:
                raise OSError(ctypes.get_errno(), "fanotify_mark", str(folder))
        self.complete.append(self._state())
        self._thread.start()

    def stop(self) -> None:
        """End, after all that has happened so far."""
        os.write(self._stop_write, b".")
        self._thread.join(10)
        for fd in (self._opens, self._fd, self._stop_read, self._stop_write):
            os.close(fd)

    def settled(self) -> State:
        """The present state, once every event of writers that have ended is taken in.

        Raises:
            RuntimeError: a lock is still held by a writer.
        """
        with self._lock:
            self._busy = True
            if not self._lock.wait_for(lambda: not self._busy, timeout=10):
                raise RuntimeError("the observer does not keep up")
            if self._dirty:
                raise RuntimeError(f"still at work under {self._dirty}")
            return self.complete[-1]

    def states(self) -> list[State]:
        """All complete states so far."""
        with self._lock:
            return list(self.complete)

    def _state(self) -> State:
        return State(**{kind: self._tables[f"{kind}.json"] + self._tables[f"volatile-{kind}.json"] for kind in _KINDS})

    def _loop(self) -> None:
        while True:
            ready, _, _ = select.select([self._opens, self._fd, self._stop_read], [], [], 0.005)
            with self._lock:
                if self._opens in ready:
                    self._allow(os.read(self._opens, 1 << 12))
                    continue
                if self._fd in ready:
                    self._take(os.read(self._fd, 1 << 16))
                    continue
                self._busy = False
                self._lock.notify_all()
            if self._stop_read in ready:
                return

    def _take(self, events: bytes) -> None:
        position = 0
        while position < len(events):
            number, mask, _, length = _EVENT.unpack_from(events, position)
            start = position + _EVENT.size
            name = events[start : start + length].rstrip(b"\0").decode()
            position = start + length
            if mask & _OVERFLOW:
                self.problems.append("the kernel dropped events")
                continue
            self._event(self._watches[number], mask, name)

    def _allow(self, events: bytes) -> None:
        """Let every open go on; of temporary tables keep the descriptor that comes with the question."""
        position = 0
        while position < len(events):
            length, _, _, _, _, fd, _ = _FAN_EVENT.unpack_from(events, position)
            position += length
            name = os.path.basename(os.readlink(f"/proc/self/fd/{fd}"))
            os.write(self._opens, _FAN_RESPONSE.pack(fd, _FAN_ALLOW))
            if name.startswith(".tmp-") and name not in self._kept:
                self._kept[name] = fd
            else:
                os.close(fd)

    def _event(self, kind: str, mask: int, name: str) -> None:
        if mask & _MOVED_TO and name in (f"{kind}.json", f"volatile-{kind}.json"):
            self._renamed(kind, name)
        elif mask & _CLOSE_WRITE and name == f"{kind}.lock":
            self._dirty.discard(name)
            if not self._dirty and self._state() != self.complete[-1]:
                self.complete.append(self._state())

    def _renamed(self, kind: str, table: str) -> None:
        """Of a table only one save is under way at a time: the oldest one kept."""
        for name, fd in self._kept.items():
            if name.startswith(f".tmp-{table}"):
                with open(fd, "rb") as file:
                    self._tables[table] = _rows(file.read(), kind)
                del self._kept[name]
                break
        else:
            self.problems.append(f"{table} was renamed unseen")
        self.renames += 1
        self._dirty.add(f"{kind}.lock")


def _rows(data: bytes, kind: str) -> Rows:
    rows = (_ROW[kind](record) for record in json.decode(data or b"[]"))
    return tuple(row for row in rows if row is not None)
