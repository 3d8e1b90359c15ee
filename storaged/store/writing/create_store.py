"""Making a store where there is none yet, as every tool does that is asked to change it.

Folders alone, 0700: lock files come with the change, tables with the first record, and the driver's own folder with
the first layer, so that a tool which finds out what the file system can still chooses. (containers/storage
``store.go:GetStore``, ``load``.)
"""

from __future__ import annotations

import os
import stat

from storaged.store.files import Files
from storaged.store.layout.paths import containers_dir, images_dir, layers_dir
from storaged.store.tables import StoreLocation
from storaged.store.writing.temporary import make_folder, told


def can_be_made(graphroot: str, files: Files | None = None) -> bool:
    """Whether nothing is there and the nearest folder above can be written to. A few system calls."""
    files = files or Files()
    path = os.path.abspath(graphroot)
    if _exists(path, files):
        return False
    while not _exists(path, files):
        path = os.path.dirname(path)
    try:
        return stat.S_ISDIR(files.stat(path).st_mode) and files.access(path, os.W_OK | os.X_OK)
    except OSError:
        return False


def make_store(location: StoreLocation, files: Files) -> None:
    """Make what is not there of graphroot and its folders of images, layers and containers. No lock is needed: tools
    that make it at once find each other's folders.

    Raises:
        NoSpace, StoreReadOnly, OSError: one cannot be made.
    """
    root, driver = location.graphroot, location.driver
    for folder in (images_dir(root, driver), layers_dir(root, driver), containers_dir(root, driver)):
        _make(files, folder)


def _make(files: Files, folder: str) -> None:
    above = os.path.dirname(folder)
    if not _exists(above, files):
        _make(files, above)
    with told(folder):
        make_folder(files, folder)


def _exists(path: str, files: Files) -> bool:
    """Also what cannot be looked at, and a link that leads nowhere: neither is to be made anew."""
    try:
        files.stat(path, follow_symlinks=False)
    except FileNotFoundError:
        return False
    except OSError:
        return True
    return True
