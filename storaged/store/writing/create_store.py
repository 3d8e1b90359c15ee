"""Creates a missing store, like every other tool that is asked to change it.

It creates only folders with mode 0700. Lock files come with the change, tables with the first record, and the driver's
own folder with the first layer, so that a tool that detects the features of the file system can still choose.
(containers/storage ``store.go:GetStore``, ``load``.)
"""

from __future__ import annotations

import os
import stat

from storaged.store.files import Files
from storaged.store.layout.paths import containers_dir, images_dir, layers_dir
from storaged.store.tables import StoreLocation
from storaged.store.writing.temporary import make_folder, told


def can_be_made(graphroot: str, files: Files | None = None) -> bool:
    """Whether nothing exists there and the nearest existing parent folder can be written. A few system calls."""
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
    """Create the missing ones of graphroot and its folders of images, layers and containers. No lock is needed: tools
    that create it at the same time find each other's folders.

    Raises:
        NoSpace, StoreReadOnly, OSError: a folder cannot be created.
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
    """Whether anything exists there, including what cannot be examined and a dangling link: neither is to be created
    again."""
    try:
        files.stat(path, follow_symlinks=False)
    except FileNotFoundError:
        return False
    except OSError:
        return True
    return True
