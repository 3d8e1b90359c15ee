"""The daemon's life over a real socket: idling by the clock, draining, turning away."""

from __future__ import annotations

import os
import signal
import socket
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from pathlib import Path

import anyio
import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from storaged.metrics import Metrics
from storaged.server.lifecycle import Lifecycle, Terms
from storaged.server.limits import Limits
from storaged.server.listener import Listener, bind, inherit
from storaged.server.systemd import Notifier
from tests.support.connection import Methods, Wire
from tests.support.virtual_time import run_in_virtual_time

on_both = pytest.mark.anyio


class Life:
    def __init__(self, lifecycle: Lifecycle, path: str, metrics: Metrics) -> None:
        self.lifecycle = lifecycle
        self.metrics = metrics
        self.path = path
        self.reason = ""
        self.ended = anyio.Event()

    @asynccontextmanager
    async def client(self) -> AsyncIterator[Wire]:
        async with await anyio.connect_unix(self.path) as stream:
            yield Wire(stream)


@asynccontextmanager
async def living(listener: Listener, methods: Methods, limits: Limits | None = None, **terms) -> AsyncIterator[Life]:
    metrics = Metrics()
    lifecycle = Lifecycle(
        listener,
        terms=Terms(limits=limits or Limits(), backend="test", **terms),
        metrics=metrics,
        notifier=Notifier(None),
    )
    life = Life(lifecycle, listener.path, metrics)
    ready = anyio.Event()

    async def serve() -> None:
        life.reason = await lifecycle.serve(methods, ready=ready.set)
        life.ended.set()

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(serve)
        await ready.wait()
        yield life
        lifecycle.shutdown("test over")
        methods.release.set()


@on_both
async def test_shutdown_answers_what_was_sent_and_removes_the_path(short_dir: Path) -> None:
    methods = Methods()
    async with (
        living(await anyio.to_thread.run_sync(bind, str(short_dir / "s")), methods) as life,
        life.client() as wire,
    ):
        await wire.call(1, "stick")
        await wire.call(2, "echo")
        assert (await wire.line())["id"] == 2
        life.lifecycle.shutdown("asked to")
        await anyio.wait_all_tasks_blocked()
        methods.release.set()
        assert [line["id"] for line in await wire.lines()] == [1]
        await life.ended.wait()
        assert life.reason == "asked to"
        with pytest.raises(FileNotFoundError):
            await anyio.connect_unix(life.path)


@on_both
async def test_shutdown_serves_who_is_in_our_own_queue(short_dir: Path) -> None:
    listener = await anyio.to_thread.run_sync(bind, str(short_dir / "s"))
    with socket.socket(socket.AF_UNIX) as early:
        early.setblocking(False)
        early.connect(listener.path)
        early.send(b'{"jsonrpc":"2.0","id":1,"method":"echo","params":{}}\n')
        lifecycle = Lifecycle(
            listener, terms=Terms(limits=Limits(), backend="test"), metrics=Metrics(), notifier=Notifier(None)
        )
        lifecycle.shutdown("before it began")
        await lifecycle.serve(Methods())
        assert b'"id":1,"result":{}' in early.recv(1000)


@on_both
async def test_shutdown_leaves_the_queue_of_an_inherited_socket_to_the_next_daemon(short_dir: Path) -> None:
    with socket.socket(socket.AF_UNIX) as manager:
        manager.bind(str(short_dir / "s"))
        manager.listen()
        listener = inherit(socket.socket(fileno=os.dup(manager.fileno())))
        lifecycle = Lifecycle(
            listener, terms=Terms(limits=Limits(), backend="test"), metrics=Metrics(), notifier=Notifier(None)
        )
        lifecycle.shutdown("at once")
        with anyio.fail_after(5):
            await lifecycle.serve(Methods())
        with socket.socket(socket.AF_UNIX) as late:
            late.setblocking(False)
            late.connect(str(short_dir / "s"))
            manager.setblocking(False)
            manager.accept()[0].close()


@on_both
async def test_one_client_too_many_is_told_so_and_the_others_go_on(short_dir: Path) -> None:
    listener = await anyio.to_thread.run_sync(bind, str(short_dir / "s"))
    limits = Limits(uid_connections=3)
    async with living(listener, Methods(), limits) as life, life.client() as first, life.client() as second:
        for wire in (first, second):
            await wire.call(1, "echo")
            await wire.line()
        async with life.client() as third:
            error = (await third.line())["error"]
            assert (error["code"], error["data"]["name"]) == (-32001, "TooManyRequests")
            with pytest.raises((anyio.EndOfStream, anyio.BrokenResourceError)):
                await third.line()
        await first.call(2, "echo")
        assert (await first.line())["id"] == 2
        assert life.lifecycle.gauges()["connections"] == 2


@on_both
async def test_a_connection_that_ends_makes_room_for_another(short_dir: Path) -> None:
    listener = await anyio.to_thread.run_sync(bind, str(short_dir / "s"))
    async with living(listener, Methods(), Limits(uid_connections=1)) as life:
        for number in range(5):
            async with life.client() as wire:
                await wire.call(number, "echo")
                assert (await wire.line())["id"] == number
                await wire.stream.send_eof()
                assert await wire.lines() == []


def test_idle_exit_counts_from_the_last_connections_end(short_dir: Path) -> None:
    async def main() -> None:
        listener = await anyio.to_thread.run_sync(bind, str(short_dir / "s"))
        async with living(listener, Methods(), idle_exit=600) as life:
            await wait_all_tasks_blocked()
            clock.jump(500)
            async with life.client() as wire:
                await wire.call(1, "echo")
                await wire.line()
                clock.jump(5000)
                await wait_all_tasks_blocked()
                assert not life.ended.is_set()
            # The end of a connection is a thread's work, which no clock of a test waits for.
            while life.lifecycle.gauges()["connections"]:
                await trio.to_thread.run_sync(time.sleep, 0.002)
            await wait_all_tasks_blocked()
            clock.jump(599)
            await wait_all_tasks_blocked()
            assert not life.ended.is_set()
            clock.jump(1)
            await life.ended.wait()
            assert life.reason == "idle"

    clock = MockClock()
    trio.run(main, clock=clock)


class LastMoment(Listener):
    """A listener where a client comes right after each time it was found that none waits."""

    late: socket.socket | None = None

    def waiting(self) -> bool:
        if super().waiting():
            return True
        self.late = socket.socket(socket.AF_UNIX)
        self.late.setblocking(False)
        self.late.connect(self.path)
        return False


@on_both
async def test_a_client_that_comes_when_an_idle_daemon_decides_to_leave_is_the_next_daemons(short_dir: Path) -> None:
    with socket.socket(socket.AF_UNIX) as manager:
        manager.bind(str(short_dir / "s"))
        manager.listen()
        listener = LastMoment(socket.socket(fileno=os.dup(manager.fileno())), str(short_dir / "s"), inherited=True)
        lifecycle = Lifecycle(
            listener,
            terms=Terms(limits=Limits(), backend="test", idle_exit=0.01),
            metrics=Metrics(),
            notifier=Notifier(None),
        )
        with anyio.fail_after(5):
            assert await lifecycle.serve(Methods()) == "idle"
        assert listener.late is not None
        with listener.late:
            # Not accepted and cut: it may begin to talk only now, and the next daemon hears it.
            listener.late.send(b"hello")
            manager.setblocking(False)
            with manager.accept()[0] as heard:
                heard.setblocking(False)
                assert heard.recv(100) == b"hello"


@on_both
async def test_a_status_of_the_draining_is_not_followed_by_another(short_dir: Path) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(str(short_dir / "n"))
        manager.setblocking(False)
        listener = await anyio.to_thread.run_sync(bind, str(short_dir / "s"))
        methods = Methods()
        notifier = Notifier(str(short_dir / "n"))
        lifecycle = Lifecycle(
            listener,
            terms=Terms(limits=Limits(), backend="test"),
            metrics=Metrics(),
            notifier=notifier,
            describe=lambda: str(len(methods.ended)),
        )
        ready = anyio.Event()
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(lambda: lifecycle.serve(methods, ready=ready.set))
            await ready.wait()
            async with await anyio.connect_unix(listener.path) as stream:
                wire = Wire(stream)
                await wire.call(1, "stick")
                await wire.call(2, "echo")
                await wire.line()
                lifecycle.shutdown("test")
                await anyio.wait_all_tasks_blocked()
                methods.release.set()
                assert len(await wire.lines()) == 1
        notifier.close()
        told = []
        with suppress(BlockingIOError):
            while True:
                told.append(manager.recv(1000).decode())
        assert told[-1] == "STOPPING=1\nSTATUS=draining\n"
        assert told[0].startswith("READY=1\n") or told[1].startswith("READY=1\n")


def test_without_idle_exit_the_daemon_stays(short_dir: Path) -> None:
    async def main() -> None:
        listener = await anyio.to_thread.run_sync(bind, str(short_dir / "s"))
        async with living(listener, Methods()) as life:
            await anyio.sleep(80_000)
            assert not life.ended.is_set()

    run_in_virtual_time(main)


def test_idle_time_does_not_begin_before_the_daemon_is_ready(short_dir: Path) -> None:
    async def main() -> None:
        lifecycle = Lifecycle(
            await anyio.to_thread.run_sync(bind, str(short_dir / "s")),
            terms=Terms(limits=Limits(), backend="test", idle_exit=10),
            metrics=Metrics(),
            notifier=Notifier(None),
        )
        began = trio.current_time()
        ready: list[float] = []
        reason = await lifecycle.serve(
            Methods(), prepare=lambda: anyio.sleep(100), ready=lambda: ready.append(trio.current_time())
        )
        assert reason == "idle"
        assert 100 <= ready[0] - began < 101
        assert 110 <= trio.current_time() - began < 111

    run_in_virtual_time(main)


def test_a_shutdown_while_the_store_is_loaded_for_the_first_time_ends_the_daemon(short_dir: Path) -> None:
    async def main() -> None:
        lifecycle = Lifecycle(
            await anyio.to_thread.run_sync(bind, str(short_dir / "s")),
            terms=Terms(limits=Limits(), backend="test"),
            metrics=Metrics(),
            notifier=Notifier(None),
        )
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(lambda: lifecycle.serve(Methods(), prepare=anyio.sleep_forever, ready=pytest.fail))
            await anyio.sleep(5)
            lifecycle.shutdown("early")
        assert not (short_dir / "s").exists()

    run_in_virtual_time(main)


def test_a_drain_ends_after_ten_seconds_and_answers_the_rest_shutting_down(short_dir: Path) -> None:
    async def main() -> None:
        methods = Methods()
        listener = await anyio.to_thread.run_sync(bind, str(short_dir / "s"))
        async with living(listener, methods) as life, life.client() as wire:
            await wire.call(1, "stick")
            await anyio.wait_all_tasks_blocked()
            began = trio.current_time()
            life.lifecycle.shutdown("now")
            assert [line["error"]["data"]["name"] for line in await wire.lines()] == ["ShuttingDown"]
            await life.ended.wait()
            assert 8 <= trio.current_time() - began <= 10

    run_in_virtual_time(main)


def test_a_request_that_cannot_be_stopped_delays_the_end_and_is_still_answered(short_dir: Path) -> None:
    async def main() -> None:
        methods = Methods()

        async def stubborn(params: object) -> bytes:
            with anyio.CancelScope(shield=True):
                await anyio.sleep(30)
            return b"1"

        methods.extra["stubborn"] = stubborn
        listener = await anyio.to_thread.run_sync(bind, str(short_dir / "s"))
        async with living(listener, methods) as life, life.client() as wire:
            await wire.call(1, "stubborn")
            await wire.call(2, "echo")
            await wire.line()
            life.lifecycle.shutdown("now")
            await life.ended.wait()
            assert await wire.lines() == [{"jsonrpc": "2.0", "id": 1, "result": 1}]
            assert life.metrics.counters["limits.drain_seconds"] == 1

    run_in_virtual_time(main)


def test_a_client_that_takes_nothing_for_thirty_seconds_is_closed(short_dir: Path) -> None:
    async def main() -> None:
        listener = await anyio.to_thread.run_sync(bind, str(short_dir / "s"))
        async with living(listener, Methods()) as life, life.client() as wire:
            began = trio.current_time()
            await wire.call(1, "big", size=10 << 20)
            await anyio.sleep(29)
            assert life.lifecycle.gauges()["connections"] == 1
            await anyio.sleep(2)
            assert life.lifecycle.gauges()["connections"] == 0
            assert trio.current_time() - began < 32

    run_in_virtual_time(main)


# ---------------------------------------------------------------- other terms


@on_both
async def test_sighup_has_the_configuration_read_once_clients_are_let_in(short_dir: Path) -> None:
    loaded, ready, reloads = anyio.Event(), anyio.Event(), []

    async def reload() -> None:
        reloads.append(ready.is_set())
        lifecycle.shutdown("test")

    lifecycle = Lifecycle(
        await anyio.to_thread.run_sync(bind, str(short_dir / "s")),
        terms=Terms(limits=Limits(), backend="test"),
        metrics=Metrics(),
        notifier=Notifier(None),
        reload=reload,
    )
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(lambda: lifecycle.serve(Methods(), prepare=loaded.wait, ready=ready.set))
        await anyio.wait_all_tasks_blocked()
        os.kill(os.getpid(), signal.SIGHUP)
        await anyio.wait_all_tasks_blocked()
        assert reloads == []
        loaded.set()
    assert reloads == [True]


@on_both
async def test_a_reload_that_hangs_does_not_keep_the_daemon_from_ending(short_dir: Path) -> None:
    began = anyio.Event()

    async def reload() -> None:
        began.set()
        await anyio.sleep_forever()

    lifecycle = Lifecycle(
        await anyio.to_thread.run_sync(bind, str(short_dir / "s")),
        terms=Terms(limits=Limits(), backend="test"),
        metrics=Metrics(),
        notifier=Notifier(None),
        reload=reload,
    )
    ready = anyio.Event()
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(lambda: lifecycle.serve(Methods(), ready=ready.set))
        await ready.wait()
        os.kill(os.getpid(), signal.SIGHUP)
        await began.wait()
        os.kill(os.getpid(), signal.SIGTERM)


@on_both
async def test_new_limits_hold_for_new_connections_and_are_told(short_dir: Path) -> None:
    listener = await anyio.to_thread.run_sync(bind, str(short_dir / "s"))
    async with living(listener, Methods(), Limits(request_bytes=100)) as life, life.client() as old:
        await old.call(1, "echo")
        await old.line()
        life.lifecycle.revise(Limits(request_bytes=10_000, uid_connections=3), None)
        assert life.lifecycle.facts().limits["request_bytes"] == 10_000
        async with AsyncExitStack() as stack:
            new = await stack.enter_async_context(life.client())
            await new.call(1, "echo", text="x" * 1000)
            assert (await new.line())["id"] == 1
            for _ in range(3):
                last = await stack.enter_async_context(life.client())
            assert (await last.line())["error"]["data"]["name"] == "TooManyRequests"
        await old.call(2, "echo", text="x" * 1000)
        assert (await old.line())["error"]["data"]["name"] == "MessageTooLarge"


def test_another_idle_exit_holds_from_when_it_is_set(short_dir: Path) -> None:
    async def main() -> None:
        listener = await anyio.to_thread.run_sync(bind, str(short_dir / "s"))
        async with living(listener, Methods()) as life:
            await anyio.sleep(1000)
            life.lifecycle.revise(Limits(), 60)
            await anyio.sleep(50)
            life.lifecycle.revise(Limits(), 500)
            await anyio.sleep(450)
            assert not life.ended.is_set()
            await anyio.sleep(51)
            assert life.reason == "idle"

    run_in_virtual_time(main)
