"""The tables and locks of a store at a given location, in their defined order.

``layout/paths.py`` draws the tree. This module combines the paths of plain, split and transient stores and their
additional image stores.
"""

from __future__ import annotations

from typing import Literal

from msgspec import Struct

from storaged.store.layout.paths import (
    containers_json,
    containers_lock,
    images_json,
    images_lock,
    layers_json,
    layers_lock,
    volatile_containers_json,
    volatile_layers_json,
)
from storaged.store.tables import StoreLocation

TableKind = Literal["images", "layers", "containers"]


class TableFile(Struct, frozen=True, kw_only=True):
    """One JSON file of a store: its content, its owner, and the lock that its writers hold."""

    path: str
    kind: TableKind
    lock: str
    store: int = 0
    volatile: bool = False


def table_files(location: StoreLocation) -> tuple[TableFile, ...]:
    """Every table of a store, in the order in which its records count: writable before additional, stable before
    volatile."""
    graphroot, driver = location.graphroot, location.driver
    changing = location.runroot if location.transient else graphroot
    lock = layers_lock(graphroot, driver)
    tables = [
        TableFile(path=layers_json(graphroot, driver), kind="layers", lock=lock),
        TableFile(path=volatile_layers_json(changing, driver), kind="layers", lock=lock, volatile=True),
    ]
    if location.image_store is not None:
        split = location.image_store
        tables.append(TableFile(path=layers_json(split, driver), kind="layers", lock=layers_lock(split, driver)))
    for store, root in enumerate(location.additional, 1):
        lock = layers_lock(root, driver)
        tables += [
            TableFile(path=layers_json(root, driver), kind="layers", lock=lock, store=store),
            TableFile(path=volatile_layers_json(root, driver), kind="layers", lock=lock, store=store, volatile=True),
        ]
    for root in writable_image_roots(location):
        tables.append(TableFile(path=images_json(root, driver), kind="images", lock=images_lock(root, driver)))
    for store, root in enumerate(location.additional, 1):
        tables.append(
            TableFile(path=images_json(root, driver), kind="images", lock=images_lock(root, driver), store=store)
        )
    lock = containers_lock(changing, driver)
    return (
        *tables,
        TableFile(path=containers_json(graphroot, driver), kind="containers", lock=lock),
        TableFile(path=volatile_containers_json(changing, driver), kind="containers", lock=lock, volatile=True),
    )


def writable_image_roots(location: StoreLocation) -> tuple[str, ...]:
    """The roots whose ``drv-images`` are written; new images go to the first."""
    if location.image_store is None:
        return (location.graphroot,)
    return (location.image_store, location.graphroot)


def lock_files(location: StoreLocation) -> tuple[str, ...]:
    """The locks of all tables, in the documented order of acquisition (see ``locks.order``)."""
    return tuple(dict.fromkeys(table.lock for table in table_files(location)))


def writable_lock_files(location: StoreLocation) -> tuple[str, ...]:
    """Those of :func:`lock_files` that belong to the writable store."""
    return tuple(dict.fromkeys(table.lock for table in table_files(location) if table.store == 0))
