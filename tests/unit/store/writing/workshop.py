"""A store, the writer under test, and looks at what lies on disk."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from attrs import frozen

from storaged.metrics import Metrics
from storaged.sample import SampleSpec, SampleWriter, write_store
from storaged.store.changes import Change
from storaged.store.files import Files
from storaged.store.layout import paths
from storaged.store.layout.records import ImageRecord
from storaged.store.layout.table import split
from storaged.store.reader import Loaded, StoreReader
from storaged.store.tables import StoreLocation
from storaged.store.writing.commit import StoreWriter
from storaged.store.writing.prepared import Committed
from storaged.store.writing.temporary import OURS


@frozen(kw_only=True)
class Workshop:
    """``rival`` writes to the same store with lock code of its own."""

    location: StoreLocation
    reader: StoreReader
    rival: SampleWriter
    writer: StoreWriter
    metrics: Metrics

    @property
    def images_json(self) -> Path:
        return Path(paths.images_json(self.location.graphroot, self.location.driver))

    @property
    def images_lock(self) -> str:
        return paths.images_lock(self.location.graphroot, self.location.driver)

    def load(self) -> Loaded:
        return self.reader.load()

    def images(self) -> dict[str, ImageRecord]:
        return {row.record.id: row.record for row in self.load().tables.images if row.store == 0}

    def raws(self) -> list[bytes]:
        path = self.images_json
        return split(path.read_bytes(), file=str(path))

    def apply(self, change: Change, stamp=None) -> Committed:
        """Prepare, commit and finish one change on the present state, or on that of ``stamp``."""
        prepared = self.writer.prepare(change, stamp if stamp is not None else self.load().stamp)
        committed = self.writer.commit(prepared, deadline=time.monotonic() + 5)
        assert self.writer.finish(committed) == ()
        return committed

    def leftovers(self) -> list[str]:
        """Temporary files and journal entries of ours, wherever they lie."""
        return [
            os.path.join(folder, name)
            for folder, _, names in os.walk(self.location.graphroot)
            for name in names
            if OURS.fullmatch(name) or name.startswith(("journal-", ".tmp-"))
        ]

    def everything(self) -> dict[str, bytes]:
        """Every file of the store but storaged's own and the lock files."""
        root = Path(self.location.graphroot)
        return {
            str(path.relative_to(root)): path.read_bytes()
            for path in sorted(root.rglob("*"))
            if path.is_file() and path.suffix != ".lock" and "storaged" not in path.parts
        }


@contextmanager
def opened(folder: Path, *, files: Files | None = None, images: int = 12, seed: int = 3, **spec) -> Iterator[Workshop]:
    """A sample store (``SampleSpec``) and its writer."""
    write_store(folder / "root", folder / "run", SampleSpec(images=images, seed=seed, **spec))
    driver = spec.get("driver", "overlay")
    location = StoreLocation(graphroot=str(folder / "root"), runroot=str(folder / "run"), driver=driver)
    metrics = Metrics()
    reader = StoreReader(location, metrics=metrics)
    writer = StoreWriter(location, metrics=metrics, files=files)
    rival = SampleWriter(location.graphroot, location.runroot, driver)
    yield Workshop(location=location, reader=reader, rival=rival, writer=writer, metrics=metrics)
    writer.close()
    reader.close()
