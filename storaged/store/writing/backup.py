"""The tables as they were before the first change of a run: ``graphroot/storaged/images.json.before``.

No tool can restore a lost table from the data of the images, so one copy is kept. It is that of the last run that
changed the table while it had records: an emptied table never takes the place of a copy that has some. Volatile tables,
which end with the boot, have none.
"""

from __future__ import annotations

import logging
import os

from storaged.errors import StoreError
from storaged.store.files import Files
from storaged.store.layout.paths import own_dir
from storaged.store.writing.shape import CurrentTable
from storaged.store.writing.temporary import make_own_folder, sync_folder, temporary_for, told, write_temporary

_log = logging.getLogger(__name__)


class Backups:
    """Copies of one store's tables, each made once."""

    def __init__(self, graphroot: str, files: Files) -> None:
        self._graphroot = graphroot
        self._folder = own_dir(graphroot)
        self._files = files
        self._kept: set[str] = set()

    def keep(self, table: CurrentTable, *, needed: bool) -> None:
        """Copy a table that is about to change, unless that was done; no lock need be held.

        Where ``needed`` is false a failure is logged alone, and the next change tries again: a removal on a
        full disk must not wait for room that only it can make.

        Raises:
            NoSpace, StoreReadOnly, OSError: the copy could not be made.
        """
        path = table.file.path
        if path in self._kept or table.file.volatile:
            return
        if not table.records:
            # What this run adds to an emptied table is no more worth a copy than the emptied table.
            self._kept.add(path)
            return
        try:
            self._copy(os.path.join(self._folder, f"{os.path.basename(path)}.before"), table.data)
        except (OSError, StoreError) as error:
            if needed:
                raise
            _log.warning("no copy of a table before its change path=%s error=%s", path, error)
            return
        self._kept.add(path)

    def _copy(self, target: str, data: bytes) -> None:
        with told(self._folder):
            make_own_folder(self._files, self._graphroot)
        temporary = temporary_for(self._files, target, data)
        write_temporary(self._files, temporary, data)
        try:
            temporary.publish(self._files)
        except BaseException:
            temporary.remove(self._files)
            raise
        sync_folder(self._files, self._folder)
