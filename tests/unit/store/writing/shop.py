"""A store with an image to be deleted and one that stays, on either driver; and looks at what lies in it."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from attrs import frozen

from storaged.metrics import Metrics
from storaged.sample import SampleSpec, SampleWriter, write_store
from storaged.store.files import Files
from storaged.store.layout import paths
from storaged.store.layout.records import ContainerID, ImageID, LayerID
from storaged.store.reader import StoreReader
from storaged.store.tables import StoreLocation, StoreTables
from storaged.store.writing.deletion import LayerDeletion

_CLEANER = """
import fcntl, sys
file = open(sys.argv[1], "r+b")
try:
    fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
except BlockingIOError:
    print("held")
else:
    print("free")
"""


@frozen(kw_only=True)
class Shop:
    """``image`` has the layer ``layer`` for itself; ``container`` is a container on another image."""

    location: StoreLocation
    writer: SampleWriter
    image: ImageID
    layer: LayerID
    container: ContainerID
    files: Files

    @property
    def graphroot(self) -> Path:
        return Path(self.location.graphroot)

    @property
    def runroot(self) -> Path:
        return Path(self.location.runroot)

    @property
    def staging(self) -> Path:
        """The folder of staged deletions of the driver."""
        return self.graphroot / self.location.driver / "tempdirs"

    @property
    def contents(self) -> Path:
        return Path(paths.layer_contents(self.location.graphroot, self.location.driver, self.layer))

    @property
    def mount_counts(self) -> Path:
        folder = self.runroot / f"{self.location.driver}-layers"
        folder.mkdir(parents=True, exist_ok=True)
        return folder / "mountpoints.json"

    def deletion(self, files: Files | None = None) -> LayerDeletion:
        """Of the image and its layer."""
        return LayerDeletion(
            self.location, (self.layer,), images=(self.image,), files=files or self.files, metrics=Metrics()
        )

    def everything(self) -> set[str]:
        """Every path of the store but storaged's own, from the graphroot on."""
        return {
            str(path.relative_to(self.graphroot))
            for path in self.graphroot.rglob("*")
            if path.relative_to(self.graphroot).parts[0] != "storaged"
        }

    def of_the_victims(self) -> set[str]:
        """The paths that belong to the image or its layer."""
        link = (self.contents / "link").read_text() if self.location.driver == "overlay" else "no link"
        wanted = (self.image, self.layer, link)
        return {path for path in self.everything() if any(name in part for part in path.split("/") for name in wanted)}

    def journal(self) -> list[Path]:
        return sorted((self.graphroot / "storaged").glob("*journal-*"))

    def tables(self) -> StoreTables:
        reader = StoreReader(self.location, metrics=Metrics())
        try:
            return reader.load().tables
        finally:
            reader.close()


@contextmanager
def opened(folder: Path, driver: str) -> Iterator[Shop]:
    spec = SampleSpec(
        images=2, driver="overlay" if driver == "overlay" else "vfs", contents="files", containers=1, for_podman_4=True
    )
    write_store(folder / "root", folder / "run", spec)
    location = StoreLocation(graphroot=str(folder / "root"), runroot=str(folder / "run"), driver=driver)
    writer = SampleWriter(location.graphroot, location.runroot, driver)
    writer.add_image("stays")
    image = writer.add_image("goes")
    reader = StoreReader(location, metrics=Metrics())
    try:
        tables = reader.load().tables
    finally:
        reader.close()
    record = next(row.record for row in tables.images if row.record.id == image)
    assert record.layer is not None
    yield Shop(
        location=location,
        writer=writer,
        image=record.id,
        layer=record.layer,
        container=tables.containers[0].record.id,
        files=Files(),
    )


def seen_by_a_cleaner(lock: Path) -> str:
    """``held`` or ``free``, as another process finds the lock file by a classic record lock."""
    done = subprocess.run([sys.executable, "-c", _CLEANER, str(lock)], capture_output=True, text=True, check=True)
    return done.stdout.strip()


def nothing(done: int, total: int) -> None:
    """Progress that nobody watches."""


def never() -> bool:
    return False


def descriptors() -> int:
    return len(os.listdir("/proc/self/fd"))
