"""Sizes that no record has, measured by one walker in the background.

::

    a snapshot has a layer of unknown size ──▶ measure it, in slices of a worker thread
    a client asks for the usage of the store ─▶ measure containers' layers and files, and volumes, again
    a size became known ─────────────────────▶ replace ``known``, request a snapshot made from it
    a layer is gone from the snapshot ────────▶ forget it

No lock is taken and no read waits: until a size is known it is null and counts as pending. If the files of a layer
may not be read, such as those of subordinate uids by a user, its size stays null, with the reason.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import TypeVar

import anyio
from anyio.to_thread import run_sync
from msgspec import Struct

from storaged.engine.cache import Cache
from storaged.metrics import Metrics
from storaged.snapshot.model import Snapshot
from storaged.snapshot.sizes import NOTHING_MEASURED, KnownSizes, layer_size
from storaged.store.drivers.counting import Steps, Uncountable
from storaged.store.drivers.measuring import Measurer
from storaged.store.layout.records import ContainerID, LayerID
from storaged.store.tables import LayerRow

_Id = TypeVar("_Id", LayerID, ContainerID)

SLICE = 0.05
"""Seconds of measuring in one slice: what a shutdown waits for at most."""

_PAUSE = 0.005
"""Seconds of rest between two slices, so that others get disk and processor."""

_PUBLISH = (0.5, 10.0)
"""Seconds between two snapshots with new sizes while more are measured: the first pause, the longest."""

_FRESH = 0.2
"""Seconds for which a size that may change is not measured again."""

_HINDERED = 1.0
"""Seconds of rest after descriptors or memory were lacking."""

_SHARE = 20
"""Nor for this many times as long as measuring it took."""


class _Layer(Struct, frozen=True):
    row: LayerRow


class _Container(Struct, frozen=True):
    id: ContainerID


class _Volume(Struct, frozen=True):
    name: str


_Target = _Layer | _Container | _Volume


class LayerSizes:
    """The measured sizes. ``run`` must be running. All state belongs to the event loop; only steps run in a thread."""

    def __init__(self, measurer: Measurer, metrics: Metrics) -> None:
        self._measurer = measurer
        self._metrics = metrics
        self._thread = anyio.CapacityLimiter(1)
        self.known: KnownSizes = NOTHING_MEASURED
        self._enough: KnownSizes | None = None
        """What tells no less than ``known`` of the layers that are left."""
        self._layers: dict[LayerID, int] = {}
        self._reasons: dict[LayerID, str] = {}
        self._containers: dict[ContainerID, int] = {}
        self._container_reasons: dict[ContainerID, str] = {}
        self._volumes: dict[str, int | None] | None = None
        self._learned = False
        self._again: dict[str, _Target] = {}
        """Targets that may have changed, by their text."""
        self._measured: dict[str, tuple[float, float]] = {}
        """When such a target was last measured, and how long that took."""
        self._list_volumes = False
        self._seen: Snapshot | None = None
        self._unknown: Iterator[LayerRow] = iter(())
        self._wake = anyio.Event()
        self._moved = anyio.Event()

    async def run(self, cache: Cache) -> None:
        """Measure whatever a snapshot of the cache lacks, until cancelled."""
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(self._listen, cache)
            published, pause = anyio.current_time(), _PUBLISH[0]
            while True:
                wake = self._wake = anyio.Event()
                self._look(cache.snapshot)
                target = await self._next()
                now = anyio.current_time()
                if self._learned and (target is None or now - published >= pause):
                    self._publish(cache)
                    published, pause = now, min(pause * 2, _PUBLISH[1])
                self._announce()
                if target is None:
                    await wake.wait()
                    pause = _PUBLISH[0]
                    continue
                await self._measure(target)

    async def renew(self, cache: Cache, patience: float) -> None:
        """Measure containers' layers and files, and volumes, again, and wait until a snapshot has the sizes.

        Waits at most ``patience`` seconds. What was measured a moment ago, or took long, is not measured again yet.
        """
        snapshot = cache.snapshot
        if snapshot is None:
            return
        for layer in snapshot.layers:
            if layer.containers and layer_size(layer.record) is None:
                self._ask(f"layer {layer.id}", _Layer(LayerRow(record=layer.record, store=layer.store)))
        for container in snapshot.containers:
            self._ask(f"container {container.id}", _Container(container.id))
        self._list_volumes = True
        self._wake.set()
        with anyio.move_on_after(patience):
            while self._list_volumes or self._again or not self._is_told(cache):
                await self._moved.wait()

    # -------------------------------------------------------------- within

    async def _listen(self, cache: Cache) -> None:
        while True:
            generation = cache.generation
            self._wake.set()
            self._announce()
            await cache.moved(generation)

    def _is_told(self, cache: Cache) -> bool:
        """Whether the current snapshot has all known sizes."""
        told = cache.snapshot.known_sizes if cache.snapshot is not None else None
        return not self._learned and told in (self.known, self._enough)

    def _announce(self) -> None:
        moved, self._moved = self._moved, anyio.Event()
        moved.set()

    def _ask(self, name: str, target: _Target) -> None:
        when, took = self._measured.get(name, (-_FRESH, 0.0))
        if name not in self._measured or anyio.current_time() - when >= max(_FRESH, took * _SHARE):
            self._again[name] = target

    def _look(self, snapshot: Snapshot | None) -> None:
        """Compare with a new snapshot: forget what it no longer has, queue what it has no size for."""
        if snapshot is None or snapshot is self._seen:
            return
        self._seen = snapshot
        present = snapshot.layer_by_id
        gone = [
            layer
            for layer in (*self._layers, *self._reasons)
            if layer not in present or layer_size(present[layer].record) is not None
        ]
        done = [
            container
            for container in (*self._containers, *self._container_reasons)
            if container not in snapshot.container_by_id
        ]
        if gone or done:
            self._forget(gone, done, snapshot)
        self._unknown = (
            LayerRow(record=layer.record, store=layer.store)
            for layer in snapshot.layer_by_id.values()
            if layer_size(layer.record) is None
        )

    def _forget(self, gone: list[LayerID], done: list[ContainerID], snapshot: Snapshot) -> None:
        for layer in gone:
            self._layers.pop(layer, None)
            self._reasons.pop(layer, None)
            self._measured.pop(f"layer {layer}", None)
            self._again.pop(f"layer {layer}", None)
        for container in done:
            self._containers.pop(container, None)
            self._container_reasons.pop(container, None)
            self._measured.pop(f"container {container}", None)
            self._again.pop(f"container {container}", None)
        self._metrics.add("sizes.forgotten", len(gone) + len(done))
        # No new snapshot is requested: it would be the same.
        self._enough = snapshot.known_sizes if snapshot.known_sizes is self.known else None
        self.known = self._now()

    async def _next(self) -> _Target | None:
        if self._list_volumes:
            await self._note_volumes()
        if self._again:
            return next(iter(self._again.values()))
        for row in self._unknown:
            if row.record.id not in self._layers and row.record.id not in self._reasons:
                return _Layer(row)
        return None

    async def _note_volumes(self) -> None:
        names = await run_sync(self._measurer.volumes, limiter=self._thread)
        before = self._volumes
        self._volumes = None if names is None else {name: (before or {}).get(name) for name in names}
        self._learned = self._learned or self._volumes != before
        for name in before or {}:
            if name not in (self._volumes or {}):
                self._measured.pop(f"volume {name}", None)
                self._again.pop(f"volume {name}", None)
        for name in names or ():
            self._ask(f"volume {name}", _Volume(name))
        self._list_volumes = False

    async def _measure(self, target: _Target) -> None:
        match target:
            case _Layer(row=row):
                name, steps = f"layer {row.record.id}", self._measurer.layer(row)
            case _Container(id=container):
                name, steps = f"container {container}", self._measurer.container(container)
            case _Volume(name=volume):
                name, steps = f"volume {volume}", self._measurer.volume(volume)
        began = anyio.current_time()
        size, reason = None, ""
        try:
            while size is None:
                size = await run_sync(_slice(steps), limiter=self._thread)
                if size is None:
                    await anyio.sleep(_PAUSE)
        except Uncountable as error:
            reason = str(error)
        except OSError:
            # This says nothing about the layer; a reason would be kept as long as the layer is there.
            self._metrics.add("sizes.hindered")
            self._again[name] = target
            await anyio.sleep(_HINDERED)
            return
        finally:
            # No thread runs it now: threads are waited for, even when cancelled.
            steps.close()
        now = anyio.current_time()
        self._metrics.spend("sizes", now - began)
        self._metrics.add("sizes.unknown" if size is None else "sizes.measured")
        self._again.pop(name, None)
        self._measured[name] = (now, now - began)
        match target:
            case _Layer(row=row):
                self._learn(self._layers, self._reasons, row.record.id, size, reason)
            case _Container(id=container):
                self._learn(self._containers, self._container_reasons, container, size, reason)
            case _Volume(name=volume):
                self._learn_volume(volume, size)

    def _learn(self, sizes: dict[_Id, int], reasons: dict[_Id, str], id_: _Id, size: int | None, reason: str) -> None:
        before = sizes.pop(id_, None), reasons.pop(id_, None)
        if size is not None:
            sizes[id_] = size
        else:
            reasons[id_] = reason
        self._learned = self._learned or before != (size, reason or None)

    def _learn_volume(self, name: str, size: int | None) -> None:
        if self._volumes is not None and name in self._volumes and self._volumes[name] != size:
            self._volumes[name] = size
            self._learned = True

    def _publish(self, cache: Cache) -> None:
        self._learned = False
        self.known, self._enough = self._now(), None
        cache.rebuild()

    def _now(self) -> KnownSizes:
        volumes = None if self._volumes is None else dict(self._volumes)
        return KnownSizes(
            layers=dict(self._layers),
            reasons=dict(self._reasons),
            containers=dict(self._containers),
            container_reasons=dict(self._container_reasons),
            volumes=volumes,
        )


def _slice(steps: Steps) -> Callable[[], int | None]:
    """Work that goes on with the steps for a slice of time: the bytes, or None where more is to be done."""

    def work() -> int | None:
        until = time.monotonic() + SLICE
        try:
            while time.monotonic() < until:
                next(steps)
        except StopIteration as done:
            size: int = done.value
            return size
        return None

    return work
