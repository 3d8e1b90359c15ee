"""A store on disk in a few lines: tables, lock files and big data as containers/storage lays them out."""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path
from typing import Any

from storaged.store import inventory
from storaged.store.layout import paths
from storaged.store.layout.records import ImageID
from storaged.store.locks.token import make_token
from storaged.store.tables import StoreLocation


def hexes(number: int) -> str:
    return hashlib.sha256(str(number).encode()).hexdigest()


def digest(data: bytes) -> str:
    return "sha256:" + hashlib.sha256(data).hexdigest()


class Disk:
    """A vfs store with an honest-enough writer: token, temporary file, rename."""

    def __init__(self, base: Path, *, driver: str = "vfs", **more: Any) -> None:
        self.base = base
        self.location = StoreLocation(graphroot=str(base / "graph"), runroot=str(base / "run"), driver=driver, **more)
        for folder in ("graph", "run"):
            (base / folder).mkdir(parents=True, exist_ok=True)

    def locks(self) -> tuple[str, ...]:
        for path in inventory.lock_files(self.location):
            os.makedirs(os.path.dirname(path), exist_ok=True)
            with open(path, "ab"):
                pass
        return inventory.lock_files(self.location)

    def path(self, kind: str, *, store: int = 0, volatile: bool = False) -> str:
        return next(
            table.path
            for table in inventory.table_files(self.location)
            if (table.kind, table.store, table.volatile) == (kind, store, volatile)
        )

    def write(self, kind: str, records: object, *, store: int = 0, volatile: bool = False, token: bool = True) -> str:
        table = next(
            table
            for table in inventory.table_files(self.location)
            if (table.kind, table.store, table.volatile) == (kind, store, volatile)
        )
        os.makedirs(os.path.dirname(table.path), exist_ok=True)
        if token and os.path.exists(table.lock):
            with open(table.lock, "r+b") as lock:
                lock.write(make_token())
        data = records if isinstance(records, bytes) else json.dumps(records, separators=(",", ":")).encode()
        temporary = table.path + ".tmp"
        Path(temporary).write_bytes(data)
        os.rename(temporary, table.path)
        return table.path

    def big_data(self, image: str, items: dict[str, bytes], *, root: str | None = None) -> dict[str, Any]:
        """Write the items; returns the members of the record that name them."""
        folder = Path(paths.image_dir(root or self.location.graphroot, self.location.driver, ImageID(image)))
        folder.mkdir(parents=True, exist_ok=True)
        for key, data in items.items():
            (folder / paths.big_data_file(key)).write_bytes(data)
        return {
            "id": image,
            "big-data-names": list(items),
            "big-data-sizes": {key: len(data) for key, data in items.items()},
            "big-data-digests": {key: digest(data) for key, data in items.items()},
            "created": "2024-01-02T03:04:05.123456789Z",
        }

    def item(self, image: str, key: str) -> Path:
        return Path(paths.big_data_path(self.location.graphroot, self.location.driver, ImageID(image), key))
