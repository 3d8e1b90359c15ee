"""Writes the big data of images, flushed and beside its final place, before the locks are taken.

::

    new image     journal: creation → mkdir <id> → temporaries │ renames, flush, record │ journal removed
    list edit     journal: editing              → temporaries │ renames, flush, record │ journal removed
                                                                ╰─ under images.lock ─╯

The record and the files it describes cannot change in one step. A crash between them leaves files that the record does
not describe: a folder without a record, or a list that counts as unreadable evidence, so that nothing it may name is
removed. With the journal entry the next start finishes or undoes the change.

The manifest is renamed last: podman reads a list through it alone, and the other files are useful only through it.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from contextlib import ExitStack, suppress
from stat import S_ISDIR

from storaged.store.changes import Change, Item
from storaged.store.files import Files
from storaged.store.layout.paths import big_data_file, image_dir, images_dir
from storaged.store.layout.records import ImageID, ImageRecord, digest_of
from storaged.store.tables import StoreLocation
from storaged.store.writing.entries import Creation, EditedItem, Editing
from storaged.store.writing.journal import Journal
from storaged.store.writing.new_tables import members_after
from storaged.store.writing.preconditions import CurrentTable
from storaged.store.writing.prepared import DataFolder, Holdings
from storaged.store.writing.temporary import Temporary, make_folder, sync_folder, temporary_for, told, write_temporary
from storaged_client.contract.errors import ImageDamaged, StoreUnsupported

_LAST = "manifest"


def write_data(
    location: StoreLocation, files: Files, change: Change, images: CurrentTable, holdings: Holdings, undo: ExitStack
) -> tuple[DataFolder, ...]:
    """Write every item of a change beside its place; no lock is needed. ``undo`` collects what takes it back.

    Raises:
        NoSpace, StoreReadOnly, OSError: ``undo`` takes back everything that was written.
        StoreUnsupported: a key cannot be the name of a file.
        ImageDamaged: an image's folder is missing or is not a folder.
    """
    journal = Journal(location, files=files)
    folders: list[DataFolder] = []
    new = [(ImageID(added.members["id"]), added.items) for added in change.added if added.items]
    if new:
        holdings.entries.append(journal.begin(Creation(images=tuple([image for image, _ in new]))))
        undo.callback(holdings.entries[-1].remove)
    for image, items in new:
        path = image_dir(location.graphroot, location.driver, image)
        with told(path):
            made = make_folder(files, path)
        undo.callback(forget, files, DataFolder(path=path, made=made))
        _refuse_strange(files, path, image)
        planned = _planned(files, path, items)
        folder = DataFolder(path=path, made=made, temporaries=tuple([temporary for temporary, _ in planned]))
        undo.callback(forget, files, folder)
        _write(files, planned)
        folders.append(folder)
    if new:
        sync_folder(files, images_dir(location.graphroot, location.driver))
    records = {record.id: record for record in images.records if isinstance(record, ImageRecord)}
    for edit in change.edits:
        if not edit.items:
            continue
        path, record = image_dir(location.graphroot, location.driver, edit.image), records[edit.image]
        _refuse_strange(files, path, edit.image)
        planned = _planned(files, path, edit.items)
        entry = Editing(
            image=edit.image,
            members=members_after(record, edit),
            items=tuple(
                [
                    EditedItem(
                        key=item.key,
                        temporary=os.path.relpath(temporary.path, location.graphroot),
                        digest=digest_of(item.data),
                        before=(record.big_data_digests or {}).get(item.key),
                    )
                    for temporary, item in planned
                ]
            ),
        )
        holdings.entries.append(journal.begin(entry))
        undo.callback(holdings.entries[-1].remove)
        folder = DataFolder(path=path, made=False, temporaries=tuple([temporary for temporary, _ in planned]))
        undo.callback(forget, files, folder)
        _write(files, planned)
        # As soon as one file is in place, the others must be able to follow, even after a power loss.
        sync_folder(files, path)
        folders.append(folder)
    return tuple(folders)


def forget(files: Files, folder: DataFolder) -> None:
    """Remove what :func:`write_data` wrote if it was not published."""
    for temporary in folder.temporaries:
        temporary.remove(files)
    if folder.made:
        with suppress(OSError):  # it may contain another tool's data by now
            files.rmdir(folder.path)


def _planned(files: Files, folder: str, items: Sequence[Item]) -> list[tuple[Temporary, Item]]:
    return [(temporary_for(files, _place(folder, item), item.data), item) for item in _ordered(items)]


def _ordered(items: Iterable[Item]) -> list[Item]:
    return sorted(items, key=lambda item: item.key == _LAST)


def _place(folder: str, item: Item) -> str:
    try:
        return os.path.join(folder, big_data_file(item.key))
    except ValueError as error:
        raise StoreUnsupported(f"{folder}: {error}") from None


def _write(files: Files, planned: Iterable[tuple[Temporary, Item]]) -> None:
    for temporary, item in planned:
        write_temporary(files, temporary, item.data)


def _refuse_strange(files: Files, folder: str, image: ImageID) -> None:
    """Refuse to write outside an image's own folder.

    Raises:
        ImageDamaged: the folder is missing, or is a symbolic link or a file.
    """
    try:
        wrong = None if S_ISDIR(files.stat(folder, follow_symlinks=False).st_mode) else "it is not a folder"
    except FileNotFoundError:
        wrong = "it is missing"
    if wrong is not None:
        raise ImageDamaged(f"{folder}: {wrong}; nothing was written", id=image, file=folder)
