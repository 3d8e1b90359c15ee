"""The only file that builds everything: settings to store, guard, door, cache, service, life.

The order matters. The guard comes before the door: a second daemon of one graphroot must not touch the
first one's socket. The door comes before the first load: who connects meanwhile waits in its queue and
is neither refused nor tempted to start another daemon. The path is withdrawn before the guard ends.
"""

from __future__ import annotations

import gc
import logging
import os
import sys
from collections.abc import MutableMapping
from contextlib import ExitStack, suppress
from functools import partial

import anyio

from storaged import process
from storaged.engine.cache import Cache
from storaged.engine.circumstances import CircumstancesWatch
from storaged.engine.cursors import Cursors
from storaged.engine.leases import Leases
from storaged.engine.sizes import LayerSizes
from storaged.engine.transactions import Transactions
from storaged.engine.upkeep import Upkeep
from storaged.errors import GuardTaken, StoreError
from storaged.metrics import Metrics
from storaged.server import listener, systemd
from storaged.server.errors import ServerError, SocketTaken
from storaged.server.lifecycle import Lifecycle, Terms
from storaged.server.listener import Door
from storaged.service.access import Access
from storaged.service.context import Engine
from storaged.service.registry import Service
from storaged.settings import Settings
from storaged.store import config
from storaged.store.content import ContentReader
from storaged.store.drivers.measuring import Measurer
from storaged.store.files import Files
from storaged.store.locks.instance import take_guard
from storaged.store.reader import StoreReader
from storaged.store.registries import RegistriesWatch
from storaged.store.tables import StoreLocation
from storaged.store.writing.commit import StoreWriter
from storaged.store.writing.recovery import Recovery
from storaged.store.writing.reserve import Reserve
from storaged_client import address, spawn
from storaged_client.contract.version import VERSION
from storaged_client.errors import ClientError

BUSY = 75
FORBIDDEN = 77
MISCONFIGURED = 78
FAILED = 1

_BLOB_THREADS = 4

_log = logging.getLogger(__name__)


def run(settings: Settings, environ: MutableMapping[str, str]) -> int:
    """Be the daemon until told to stop; returns the exit status.

    0 ended as asked, 1 a mistake of ours, 75 another daemon is there, 77 not permitted, 78 misconfigured.
    """
    process.open_standard_streams()
    process.start_logging(settings.log_level, environ)
    process.give_memory_back()
    os.umask(0o077)
    try:
        _serve(settings, environ)
    except (GuardTaken, SocketTaken) as error:
        return _fail(error, BUSY)
    except PermissionError as error:
        return _fail(error, FORBIDDEN)
    except (StoreError, ServerError, ClientError, FileNotFoundError, NotADirectoryError) as error:
        return _fail(error, MISCONFIGURED)
    except OSError as error:
        return _fail(error, FAILED)
    except Exception:
        # The root: an end that nobody foresaw is logged whole, and told to the service manager.
        _log.exception("daemon failed")
        return FAILED
    return 0


def _serve(settings: Settings, environ: MutableMapping[str, str]) -> None:
    inherited = systemd.inherited_socket(environ)
    notifier = systemd.Notifier.from_environment(environ)
    location = config.discover(environ, os.geteuid(), settings.root, settings.runroot, settings.driver)
    runtime = os.path.dirname(address.default())
    with ExitStack() as stack:
        stack.callback(notifier.close)
        stack.enter_context(take_guard(location.graphroot, runtime, files=Files(), writable=not settings.read_only))
        door = listener.inherit(inherited) if inherited else listener.bind(address.find(settings.socket))
        stack.callback(door.close)
        stack.callback(door.withdraw)
        process.allow_descriptors(settings.limits)
        registries = RegistriesWatch(environ, os.geteuid())
        registries.current()
        anyio.run(_live, settings, location, registries, door, notifier, backend=settings.backend)


async def _live(
    settings: Settings,
    location: StoreLocation,
    registries: RegistriesWatch,
    door: Door,
    notifier: systemd.Notifier,
) -> None:
    metrics = Metrics()
    reader = StoreReader(location, metrics=metrics)
    content = ContentReader(location, metrics)
    sizes = LayerSizes(Measurer(location), metrics)
    leases = Leases(metrics)
    cache = Cache(
        reader,
        content,
        metrics,
        known_sizes=lambda: sizes.known,
        circumstances=CircumstancesWatch(leases, registries.current, podman_lists=settings.compat == "podman"),
    )
    files = Files()
    reserve = Reserve(location, files=files)
    writer = StoreWriter(location, files=files, metrics=metrics, reserve=reserve)
    why_not_writable = partial(_why_not_writable, settings, location, writer)
    recovery = Recovery(location, writer, files=files, metrics=metrics)
    transactions = Transactions(
        cache,
        writer,
        metrics,
        why_not_writable=why_not_writable,
        provide=reserve.build,
        recover=lambda cancelled: recovery.run(cancelled=cancelled),
    )
    upkeep = Upkeep(
        transactions,
        cache,
        recovery,
        reserve,
        metrics,
        why_not_writable=why_not_writable,
        at_once=lambda: not spawn.is_spawned(door.path, os.getpid()),
    )
    lifecycle = Lifecycle(
        door,
        terms=Terms(limits=settings.limits, backend=settings.backend, idle_exit=settings.idle_exit),
        metrics=metrics,
        notifier=notifier,
        describe=lambda: _describe(cache),
        hurry=transactions.hurry,
    )
    engine = Engine(
        cache=cache,
        content=content,
        metrics=metrics,
        location=location,
        host=lifecycle,
        freshness=lambda: reader.freshness,
        began=anyio.current_time(),
        why_not_writable=why_not_writable,
        short_name_flaws=lambda: registries.current().broken,
        transactions=transactions,
        sizes=sizes,
        cursors=Cursors(),
        blob_threads=anyio.CapacityLimiter(_BLOB_THREADS),
    )
    service = Service(engine, _access(settings))

    async def prepare() -> None:
        await cache.start()
        # What a daemon starts with lives as long as it: no full collection need look at it.
        gc.freeze()

    def ready() -> None:
        # Who started the daemon may have closed the other end already.
        with suppress(OSError):
            sys.stderr.write(f"ready: listening on {door.path}\n")
            sys.stderr.flush()
        background.start_soon(upkeep.run)

    _log.info(
        "serving version=%s graphroot=%s driver=%s socket=%s", VERSION, location.graphroot, location.driver, door.path
    )
    async with anyio.create_task_group() as background:
        background.start_soon(cache.run)
        background.start_soon(sizes.run, cache)
        background.start_soon(leases.run)
        try:
            await lifecycle.serve(service.handle, prepare=prepare, ready=ready)
        finally:
            background.cancel_scope.cancel()


def _access(settings: Settings) -> Access:
    granted = settings.access
    return Access(own_uid=os.geteuid(), uids=frozenset(granted.uids), gids=frozenset(granted.gids))


def _describe(cache: Cache) -> str:
    snapshot = cache.snapshot
    if snapshot is None:
        return "store unreadable"
    return f"{len(snapshot.images)} images, generation {snapshot.generation}"


def _why_not_writable(settings: Settings, location: StoreLocation, writer: StoreWriter) -> str | None:
    """None for a store that is not made yet as well: there is nothing in it to be kept from being changed."""
    if settings.read_only:
        return "the daemon was started with --read-only"
    if not os.path.isdir(location.graphroot):
        return f"{location.graphroot} does not exist"
    if not os.access(location.graphroot, os.W_OK):
        return f"{location.graphroot} cannot be written"
    refusal = writer.refusal()
    return refusal.text if refusal is not None and not refusal.evidence.get("missing") else None


def _fail(error: Exception, status: int) -> int:
    _log.error("cannot serve error=%s", error)
    return status
