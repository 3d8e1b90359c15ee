"""Mistakes a writer could make, put into the calls of the real one: what the harness must be able to find."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from storaged.store.files import Files
from storaged.store.locks.token import TOKEN_SIZE
from storaged.store.writing.temporary import OURS
from tests.support.files import Call

from .calls import Dying, Failing
from .recording import Recording

FLUSHES = frozenset({"fsync", "fdatasync"})


class Unflushed(Recording):
    """One flush, by its number, is forgotten; ``flushed`` says in words what each of them is of."""

    def __init__(self, top: Path, forgotten: int) -> None:
        super().__init__(top)
        self._forgotten = forgotten
        self._names: dict[int, str] = {}
        self.flushed: list[str] = []

    def make(self, call: Call, perform: Callable[[], Any]) -> Any:
        if call.name in FLUSHES:
            self.flushed.append(self._names.get(call.arguments["fd"], "?"))
            if len(self.flushed) == self._forgotten:
                return None
        done = super().make(call, perform)
        if call.name == "open":
            self._names[done] = call.arguments["path"]
        return done


class LateToken(Dying):
    """The token is written after the rename it announces, as tools up to 1.46 do."""

    def __init__(self, number: int, *, after: bool = False) -> None:
        super().__init__(number, after=after)
        self._waiting: list[tuple[Call, Callable[[], Any]]] = []

    def make(self, call: Call, perform: Callable[[], Any]) -> Any:
        if call.name == "pwrite" and len(call.arguments["data"]) == TOKEN_SIZE:
            self._waiting.append((call, perform))
            return TOKEN_SIZE
        done = super().make(call, perform)
        if call.name == "rename":
            while self._waiting:
                super().make(*self._waiting.pop())
        return done


class Outdated(Dying):
    """The tables of layers that were written ahead take the places of those written under the locks, as if nobody had
    replaced the table that they were made of."""

    def __init__(self, number: int, *, after: bool = False) -> None:
        super().__init__(number, after=after)
        self._fds: dict[int, int] = {}
        self._ahead: list[bytes] = []
        self._opened = 0

    def make(self, call: Call, perform: Callable[[], Any]) -> Any:
        if call.name == "write" and (place := self._fds.get(call.arguments["fd"])) is not None:
            data = call.arguments["data"]
            if place < 2:
                self._ahead.append(data)
            else:
                super().make(call, lambda: Files.write(self, call.arguments["fd"], self._ahead[place - 2]))
                return len(data)
        done = super().make(call, perform)
        if call.name == "close":
            self._fds.pop(call.arguments["fd"], None)
        elif call.name == "open" and os.path.basename(call.arguments["path"]).startswith(".tmp-layers.json-storaged"):
            self._fds[done] = self._opened
            self._opened += 1
        return done


class Hoarding(Failing):
    """What was written beside a table and is not needed stays there."""

    def make(self, call: Call, perform: Callable[[], Any]) -> Any:
        if call.name == "unlink" and OURS.fullmatch(os.path.basename(call.arguments["path"])):
            return super().make(call, lambda: None)
        return super().make(call, perform)
