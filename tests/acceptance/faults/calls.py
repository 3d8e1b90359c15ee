"""Ways to break off the system calls on a store: a call fails, a write is short, the process ends.

A call of ``Files`` that is not sorted below is a mistake that ``tests/selftest/test_faults.py`` finds.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from storaged.store.files import Files
from tests.support.files import Call, HookedFiles

from .tree import Tree

if TYPE_CHECKING:
    from .rival import Rival

LOOKING = frozenset(
    {"stat", "fstat", "enter", "read", "pread", "access", "readlink", "listdir", "scan", "close", "fsync", "fdatasync"}
)
"""Calls that change nothing a name leads to. Flushes are among them: they change what a power loss takes."""

WRITING = frozenset({"write", "pwrite"})
"""Calls that may end before all is done."""

CREATING = os.O_CREAT | os.O_TRUNC


def changes(call: Call) -> bool:
    """Whether it may change the tree or the bytes in it."""
    if call.name == "open":
        return bool(call.arguments["flags"] & CREATING)
    return call.name not in LOOKING


class Intercepted(HookedFiles):
    """Gives another tool its turn before each call."""

    rival: Rival | None = None
    """Another tool at work on the same store, whose turn comes between two calls."""

    _unseen = False

    @contextmanager
    def unseen(self) -> Iterator[None]:
        """What is done within was done before: its calls are made as they are."""
        self._unseen = True
        try:
            yield
        finally:
            self._unseen = False

    def reached(self, call: Call, perform: Callable[[], Any]) -> Any:
        if self._unseen:
            return perform()
        if self.rival is not None:
            self.rival.before(call, self)
        return self.make(call, perform)

    def others_wrote(self, before: Tree, after: Tree) -> None:
        """The rival made the one tree the other."""


class Counting(Intercepted):
    """Numbers the calls from 1; closing a descriptor is none of them, for nobody can do anything about its failure."""

    def __init__(self) -> None:
        self.made: list[Call] = []

    def make(self, call: Call, perform: Callable[[], Any]) -> Any:
        if call.name == "close":
            return perform()
        self.made.append(call)
        return self.numbered(len(self.made), call, perform)

    def numbered(self, number: int, call: Call, perform: Callable[[], Any]) -> Any:
        return perform()


class Failing(Counting):
    """The call of this number fails with ``code``, and those after it too for as many as ``times`` says."""

    def __init__(self, number: int, code: int, *, times: int = 1) -> None:
        super().__init__()
        self._numbers = range(number, number + times)
        self._code = code
        self.failed: Call | None = None
        self.unremovable = False
        """Whether the removal of a file failed."""

    def numbered(self, number: int, call: Call, perform: Callable[[], Any]) -> Any:
        if number not in self._numbers:
            return perform()
        self.failed = call
        self.unremovable |= call.name == "unlink"
        path = call.arguments.get("path") or call.arguments.get("source") or call.name
        raise OSError(self._code, os.strerror(self._code), path)


class Short(Counting):
    """The write of this number, counted among writes, takes half of its bytes; the next one fails: the disk is full."""

    def __init__(self, number: int) -> None:
        super().__init__()
        self._left = number
        self.failed: Call | None = None
        self.unremovable = False

    def numbered(self, number: int, call: Call, perform: Callable[[], Any]) -> Any:
        if call.name not in WRITING:
            return perform()
        self._left -= 1
        if self._left == 0:
            self.failed = call
            data = call.arguments["data"]
            half = {**call.arguments, "data": data[: len(data) // 2]}
            return getattr(Files, call.name)(self, **half)
        if self._left == -1:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), call.name)
        return perform()


class Killed(BaseException):
    """The process is gone. Nothing catches it, and nothing it says on the way reaches the disk."""


class Dying(Counting):
    """The process ends at the call of this number, before it or just ``after`` it.

    From then on no call is made: what ``finally`` clauses would do, a dead process does not. What it had open is
    closed by :meth:`bury`, as the kernel does, and with it every lock ends.
    """

    def __init__(self, number: int, *, after: bool = False) -> None:
        super().__init__()
        self._number = number
        self._after = after
        self._open: set[int] = set()
        self._buried = False
        self.died: Call | None = None

    def make(self, call: Call, perform: Callable[[], Any]) -> Any:
        if call.name == "close":
            # Its number may be another file's by now.
            if not self._buried:
                self._open.discard(call.arguments["fd"])
                perform()
            return None
        done = super().make(call, perform)
        if call.name in ("open", "enter"):
            self._open.add(done)
        return done

    def bury(self) -> None:
        """Close what the dead process had open."""
        self._buried = True
        while self._open:
            os.close(self._open.pop())

    def numbered(self, number: int, call: Call, perform: Callable[[], Any]) -> Any:
        if number > self._number:
            raise Killed
        if number == self._number:
            self.died = call
            if self._after:
                done = perform()
                if call.name in ("open", "enter"):
                    os.close(done)
                elif call.name == "scan":
                    done.close()
            raise Killed
        return perform()
