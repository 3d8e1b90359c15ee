"""Checks the staging areas that tools use outside the tables: each entry belongs to the process that holds its lock
file.

::

    drv-layers/tmp/        lock-<n>  temp-dir-<n>/    staged creation and deletion, from 1.59
    overlay/tempdirs/      lock-<n>  temp-dir-<n>/    the same, for the contents
    overlay/staging/<x>/   staging.lock  …            partial pulls, from 1.54 (without a lock before)

Locked: in use. Unlocked: its process died. Creating the lock file and locking it are two steps, so an entry counts as
abandoned only after a minute.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Final

from storaged.store.checking import repair_hints
from storaged.store.checking.findings import Finding, finding
from storaged.store.checking.look import GRACE_SECONDS, TEMPORARY_SECONDS, Look
from storaged.store.locks.probe import Probe

_LOCK: Final = "lock-"
_DIRECTORY: Final = "temp-dir-"
_MEND: Final = "the next command of podman 5.6 or later removes it; for older ones: "


def check_temporary_directories(look: Look, folder: str, store: int) -> Iterator[Finding]:
    """The pairs of ``lock-<n>`` and ``temp-dir-<n>`` in one folder."""
    probe, names = Probe(look.files), look.names(folder)
    numbers = {name.removeprefix(_LOCK) for name in names if name.startswith(_LOCK)}
    numbers |= {name.removeprefix(_DIRECTORY) for name in names if name.startswith(_DIRECTORY)}
    for number in sorted(numbers):
        lock, directory = os.path.join(folder, _LOCK + number), os.path.join(folder, _DIRECTORY + number)
        present = [path for path in (lock, directory) if look.kind_of(path) is not None]
        if present and not probe.holder_at(lock) and _old(look, present, GRACE_SECONDS):
            yield _stale(present[-1], present, store)


def check_staging(look: Look, folder: str, store: int) -> Iterator[Finding]:
    """The directories of partial pulls."""
    probe = Probe(look.files)
    for name in look.names(folder):
        path = os.path.join(folder, name)
        if look.kind_of(path) != "directory":
            continue
        lock = os.path.join(path, "staging.lock")
        guarded = look.kind_of(lock) is not None
        grace = GRACE_SECONDS if guarded else 24 * TEMPORARY_SECONDS
        if not probe.holder_at(lock) and _old(look, [path], grace):
            yield _stale(path, [path], store)


def _stale(path: str, present: list[str], store: int) -> Finding:
    detail = "staged by a process that died: nobody holds its lock"
    mend = _MEND + " && ".join(map(repair_hints.remove_tree, present))
    return finding("staging_stale", "file", path, detail, store=store, file=path, mend=mend)


def _old(look: Look, paths: list[str], seconds: float) -> bool:
    return all((age := look.age(path)) is not None and age > seconds for path in paths)
