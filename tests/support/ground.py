"""A real store on disk, the real reader, and another process that keeps the rules of the store's locks."""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack, asynccontextmanager, contextmanager
from pathlib import Path

import anyio
from attrs import frozen

from storaged.engine.cache import Cache
from storaged.engine.leases import Leases
from storaged.engine.query_context import ContextWatch
from storaged.engine.sizes import LayerSizes
from storaged.engine.transactions import Transactions
from storaged.metrics import Metrics
from storaged.operations.query_context import HostPlatform
from storaged.sample import Sample, SampleSpec, SampleWriter, write_store
from storaged.store.content import ContentReader
from storaged.store.drivers.measuring import Measurer
from storaged.store.files import Files
from storaged.store.layout import paths
from storaged.store.reader import StoreReader
from storaged.store.tables import StoreLocation
from storaged.store.writing.commit import StoreWriter
from storaged.store.writing.recovery import Recovery

DRIVER = "overlay"

HOLD = """
import fcntl, sys
file = open(sys.argv[1], "r+b")
fcntl.lockf(file, fcntl.LOCK_EX)
print("held", end="", flush=True)
sys.stdin.read()
"""


@frozen(kw_only=True)
class Ground:
    """A sample store and all that stands on it."""

    sample: Sample
    location: StoreLocation
    writer: SampleWriter
    reader: StoreReader
    metrics: Metrics
    sizes: LayerSizes
    cache: Cache
    endings: ExitStack
    """What ends with the ground."""

    def store_writer(self, files: Files | None = None) -> StoreWriter:
        """The real writer."""
        writer = StoreWriter(self.location, files=files or Files(), metrics=self.metrics)
        self.endings.callback(writer.close)
        return writer

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """The cache loaded and its reloads served."""
        await self.cache.start()
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(self.cache.run)
            yield
            tasks.cancel_scope.cancel()

    @property
    def images_lock(self) -> str:
        return paths.images_lock(self.location.graphroot, DRIVER)

    @property
    def images_json(self) -> Path:
        return Path(paths.images_json(self.location.graphroot, DRIVER))

    def item(self, image: str, key: str) -> Path:
        return self.images_json.parent / image / paths.big_data_file(key)


@contextmanager
def lay(folder: Path, images: int = 12, seed: int = 3, spec: SampleSpec | None = None) -> Iterator[Ground]:
    spec = spec or SampleSpec(images=images, seed=seed, driver=DRIVER)
    sample = write_store(folder / "root", folder / "run", spec)
    location = StoreLocation(graphroot=str(folder / "root"), runroot=str(folder / "run"), driver=DRIVER)
    metrics = Metrics()
    reader = StoreReader(location, metrics=metrics)
    sizes = LayerSizes(Measurer(location), metrics)
    with ExitStack() as endings:
        endings.callback(reader.close)
        yield Ground(
            sample=sample,
            location=location,
            writer=SampleWriter(location.graphroot, location.runroot, DRIVER),
            reader=reader,
            metrics=metrics,
            sizes=sizes,
            cache=Cache(
                reader,
                ContentReader(location, metrics),
                metrics,
                known_sizes=lambda: sizes.known,
                context=ContextWatch(Leases(metrics), host=HostPlatform(os="linux", architecture="amd64")),
            ),
            endings=endings,
        )


@asynccontextmanager
async def held(path: str) -> AsyncIterator[int]:
    """Another process holds a lock file for writing; yields its pid."""
    process = await anyio.open_process([sys.executable, "-c", HOLD, path], stderr=None)
    async with process:
        assert process.stdin is not None
        assert process.stdout is not None
        assert await process.stdout.receive() == b"held"
        yield process.pid
        await process.stdin.aclose()
        await process.wait()


def transactions_of(ground: Ground, files: Files | None = None) -> Transactions:
    """The writer slot of the ground's store, with the real writer."""
    writer = ground.store_writer(files)
    recovery = Recovery(ground.location, writer, metrics=ground.metrics, files=files)
    return Transactions(
        ground.cache, writer, ground.metrics, recover=lambda cancelled: recovery.run(cancelled=cancelled)
    )
