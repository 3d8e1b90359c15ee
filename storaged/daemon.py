"""Builds the daemon: settings, store, instance lock, listener, cache, service, life cycle. No other module wires them.

The order matters. The instance lock comes before the listener: a second daemon of one graphroot must not touch the
first one's socket. The listener comes before the first load: clients that connect meanwhile wait in its queue, and are
neither refused nor tempted to start another daemon. The socket's path is removed before the instance lock is released.
"""

from __future__ import annotations

import gc
import logging
import os
import socket
import sys
from collections.abc import Callable, MutableMapping, Sequence
from contextlib import ExitStack, suppress
from functools import partial

import anyio

from storaged import log_rate_limit, logs, process, single_instance
from storaged.config_reload import Reconfiguration
from storaged.engine.cache import Cache
from storaged.engine.leases import Leases
from storaged.engine.maintenance import Maintenance
from storaged.engine.query_context import ContextWatch
from storaged.engine.sizes import LayerSizes
from storaged.engine.tokens import Cursors, Plans
from storaged.engine.transactions import Transactions
from storaged.errors import ConfigError
from storaged.metrics import Metrics
from storaged.server import systemd
from storaged.server.lifecycle import Lifecycle, Terms
from storaged.server.limits import Limits
from storaged.server.listener import Listener, bind, inherit
from storaged.service.access import Access
from storaged.service.context import Engine
from storaged.service.daemon_status import DaemonStatus, StartedBy
from storaged.service.service import Service
from storaged.settings import Settings
from storaged.single_instance import StoreGuard
from storaged.store import config
from storaged.store.content import ContentReader
from storaged.store.drivers.measuring import Measurer
from storaged.store.files import Files
from storaged.store.reader import StoreReader
from storaged.store.registries import RegistriesWatch
from storaged.store.tables import StoreLocation
from storaged.store.writing.commit import StoreWriter
from storaged.store.writing.create_store import can_be_made
from storaged.store.writing.recovery import Recovery
from storaged.store.writing.reserve import Reserve
from storaged_client import address, spawn, stores
from storaged_client.contract.version import VERSION
from storaged_client.storage_conf import Flags

_BLOB_THREADS = 4
_REPLACED = "the store was removed or replaced, and the daemon starts again with the new store: try again"

_log = logging.getLogger(__name__)


def serve(
    settings: Settings, environ: MutableMapping[str, str], notifier: systemd.Notifier, reread: Callable[[], Settings]
) -> None:
    """Serve until told to stop. ``reread``, blocking, reads the settings again.

    Raises:
        GuardTaken, SocketTaken: another daemon is there.
        StoragedError, ServerError, ClientError, OSError: it cannot serve.
    """
    handed = systemd.inherited_sockets(environ)
    inherited = handed.main
    watchdog = systemd.watchdog(environ)
    rules = settings.storage_rules if settings.storage_rules != "auto" else None
    flags = Flags(settings.root, settings.runroot, settings.driver, settings.storage_options)
    discover = partial(
        config.discover, environ, os.geteuid(), flags.root, flags.runroot, flags.driver, flags.options, rules=rules
    )
    location = discover()
    writable = not settings.read_only
    if writable:
        _refuse_foreign(location.graphroot)
    runtime = os.path.dirname(address.default())
    if inherited:
        path = os.fsdecode(inherited.getsockname())
    else:
        path = address.given(settings.socket) or stores.socket_of(location.graphroot, flags)
    with ExitStack() as stack:
        patience = single_instance.PATIENCE if inherited else 0.0
        guard = StoreGuard(
            location.graphroot,
            runtime,
            notifier,
            writable=writable,
            socket=os.path.abspath(path),
            patience=patience,
        )
        stack.callback(guard.close)
        listener = inherit(inherited) if inherited else bind(path)
        stack.callback(listener.close)
        stack.callback(listener.withdraw)
        api = _api_listeners(settings, handed.api)
        for one in api:
            stack.callback(one.close)
            stack.callback(one.withdraw)
        process.allow_descriptors(settings.limits)
        registries = RegistriesWatch(environ, os.geteuid())
        registries.current()
        while True:
            live = partial(
                _live, settings, location, guard, registries, listener, api, notifier, watchdog, reread, discover
            )
            settings, again = anyio.run(live, backend=settings.backend)
            if not again:
                return
            # There is another store now: keep only the listener.
            before, location = location, discover()
            if (location.graphroot, location.runroot) != (before.graphroot, before.runroot):
                _log.warning("the settings now name another store: exiting graphroot=%s", location.graphroot)
                return
            if writable:
                _refuse_foreign(location.graphroot)
            gc.unfreeze()
            gc.collect()
            guard.renew()


def _api_listeners(settings: Settings, inherited: Sequence[socket.socket]) -> Sequence[Listener]:
    """The gateway's listeners: all that were passed, or the configured one. Blocking.

    Raises:
        SocketTaken, SocketUnusable, OSError: as ``listener.bind``.
    """
    if inherited:
        return [inherit(one) for one in inherited]
    return [bind(settings.gateway.socket)] if settings.gateway.socket is not None else []


def _refuse_foreign(graphroot: str) -> None:
    """Refuse root as daemon of a user's store, because root's files would lock that user out.

    Raises:
        ConfigError: root would serve another user's store.
    """
    owner = stores.foreign_owner(graphroot)
    if owner is not None:
        raise ConfigError(
            f"{graphroot} is the store of uid {owner}, and root's files in it would lock that user out: "
            f"serve it as that user (sudo -u '#{owner}' storaged serve ...), or with --read-only",
            file=None,
            key="graphroot",
            line=None,
        )


async def _live(
    settings: Settings,
    location: StoreLocation,
    guard: StoreGuard,
    registries: RegistriesWatch,
    listener: Listener,
    api_listeners: Sequence[Listener],
    notifier: systemd.Notifier,
    watchdog: float | None,
    reread: Callable[[], Settings],
    discover: Callable[[], StoreLocation],
) -> tuple[Settings, bool]:
    """Run one life cycle: returns its last settings, and whether another follows, on the store that exists then."""
    metrics = Metrics()
    reader = StoreReader(location, metrics=metrics)
    content = ContentReader(location, metrics)
    sizes = LayerSizes(Measurer(location), metrics)
    limits = settings.limits
    leases = Leases(metrics)
    leases.revise(**_of_leases(limits))
    context = ContextWatch(leases, registries.current, podman_lists=settings.compat == "podman")
    cache = Cache(reader, content, metrics, known_sizes=lambda: sizes.known, context=context)
    files = Files()
    reserve = Reserve(location, files=files)
    writer = StoreWriter(location, files=files, metrics=metrics, reserve=reserve)
    why_not_writable = partial(_why_not_writable, settings, location, guard, writer)
    recovery = Recovery(location, writer, files=files, metrics=metrics)
    transactions = Transactions(
        cache,
        writer,
        metrics,
        why_not_writable=partial(_why_not_changed, settings, location, guard, writer),
        provide=reserve.build,
        recover=lambda cancelled: recovery.run(cancelled=cancelled),
    )
    upkeep = Maintenance(
        transactions,
        cache,
        recovery,
        reserve,
        metrics,
        why_not_writable=why_not_writable,
        at_once=lambda: not spawn.is_spawned(listener.path, os.getpid()),
    )
    lifecycle = Lifecycle(
        listener,
        api_listeners=api_listeners,
        terms=Terms(limits=settings.limits, backend=settings.backend, idle_exit=settings.idle_exit),
        metrics=metrics,
        notifier=notifier,
        watchdog=watchdog,
        describe=lambda: _describe(cache),
        moved=lambda: cache.moved(cache.generation),
        reload=lambda: reconfiguration.run(),
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
        cursors=Cursors(metrics, limits.of_cursors),
        plans=Plans(metrics, limits.of_plans),
        blob_threads=anyio.CapacityLimiter(_BLOB_THREADS),
        condition=DaemonStatus(
            started_by=partial(_started_by, listener),
            settings_file=lambda: settings.file,
            read_only=settings.read_only,
            recovery=recovery,
            reserve=reserve,
        ),
    )
    service = Service(engine, _access(settings))

    gateway, front = None, None
    if api_listeners:
        from storaged.gateway_start import StartedGateway  # imports h11, which only a gateway needs

        listeners = [listener, *api_listeners]
        gateway = StartedGateway(settings.gateway, engine, lambda: service, listeners, os.environ)
        front = gateway.front
        lifecycle.tell_podman_socket(gateway.podman_socket)

    def apply(new: Settings) -> None:
        nonlocal service, settings
        settings = new
        # A running request keeps the rights with which it began.
        service = Service(engine, _access(new))
        logging.getLogger().setLevel(new.log_level.upper())
        context.read_lists_as_podman(new.compat == "podman")
        cache.rebuild()  # tasks that wait for another generation check again
        process.allow_descriptors(new.limits)
        lifecycle.revise(new.limits, new.idle_exit)
        if gateway is not None:
            gateway.revise(new.gateway)
            lifecycle.tell_podman_socket(gateway.podman_socket)
        limits = new.limits
        leases.revise(**_of_leases(limits))
        engine.cursors.bounds = limits.of_cursors
        engine.plans.bounds = limits.of_plans

    reconfiguration = Reconfiguration(settings, location, read=reread, discover=discover, apply=apply)

    async def prepare() -> None:
        await cache.start()
        # Objects of the start live as long as the daemon: no full collection need traverse them, and none did
        # (``cli``).
        cache.loader.garbage.begin()

    def ready() -> None:
        # The process that started the daemon may have closed the other end already.
        with suppress(OSError):
            sys.stderr.write(f"ready: listening on {listener.path}\n")
            sys.stderr.flush()
        background.start_soon(upkeep.run)

    if location.alternatives:
        answers = " ".join(f"{rules}={path}" for rules, path in location.alternatives)
        _log.info("releases of containers/storage differ about the store %s reason=%s", answers, location.chosen_by)
    _log.info(
        "serving version=%s graphroot=%s driver=%s socket=%s",
        VERSION,
        location.graphroot,
        location.driver,
        listener.path,
    )
    for one in api_listeners:
        _log.info("answering podman's API api_socket=%s", one.path)
    async with anyio.create_task_group() as background:
        background.start_soon(cache.run)
        background.start_soon(sizes.run, cache)
        background.start_soon(leases.run)
        background.start_soon(_tell_repeated)
        background.start_soon(single_instance.watch, guard, lifecycle.begin_anew)
        try:
            # Use the service that exists at that time.
            await lifecycle.serve(lambda *asked: service.begin(*asked), gateway=front, prepare=prepare, ready=ready)
        finally:
            background.cancel_scope.cancel()
    reader.close()
    writer.close()
    return settings, lifecycle.again


def _of_leases(limits: Limits) -> dict[str, int]:
    return {
        "per_uid": limits.leases,
        "images_per_uid": limits.leased_images,
        "total": limits.total_leases,
        "total_images": limits.total_leased_images,
    }


async def _tell_repeated() -> None:
    while True:
        await anyio.sleep(log_rate_limit.SECONDS)
        logs.tell_repeated()


def _access(settings: Settings) -> Access:
    granted = settings.access
    return Access(own_uid=os.geteuid(), uids=frozenset(granted.uids), gids=frozenset(granted.gids))


def _started_by(listener: Listener) -> StartedBy:
    if listener.inherited:
        return "systemd"
    return "client" if spawn.is_spawned(listener.path, os.getpid()) else "other"


def _describe(cache: Cache) -> str:
    snapshot = cache.snapshot
    if snapshot is None:
        return "store unreadable"
    return f"{len(snapshot.images)} images, generation {snapshot.generation}"


def _why_not_changed(settings: Settings, location: StoreLocation, guard: StoreGuard, writer: StoreWriter) -> str | None:
    """As ``_why_not_writable``, but for a store that does not exist yet and that a change may create."""
    if not settings.read_only and can_be_made(location.graphroot):
        return None if guard.holds() else _REPLACED
    return _why_not_writable(settings, location, guard, writer)


def _why_not_writable(
    settings: Settings, location: StoreLocation, guard: StoreGuard, writer: StoreWriter
) -> str | None:
    """Why the store cannot be written. None also for a store that does not exist: there is nothing to protect."""
    if settings.read_only:
        return "the daemon is read-only: --read-only, or read_only in storaged.toml"
    if not os.path.isdir(location.graphroot):
        return f"{location.graphroot} does not exist"
    if not os.access(location.graphroot, os.W_OK):
        return f"{location.graphroot} cannot be written"
    if not guard.holds():
        return _REPLACED
    refusal = writer.refusal()
    return refusal.message if refusal is not None and not refusal.data.get("missing") else None
