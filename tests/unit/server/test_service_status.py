"""What the service manager hears in each part of a life, by the clock."""

from __future__ import annotations

import os
import socket
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from itertools import pairwise
from pathlib import Path

import anyio
import anyio.to_thread
import pytest
import trio
from anyio.to_thread import current_default_thread_limiter

from storaged.metrics import Metrics
from storaged.server.lifecycle import Lifecycle, Terms
from storaged.server.limits import Limits
from storaged.server.listener import bind
from storaged.server.service_status import ServiceStatus
from storaged.server.systemd import Notifier, watchdog
from tests.support.connection import Methods, Wire
from tests.support.virtual_time import run_in_virtual_time

on_both = pytest.mark.anyio


class Heard:
    """The datagrams that came, with the time of each."""

    def __init__(self, path: Path) -> None:
        self.all: list[tuple[float, str]] = []
        self.notifier = Notifier(str(path))
        self._news = anyio.Event()

    def texts(self, start: str) -> list[str]:
        return [text for _, text in self.all if text.startswith(start)]

    def times(self, start: str) -> list[float]:
        return [when for when, text in self.all if text.startswith(start)]

    async def listen(self, manager: socket.socket) -> None:
        while True:
            await anyio.wait_readable(manager)
            self.all.append((anyio.current_time(), manager.recv(1000).decode()))
            self._news.set()

    async def await_text(self, start: str, number: int = 1) -> str:
        # Without a deadline: virtual time would run to it while a worker thread is slow.
        while len(self.texts(start)) < number:
            self._news = anyio.Event()
            await self._news.wait()
        return self.texts(start)[number - 1]


@asynccontextmanager
async def manager(folder: Path) -> AsyncIterator[Heard]:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
        sock.bind(str(folder / "n"))
        sock.setblocking(False)
        heard = Heard(folder / "n")
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(heard.listen, sock)
            yield heard
            tasks.cancel_scope.cancel()
        heard.notifier.close()


def reporter(heard: Heard, **more) -> ServiceStatus:
    return ServiceStatus(heard.notifier, **{"watchdog": None, "status": str, "changes": (), **more})


async def lifecycle(heard: Heard, folder: Path, **more) -> Lifecycle:
    listener = await anyio.to_thread.run_sync(bind, str(folder / "s"))
    limits = more.pop("limits", Limits())
    idle_exit = more.pop("idle_exit", None)
    terms = Terms(limits=limits, backend="test", idle_exit=idle_exit)
    return Lifecycle(listener, terms=terms, metrics=Metrics(), notifier=heard.notifier, **more)


# ---------------------------------------------------------------- the watch


@on_both
async def test_the_manager_hears_that_the_daemon_is_well_again_and_again(short_dir: Path) -> None:
    async with manager(short_dir) as heard, anyio.create_task_group() as tasks:
        tasks.start_soon(reporter(heard, watchdog=0.03).prove_well)
        await heard.await_text("WATCHDOG=1\n", 5)
        tasks.cancel_scope.cancel()


def test_three_pings_come_in_each_interval(short_dir: Path) -> None:
    async def main() -> None:
        async with manager(short_dir) as heard, anyio.create_task_group() as tasks:
            tasks.start_soon(reporter(heard, watchdog=60.0).prove_well)
            await heard.await_text("WATCHDOG=1\n", 10)
            times = heard.times("WATCHDOG=1\n")
            assert [round(after - before) for before, after in pairwise(times[1:])] == [20] * 8
            tasks.cancel_scope.cancel()

    run_in_virtual_time(main)


@on_both
async def test_no_ping_is_sent_while_no_worker_thread_is_free(short_dir: Path) -> None:
    async with manager(short_dir) as heard, anyio.create_task_group() as tasks:
        threads = current_default_thread_limiter()
        held = [object() for _ in range(int(threads.total_tokens))]
        for one in held:
            threads.acquire_on_behalf_of_nowait(one)
        tasks.start_soon(reporter(heard, watchdog=0.03).prove_well)
        await anyio.sleep(0.2)
        assert heard.all == []
        for one in held:
            threads.release_on_behalf_of(one)
        await heard.await_text("WATCHDOG=1\n")
        tasks.cancel_scope.cancel()


def test_a_draining_daemon_goes_on_to_prove_that_it_is_well(short_dir: Path) -> None:
    async def main() -> None:
        methods = Methods()
        async with manager(short_dir) as heard:
            life = await lifecycle(heard, short_dir, watchdog=3.0, limits=Limits(drain_seconds=60_000))
            ready = anyio.Event()
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(lambda: life.serve(methods, ready=ready.set))
                await ready.wait()
                async with await anyio.connect_unix(str(short_dir / "s")) as stream:
                    await Wire(stream).call(1, "stick")
                    await anyio.wait_all_tasks_blocked()
                    life.shutdown("test")
                    await heard.await_text("STOPPING=1\n")
                    number = len(heard.texts("WATCHDOG=1\n"))
                    await heard.await_text("WATCHDOG=1\n", number + 10)
                    methods.release.set()

    run_in_virtual_time(main)


@pytest.mark.parametrize(
    ("environ", "seconds"),
    [
        ({"WATCHDOG_USEC": "60000000"}, 60.0),
        ({"WATCHDOG_USEC": "500000", "WATCHDOG_PID": "own"}, 0.5),
        ({"WATCHDOG_USEC": "500000", "WATCHDOG_PID": "1"}, None),
        ({"WATCHDOG_USEC": "0"}, None),
        ({"WATCHDOG_USEC": "-5"}, None),
        ({"WATCHDOG_USEC": "soon"}, None),
        ({"WATCHDOG_PID": "own"}, None),
        ({}, None),
    ],
)
def test_the_watch_is_kept_where_this_process_is_meant(environ: dict[str, str], seconds: float | None) -> None:
    environ = {name: value.replace("own", str(os.getpid())) for name, value in environ.items()}
    assert watchdog(environ) == seconds
    assert environ == {}


# ---------------------------------------------------------------- patience


def test_a_long_first_load_asks_for_patience_but_not_for_ever(short_dir: Path) -> None:
    async def main() -> None:
        async with manager(short_dir) as heard:
            life = await lifecycle(heard, short_dir, idle_exit=1)
            began = anyio.current_time()
            await life.serve(Methods(), prepare=lambda: anyio.sleep(2000))
            await heard.await_text("STOPPING=1\n")
            asked = [when - began for when in heard.times("EXTEND_TIMEOUT_USEC=20000000\n")]
            assert len(asked) == 180
            assert 4 < asked[0] < 6
            assert 895 < asked[-1] < 905
            assert max(later - earlier for earlier, later in pairwise(asked)) < 20
            assert heard.times("READY=1\n")[0] - began > 1999

    run_in_virtual_time(main)


def test_a_short_start_and_a_short_drain_ask_for_nothing(short_dir: Path) -> None:
    async def main() -> None:
        async with manager(short_dir) as heard:
            life = await lifecycle(heard, short_dir, idle_exit=100)
            await life.serve(Methods(), prepare=lambda: anyio.sleep(3))
            await heard.await_text("STOPPING=1\n")
            assert heard.texts("EXTEND_TIMEOUT_USEC=") == []

    run_in_virtual_time(main)


def test_a_long_drain_asks_for_patience_to_its_end(short_dir: Path) -> None:
    async def main() -> None:
        methods = Methods()
        async with manager(short_dir) as heard:
            life = await lifecycle(heard, short_dir, limits=Limits(drain_seconds=100, stall_seconds=1000))
            ready = anyio.Event()
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(lambda: life.serve(methods, ready=ready.set))
                await ready.wait()
                async with await anyio.connect_unix(str(short_dir / "s")) as stream:
                    await Wire(stream).call(1, "stick")
                    await anyio.wait_all_tasks_blocked()
                    began = anyio.current_time()
                    life.shutdown("test")
                    assert [line["error"]["data"]["name"] for line in await Wire(stream).lines()] == ["ShuttingDown"]
            asked = heard.times("EXTEND_TIMEOUT_USEC=")
            assert 18 <= len(asked) <= 20
            assert began < asked[0]
            assert anyio.current_time() - asked[-1] < 20

    run_in_virtual_time(main)


# ---------------------------------------------------------------- status


def test_each_change_is_told_once_and_no_more_than_one_a_second(short_dir: Path) -> None:
    async def main() -> None:
        number = 0
        changed = anyio.Event()

        async def change() -> None:
            nonlocal changed
            if changed.is_set():
                changed = anyio.Event()
            await changed.wait()

        async with manager(short_dir) as heard, anyio.create_task_group() as tasks:
            tasks.start_soon(reporter(heard, status=lambda: f"generation {number}", changes=(change,)).tell_status)
            for _ in range(30):
                number += 1
                changed.set()
                await anyio.sleep(0.3)
            await heard.await_text("STATUS=generation 30\n")
            times = heard.times("STATUS=")
            assert len(times) == len({text for _, text in heard.all}) <= 12
            assert all(later - earlier > 0.95 for earlier, later in pairwise(times))
            told = len(heard.all)
            await anyio.sleep(1000)
            assert len(heard.all) == told
            tasks.cancel_scope.cancel()

    run_in_virtual_time(main)


def test_a_status_is_told_again_where_the_managers_queue_was_full(short_dir: Path) -> None:
    async def main() -> None:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
            sock.bind(str(short_dir / "n"))
            sock.setblocking(False)
            heard = Heard(short_dir / "n")
            while heard.notifier.tell(FILLED=1):
                pass
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(reporter(heard, status=lambda: "well", changes=(trio.sleep_forever,)).tell_status)
                await anyio.sleep(10)
                tasks.start_soon(heard.listen, sock)
                await heard.await_text("STATUS=well\n")
                tasks.cancel_scope.cancel()
            heard.notifier.close()

    run_in_virtual_time(main)


@on_both
async def test_clients_that_come_and_go_are_told(short_dir: Path) -> None:
    async with manager(short_dir) as heard:
        life = await lifecycle(heard, short_dir, describe=lambda: "5 images, generation g")
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(life.serve, Methods())
            await heard.await_text("READY=1\nSTATUS=5 images, generation g, 0 clients\n")
            async with await anyio.connect_unix(str(short_dir / "s")):
                await heard.await_text("STATUS=5 images, generation g, 1 clients\n")
                number = len(heard.texts("STATUS=5 images, generation g, 0 clients\n"))
            await heard.await_text("STATUS=5 images, generation g, 0 clients\n", number + 1)
            life.shutdown("test")


# ---------------------------------------------------------------- reloading


@on_both
async def test_a_reload_begins_with_the_time_and_ends_with_ready(short_dir: Path) -> None:
    async with manager(short_dir) as heard:
        before = time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000
        async with reporter(heard, status=lambda: "well").reloading():
            told = await heard.await_text("RELOADING=1\n")
            number = int(told.removeprefix("RELOADING=1\nMONOTONIC_USEC="))
            assert before <= number <= time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000
            assert heard.texts("READY=1\n") == []
        assert await heard.await_text("READY=1\n") == "READY=1\nSTATUS=well\n"
