"""Finds files in the store's directories that have no record: debris of interrupted work.

Only what upstream's garbage collection would also remove is reported: a directory or tar-split named by 64 hexadecimal
digits, and in ``overlay/`` any directory but its own three. If a table could not be read completely, nothing is called
an orphan: the unreadable part may contain its record.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from typing import Final

from msgspec import Struct

from storaged.store.checking import repair_hints
from storaged.store.checking.findings import Finding, finding
from storaged.store.checking.image_data import temporary
from storaged.store.checking.look import GRACE_SECONDS, ID, TEMPORARY_SECONDS, Look
from storaged.store.checking.staging import check_staging, check_temporary_directories
from storaged.store.checking.state import layer_roots
from storaged.store.inventory import TableKind
from storaged.store.layout import paths
from storaged.store.layout.records import LayerID
from storaged.store.tables import StoreLocation

_TAR_SPLIT: Final = ".tar-split.gz"
_OVERLAYS_OWN: Final = frozenset({"l", "staging", "tempdirs"})
_TARGET_PARTS: Final = ("..", "diff")


class Directory(Struct, frozen=True, kw_only=True):
    """A directory to list, its owner, and how to list it. ``kinds`` are the tables it is compared with."""

    path: str
    store: int
    kinds: tuple[TableKind, ...]
    check: Callable[[Look, str, int], Iterator[Finding]]


def directories(location: StoreLocation) -> tuple[Directory, ...]:
    """Every directory of every store that is listed."""
    driver = location.driver
    found: list[Directory] = []
    for store in range(len(location.additional) + 1):
        for root in layer_roots(location, store):
            contents = os.path.dirname(paths.layer_contents(root, driver, LayerID("x")))
            layers = paths.layers_dir(root, driver)
            found += [
                Directory(path=paths.images_dir(root, driver), store=store, kinds=("images",), check=_images),
                Directory(path=layers, store=store, kinds=("layers",), check=_layers),
                Directory(path=os.path.join(layers, "tmp"), store=store, kinds=(), check=check_temporary_directories),
            ]
            if driver == "overlay":
                found += [
                    Directory(path=contents, store=store, kinds=("layers",), check=_overlay),
                    Directory(path=os.path.join(contents, "l"), store=store, kinds=("layers",), check=_links),
                    Directory(path=os.path.join(contents, "staging"), store=store, kinds=(), check=check_staging),
                ]
                temporary_directories = os.path.join(contents, "tempdirs")
            else:
                found.append(Directory(path=contents, store=store, kinds=("layers",), check=_vfs))
                temporary_directories = os.path.join(os.path.dirname(contents), "tempdirs")
            found.append(
                Directory(path=temporary_directories, store=store, kinds=(), check=check_temporary_directories)
            )
    if not location.transient:
        folder = paths.containers_dir(location.graphroot, driver)
        found.append(Directory(path=folder, store=0, kinds=("containers",), check=_containers))
    return tuple(found)


def _images(look: Look, folder: str, store: int) -> Iterator[Finding]:
    for name, path in _unknown(look, folder, store, "images"):
        if ID.fullmatch(name) and look.kind_of(path) == "directory":
            yield _orphan("image_directory_orphan", "the big data of an image without a record", path, store)
    yield from _temporaries(look, folder, store)


def _layers(look: Look, folder: str, store: int) -> Iterator[Finding]:
    known = look.state.known("layers", store)
    whole = look.state.whole("layers", store)
    for name in look.names(folder) if whole else ():
        path = os.path.join(folder, name)
        id = name.removesuffix(_TAR_SPLIT)
        if not ID.fullmatch(id) or id in known:
            continue
        kind = look.kind_of(path)
        if id != name and kind == "file":
            yield _orphan("tar_split_orphan", "the tar-split of a layer without a record", path, store)
        elif id == name and kind == "directory":
            yield _orphan("layer_data_orphan", "the big data of a layer without a record", path, store)
    yield from _temporaries(look, folder, store)


def _containers(look: Look, folder: str, store: int) -> Iterator[Finding]:
    for name, path in _unknown(look, folder, store, "containers"):
        if ID.fullmatch(name) and look.kind_of(path) == "directory":
            detail = "the data of a container without a record"
            mend = repair_hints.remove_tree(path)
            yield finding("container_directory_orphan", "file", path, detail, store=store, file=path, mend=mend)
    yield from _temporaries(look, folder, store)


def _overlay(look: Look, folder: str, store: int) -> Iterator[Finding]:
    for name, path in _unknown(look, folder, store, "layers"):
        if name in _OVERLAYS_OWN or look.kind_of(path) != "directory":
            continue
        # Kernel probes create directories here for a moment, protected only by storage.lock.
        if ID.fullmatch(name) or (look.age(path) or 0.0) > GRACE_SECONDS:
            yield _orphan("layer_directory_orphan", "the contents of a layer without a record", path, store)


def _vfs(look: Look, folder: str, store: int) -> Iterator[Finding]:
    for name, path in _unknown(look, folder, store, "layers"):
        if ID.fullmatch(name) and look.kind_of(path) == "directory":
            yield _orphan("layer_directory_orphan", "the contents of a layer without a record", path, store)


def _links(look: Look, folder: str, store: int) -> Iterator[Finding]:
    """Short names that belong to no layer. A short name that leads to the wrong layer is reported with its own
    layer."""
    state = look.state
    if not state.whole("layers", store):
        return
    known = state.known("layers", store)
    suspects: list[tuple[str, str]] = []
    for name in look.names(folder):
        path = os.path.join(folder, name)
        target = look.target(path)
        if target is None:
            continue
        start, _, rest = target.partition("/")
        id, _, end = rest.partition("/")
        row = state.layer.get(LayerID(id))
        if (start, end) != _TARGET_PARTS or id not in known:
            # The directory without a record is reported separately, and garbage collection removes its link with it.
            if look.kind_of(os.path.join(os.path.dirname(folder), id)) != "directory" or end != "diff":
                suspects.append((name, target))
        elif row is not None and look.link(row) not in (name, None):
            suspects.append((name, target))
    if not suspects:
        return
    owned = {look.link(row) for row in state.layers if row.store == store}
    for name, target in suspects:
        if name not in owned:
            path = os.path.join(folder, name)
            detail = f"the short name of no layer; it points to {target[:200]!r}"
            mend = repair_hints.remove(path)
            yield finding("link_orphan", "file", path, detail, store=store, file=path, mend=mend)


def _unknown(look: Look, folder: str, store: int, kind: TableKind) -> Iterator[tuple[str, str]]:
    """The entries of a directory that no record of the store names."""
    if not look.state.whole(kind, store):
        return
    known = look.state.known(kind, store)
    for name in look.names(folder):
        if name not in known:
            yield name, os.path.join(folder, name)


def _temporaries(look: Look, folder: str, store: int) -> Iterator[Finding]:
    for name in look.names(folder):
        if name.startswith(".tmp-"):
            path = os.path.join(folder, name)
            if (look.age(path) or 0.0) > TEMPORARY_SECONDS:
                yield temporary(path, store)


def _orphan(name: str, detail: str, path: str, store: int) -> Finding:
    return finding(
        name, "file", path, detail, store=store, file=path, mend=repair_hints.COLLECT if store == 0 else None
    )
