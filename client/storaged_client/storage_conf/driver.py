"""Chooses the storage driver of a store.

::

    podman's database names one      that one, whatever is configured; podman reports the difference and continues,
                                     but a different driver given by a flag is an error
    a flag, $STORAGE_DRIVER, files   the chosen one
    nothing                          the one whose state is in the graphroot, else overlay

The database is read only where it may matter: if another driver than the chosen one left state.

Source: podman ``libpod/runtime.go`` (mergeDBConfig), ``libpod/state.go`` (checkRuntimeConfig), container-libs
``storage/drivers/driver.go`` (ScanPriorDrivers).
"""

from __future__ import annotations

import os

from storaged_client.errors import StorageConfError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

DRIVERS = ("overlay", "btrfs", "zfs", "vfs")
"""Drivers whose state is recognised in a graphroot."""

_MOST = 64 * 1024 * 1024
"""The maximum number of bytes read from podman's older database."""


def canonical(name: str | None) -> str | None:
    return "overlay" if name == "overlay2" else name or None


def choose(
    graphroot: str, flag: str | None, configured: str | None, priority: Sequence[str], file: str | None
) -> tuple[str, str]:
    """The driver, and a notice about it, empty if there is nothing to say. Blocking.

    ``configured`` is that of the environment or a file, ``priority`` what a file says if none is configured.

    Raises:
        StorageConfError: a flag contradicts podman's database, or several drivers left state and none is chosen.
    """
    flag, configured = canonical(flag), canonical(configured)
    wanted = flag or configured
    try:
        names = frozenset(os.listdir(graphroot))
    except OSError:
        names = frozenset()
    others = [name for name in DRIVERS if name != wanted and f"{name}-images" in names]
    if not others or (wanted is None and len(others) == 1):
        return wanted or _prior(graphroot, names, priority, file), ""
    recorded = _recorded(graphroot)
    if recorded is None:
        if wanted is None:
            return _prior(graphroot, names, priority, file), ""
        left = "" if f"{wanted}-images" in names else f"{graphroot} holds a store of the driver {others[0]}"
        return wanted, left and f"{left}, and none yet of {wanted}, which is chosen"
    if wanted in (None, recorded):
        return recorded, ""
    if flag is not None:
        raise StorageConfError(
            f'database graph driver "{recorded}" does not match our graph driver "{flag}": '
            "database configuration mismatch",
            key="storage.driver",
        )
    return recorded, (
        f'User-selected graph driver "{wanted}" overwritten by graph driver "{recorded}" from database - delete libpod '
        f'local files ("{graphroot}") to resolve.  May prevent use of images created by other tools'
    )


def _prior(graphroot: str, names: Collection[str], priority: Sequence[str], file: str | None) -> str:
    """The driver whose state is in the graphroot; vfs counts only if it is configured or alone, else overlay."""
    prior = [name for name in DRIVERS if name in names and name != "vfs"]
    for name in priority:
        if name in names or not any(driver in names for driver in DRIVERS):
            return canonical(name) or name
    if len(prior) > 1:
        raise StorageConfError(
            f"{graphroot} has state of several drivers ({', '.join(prior)}); choose one with --driver",
            file=file,
            key="storage.driver",
        )
    if prior:
        return prior[0]
    return "vfs" if "vfs-images" in names and "overlay-images" not in names else "overlay"


def _recorded(graphroot: str) -> str | None:
    """The driver that podman's database recorded for the store; None without a record that can be read.

    The older database, of podman 4, is used if it exists.
    """
    return _of_bolt(os.path.join(graphroot, "libpod", "bolt_state.db")) or _of_sqlite(os.path.join(graphroot, "db.sql"))


def _of_bolt(path: str) -> str | None:
    """A value follows its key; this one is written once (podman ``libpod/boltdb_state_internal.go``)."""
    import re

    try:
        with open(path, "rb") as stream:
            data = stream.read(_MOST)
    except OSError:
        return None
    found = re.search(rb"graph-driver-name(overlay|btrfs|zfs|vfs)", data)
    return found[1].decode("ascii") if found is not None else None


def _of_sqlite(path: str) -> str | None:
    """Reads without the database's locks: the row is written once (podman ``libpod/sqlite_state.go``), and reading
    creates no file."""
    if not os.path.exists(path):
        return None
    import sqlite3
    from urllib.parse import quote

    try:
        database = sqlite3.connect(f"file:{quote(path)}?mode=ro&immutable=1", uri=True)
        try:
            row = database.execute("SELECT GraphDriver FROM DBConfig").fetchone()
        finally:
            database.close()
    except sqlite3.Error:
        return None
    return row[0] if row and isinstance(row[0], str) and row[0] in DRIVERS else None
