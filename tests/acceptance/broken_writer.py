"""A daemon whose commits break one rule, so that it can be seen that the loss is found out.

python -m tests.acceptance.broken_writer no-token serve …      tables are replaced, no token tells of it
python -m tests.acceptance.broken_writer no-check serve …      what others wrote since the plan is not looked for
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Sequence
from typing import Any

import storaged.daemon
from storaged.cli import main
from storaged.store.locks.record_lock import RecordLock
from storaged.store.stamp import Stamp
from storaged.store.writing.commit import StoreWriter
from storaged.store.writing.prepared import Committed, Prepared, TableWrite
from storaged.store.writing.publishing import Publisher

_PAUSE = 0.02
"""Seconds between what is prepared and its commit: others have time to write."""


class _WithoutToken(Publisher):
    def _replace(self, table: TableWrite, lock: RecordLock) -> None:
        table.temporary.publish(self._files)


class _WithoutCheck(Publisher):
    def compare(self, planned: Stamp, locks: Sequence[str]) -> None:
        pass


class _BrokenWriter(StoreWriter):
    publisher: type[Publisher]

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._publisher = self.publisher(self._location, self._files, self._metrics, self._reserve)

    def commit(
        self, prepared: Prepared, *, deadline: float, cancelled: Callable[[], bool] = lambda: False
    ) -> Committed:
        time.sleep(_PAUSE)
        return super().commit(prepared, deadline=deadline, cancelled=cancelled)


if __name__ == "__main__":
    _BrokenWriter.publisher = {"no-token": _WithoutToken, "no-check": _WithoutCheck}[sys.argv.pop(1)]
    storaged.daemon.StoreWriter = _BrokenWriter  # type: ignore[attr-defined]
    sys.exit(main())
