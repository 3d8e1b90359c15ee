"""Keeps copies of the tables from before changes: ``graphroot/storaged/images.json.before``, and older ones beside it.

::

    images.json.before                     before the first change of the last run, or of its last hour
    images.json.before-20261129T115500Z    older ones, by the time (UTC) they were made

No tool can rebuild a lost table from the images' data, and a loss may be noticed late, so copies are kept. At most six
older ones stay: the oldest of the last hour, the oldest and the latest of the last day and of the last week, and the
latest from before. A table that was emptied is not copied again in the same run. Volatile tables, which a reboot
removes, are not copied.
"""

from __future__ import annotations

import calendar
import logging
import os
import re
import time
from collections.abc import Callable, Iterable
from typing import Final

from storaged.store.files import Files
from storaged.store.layout.paths import own_dir
from storaged.store.writing.preconditions import CurrentTable
from storaged.store.writing.temporary import make_own_folder, sync_folder, temporary_for, told, write_temporary
from storaged_client.contract.errors import StoragedError

_HOUR: Final = 3600
_AGES: Final = (_HOUR, 24 * _HOUR, 7 * 24 * _HOUR)
"""The ends of the time spans, in seconds."""
_TIME: Final = "%Y%m%dT%H%M%SZ"
_OLDER: Final = re.compile(r"(.+\.before)-(\d{8}T\d{6}Z)", re.ASCII)

_log = logging.getLogger(__name__)


class Backups:
    """Copies of one store's tables. ``clock`` returns seconds since the epoch."""

    def __init__(self, graphroot: str, files: Files, clock: Callable[[], float] = time.time) -> None:
        self._graphroot = graphroot
        self._folder = own_dir(graphroot)
        self._files = files
        self._clock = clock
        self._kept: dict[str, float] = {}
        """When this run last copied each table."""
        self._emptied: set[str] = set()

    def keep(self, table: CurrentTable, *, needed: bool) -> None:
        """Copy a table that is about to change, unless this run did so within the last hour; no lock is needed.

        If ``needed`` is false, a failure is only logged, and the next change tries again: a removal on a full disk must
        not wait for space that only it can free.

        Raises:
            NoSpace, StoreReadOnly, OSError: the copy could not be made.
        """
        path = table.file.path
        now = self._clock()
        # A clock that was set back causes an extra copy, never a missing one.
        if table.file.volatile or path in self._emptied or 0 <= now - self._kept.get(path, -_HOUR) < _HOUR:
            return
        if not table.records:
            # What this run adds to an emptied table is not worth a copy, like the emptied table itself.
            self._emptied.add(path)
            return
        target = os.path.join(self._folder, f"{os.path.basename(path)}.before")
        try:
            self._copy(target, table.data)
        except (OSError, StoragedError) as error:
            if needed:
                raise
            _log.warning("table not copied before its change path=%s error=%s", path, error)
            return
        self._kept[path] = now
        self._thin(target, now)

    def _copy(self, target: str, data: bytes) -> None:
        with told(self._folder):
            make_own_folder(self._files, self._graphroot)
        temporary = temporary_for(self._files, target, data)
        write_temporary(self._files, temporary, data)
        try:
            self._set_aside(target)
            temporary.publish(self._files)
        except BaseException:
            temporary.remove(self._files)
            raise
        sync_folder(self._files, self._folder)

    def _set_aside(self, target: str) -> None:
        """Rename the existing copy by its time."""
        with told(self._folder):
            try:
                made = self._files.stat(target, follow_symlinks=False).st_mtime
            except FileNotFoundError:
                return
            self._files.rename(target, f"{target}-{time.strftime(_TIME, time.gmtime(made))}")

    def _thin(self, target: str, now: float) -> None:
        """Remove the older copies that need not stay. One that cannot be removed only costs space."""
        try:
            for name in surplus(self._files.listdir(self._folder), os.path.basename(target), now):
                self._files.unlink(os.path.join(self._folder, name))
        except OSError as error:
            _log.warning("old copy of a table not removed path=%s error=%s", target, error)


def surplus(names: Iterable[str], newest: str, now: float) -> list[str]:
    """The older copies of ``newest`` among these names that need not stay at this time."""
    made: dict[str, float] = {}
    for name in names:
        found = _OLDER.fullmatch(name)
        if found is None or found[1] != newest:
            continue
        moment = _instant(found[2])
        # A time in the future comes from before the clock was set back: its age is unknown until that time comes.
        if moment is not None and moment <= now:
            made[name] = moment
    spans: list[list[str]] = [[] for _ in (*_AGES, None)]
    for name in sorted(made, key=lambda name: made[name]):
        spans[sum(now - made[name] >= age for age in _AGES)].append(name)
    hour, day, week, ancient = spans
    # The oldest of a span becomes the latest of the next; the latest takes its place.
    stay = {*hour[:1], *day[:1], *day[-1:], *week[:1], *week[-1:], *ancient[-1:]}
    return [name for name in made if name not in stay]


def _instant(text: str) -> float | None:
    try:
        return calendar.timegm(time.strptime(text, _TIME))
    except ValueError:
        return None
