"""Handlers of ``server.*``. They answer even if the store cannot be read."""

from __future__ import annotations

import os
import resource
from typing import Literal, cast

import anyio
from anyio.to_thread import run_sync

from storaged.engine.transactions import Outcome
from storaged.engine.views import View
from storaged.operations import store_flaws
from storaged.service.context import Call, Engine
from storaged.service.daemon_status import StartedBy
from storaged.service.statistics import statistics
from storaged.snapshot.model import Snapshot
from storaged_client.contract import params as p
from storaged_client.contract import types as t
from storaged_client.contract.errors import StoreBusy, StoreCorrupt
from storaged_client.contract.version import PROTOCOL, VERSION

_Look = tuple[
    tuple[t.Flaw, ...], tuple[t.Flaw, ...], str | None, str | None, StartedBy, Literal["locks", "file system"]
]


async def info(call: Call, params: p.NoParams) -> t.ServerInfo | Outcome[t.Result]:
    """``server.info``: a store that cannot be read is its first flaw, not an error."""
    engine, common = call.engine, call.common
    view: View | None = None
    broken: tuple[t.Flaw, ...] = ()
    try:
        view = await engine.cache.view(common.consistency, common.timeout)
        if common.if_generation == view.generation:
            return Outcome(result=t.Unchanged(), view=view)
    except (StoreBusy, StoreCorrupt) as error:
        broken = (t.Flaw(name=error.name, detail=error.message, file=error.data.get("file")),)
    broken += tuple(
        t.Flaw(name="ConfigError", detail=error.message, file=error.data.get("file"))
        for error in engine.short_name_flaws()
    )
    snapshot = view.snapshot if view else None
    current = snapshot if view is not None and view.stale is None else None
    facts, location = engine.host.facts(), engine.location
    condition = engine.condition

    def look() -> _Look:
        reason = engine.why_not_writable()
        flaws = condition.flaws(location, facts.socket, writable=reason is None)
        lost = _losses(engine, current) if current is not None else ()
        return flaws, lost, reason, condition.settings_file(), condition.started_by(), engine.freshness()

    # Not in the threads that reloads use: a store that hangs must not take them from others.
    async with call.session.shares.threads:
        flaws, lost, reason, file, started_by, freshness = await run_sync(look, limiter=engine.blob_threads)
    broken += flaws
    if lost and (now := engine.cache.view_now()) is not None and now.snapshot is current:
        broken += lost
    result = t.ServerInfo(
        version=VERSION,
        protocol=PROTOCOL,
        pid=os.getpid(),
        backend=facts.backend,
        socket=facts.socket,
        api_sockets=facts.api_sockets,
        podman_socket=facts.podman_socket,
        graphroot=location.graphroot,
        runroot=location.runroot,
        driver=location.driver,
        additional_stores=location.additional,
        limits=facts.limits,
        config_fingerprint=location.fingerprint,
        config_file=location.config_file,
        started=cast("t.Timestamp", facts.started),
        writable=reason is None,
        writable_reason=reason,
        read_only=condition.read_only,
        compat="podman" if engine.query_context.podman_lists else "none",
        settings_file=file,
        started_by=started_by,
        freshness=freshness,
        images=sum(not image.is_list for image in snapshot.images) if snapshot else 0,
        manifest_lists=len(snapshot.lists) if snapshot else 0,
        layers=len(snapshot.layers) if snapshot else 0,
        containers=len(snapshot.containers) if snapshot else 0,
        half_made=snapshot.half_made if snapshot else (),
        unreadable_evidence=store_flaws.evidence(snapshot) if snapshot else (),
        flaws=broken + (store_flaws.flaws(snapshot) if snapshot else ()),
    )
    return result if view is None else Outcome(result=result, view=view)


def _losses(engine: Engine, snapshot: Snapshot) -> tuple[t.Flaw, ...]:
    """What was lost from the store. Blocking; valid only if the snapshot is still current afterwards."""
    stores = len(engine.location.additional) + 1
    return store_flaws.losses(
        engine.losses.look(snapshot.generation, lambda: store_flaws.recorded(snapshot, stores)),
    )


def ping(call: Call, params: p.NoParams) -> t.Result:
    """``server.ping``: answers with the last known generation, without checking the store."""
    return t.Unchanged() if call.common.if_generation == call.engine.cache.generation else t.Empty()


async def stats(call: Call, params: p.NoParams) -> t.Result:
    """``server.stats``."""
    engine = call.engine
    if call.common.if_generation == engine.cache.generation:
        return t.Unchanged()
    async with call.session.shares.threads:
        process = await run_sync(_process)
    gauges = {
        **engine.host.gauges(),
        **process,
        "cursors": float(len(engine.cursors)),
        "leases": float(len(engine.cache.context.leases)),
        "uptime_seconds": anyio.current_time() - engine.began,
    }
    snapshot = engine.cache.snapshot
    if snapshot is not None:
        pending, unknown = snapshot.unsized
        gauges |= {
            "images": float(len(snapshot.images)),
            "layers": float(len(snapshot.layers)),
            "containers": float(len(snapshot.containers)),
            "layer_sizes_pending": float(pending),
            "layer_sizes_unknown": float(unknown),
        }
    return statistics(engine.metrics, gauges)


def shutdown(call: Call, params: p.NoParams) -> t.Empty:
    """``server.shutdown``: the daemon begins to drain; this reply is still sent."""
    who = call.session.credentials
    call.engine.host.shutdown(f"server.shutdown by uid {who.uid} pid {who.pid}")
    return t.Empty()


def _process() -> dict[str, float]:
    """Open descriptors, resident bytes now and at most, and processor time, from the kernel. Blocking."""
    with open("/proc/self/statm", "rb") as file:
        pages = int(file.read().split()[1])
    used = resource.getrusage(resource.RUSAGE_SELF)
    return {
        "descriptors": float(len(os.listdir("/proc/self/fd"))),
        "resident_bytes": float(pages * os.sysconf("SC_PAGE_SIZE")),
        "peak_resident_bytes": float(used.ru_maxrss * 1024),
        "cpu_seconds": used.ru_utime + used.ru_stime,
    }
