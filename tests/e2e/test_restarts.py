"""Daemons that end in the middle of a client's request, real ones, with a drain or without."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

import anyio
import pytest
from anyio.to_thread import run_sync as run

import storaged_client
from storaged_client import retry
from storaged_client.errors import ClientClosed, OutcomeUnknown
from tests.e2e.homes import Home, home, until
from tests.support.client import Client
from tests.support.daemon import PATIENCE, STORAGED, Daemon
from tests.support.ground import HOLD

pytestmark = pytest.mark.timeout(120)
"""Several processes a test: on a busy machine each start takes seconds."""

ENDS = pytest.mark.parametrize("end", [signal.SIGTERM, signal.SIGKILL], ids=lambda number: number.name)
BACKENDS = pytest.mark.parametrize("backend", ["trio", "asyncio"])


@pytest.fixture(autouse=True)
def patience(monkeypatch: pytest.MonkeyPatch) -> None:
    """A client waits longer for the next daemon than a busy machine takes to start it."""
    monkeypatch.setattr(retry, "WINDOW", 60.0)


class Site:
    """A store and its daemon, which comes and goes; ``audited`` tells what all of them logged."""

    def __init__(self, user: Home, backend: str) -> None:
        self.user = user
        self.path = user.path
        self.sample = user.lay()
        self._daemons: list[Daemon] = []
        self._config = user.folder / "storaged.toml"
        self._config.write_text("[limits]\ndrain_seconds = 2\n")
        self._backend = backend
        os.makedirs(os.path.dirname(user.path), 0o700, exist_ok=True)

    def begin(self) -> int:
        """Start a daemon; its pid, when it listens."""
        flags = ["--socket", self.path, "--backend", self._backend, "--config", str(self._config)]
        daemon = Daemon([*STORAGED, "serve", *flags], self.path, self.user.environ)
        self._daemons.append(daemon)
        daemon.await_line("ready: ", patience=55)
        return daemon.pid

    def end(self, number: signal.Signals) -> None:
        """End it and wait until it has."""
        self._daemons[-1].signal(number)
        self._daemons[-1].await_exit()

    def close(self) -> None:
        for daemon in self._daemons:
            daemon.close()

    def in_flight(self) -> int:
        with Client(self.path) as client:
            # One of them is this question.
            return int(client.call("server.stats")["gauges"]["requests_in_flight"]) - 1

    @contextmanager
    def being_written(self) -> Iterator[None]:
        """Another process is in the middle of a change: what needs the present state waits for it."""
        images = self.user.folder / "root" / "overlay-images"
        process = subprocess.Popen(
            [sys.executable, "-c", HOLD, str(images / "images.lock")], stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        try:
            assert process.stdout is not None
            assert process.stdout.read(4) == b"held"
            os.utime(images / "images.json")
            yield
        finally:
            process.communicate(b"", PATIENCE)

    def audited(self) -> list[str]:
        """The targets of all mutations that any daemon was sent."""
        return [
            line.partition("target=")[2].partition(" result=")[0]
            for daemon in self._daemons
            for line in daemon.log.splitlines()
            if "audit method=" in line and "target=" in line
        ]


@pytest.fixture
def site(short_dir: Path, request: pytest.FixtureRequest) -> Iterator[Site]:
    with home(short_dir) as user:
        params = request.node.callspec.params
        site = Site(user, params.get("backend") or params["anyio_backend"])
        try:
            site.begin()
            yield site
        finally:
            site.close()


STRICT = {"consistency": "strict", "timeout": 60}


@ENDS
@BACKENDS
def test_reads_in_flight_when_a_daemon_ends_are_answered_by_the_next(site: Site, backend: str, end: Any) -> None:
    with storaged_client.connect(site.path) as client, ThreadPoolExecutor(8) as pool:
        with site.being_written():
            reads = [pool.submit(client.call, "images.list", STRICT) for _ in range(8)]
            until(lambda: site.in_flight() == 8)
            site.end(end)
            assert not any(read.done() for read in reads)
            site.begin()
        for read in reads:
            assert len(read.result(timeout=20)["images"]) > 0


@BACKENDS
def test_a_thousand_threads_on_one_client_survive_a_killed_daemon(site: Site, backend: str) -> None:
    answers: list[int] = []

    def read(client: storaged_client.Client) -> None:
        answers.append(len(client.call("images.list", STRICT)["images"]))

    size = threading.stack_size(256 * 1024)
    try:
        with storaged_client.connect(site.path) as client:
            threads = [threading.Thread(target=read, args=(client,)) for _ in range(1000)]
            with site.being_written():
                for thread in threads:
                    thread.start()
                until(lambda: site.in_flight() == 64)  # as many as the daemon reads of one connection
                site.end(signal.SIGKILL)
                site.begin()
            for thread in threads:
                thread.join(60)
            assert len(answers) == 1000
            assert all(answers)
            assert client.call("server.stats")["gauges"]["connections"] == 1
    finally:
        threading.stack_size(size)


@ENDS
@BACKENDS
def test_a_mutation_in_flight_when_a_daemon_ends_is_never_sent_to_the_next(site: Site, backend: str, end: Any) -> None:
    image = sorted(site.sample.dangling)[0]
    with storaged_client.connect(site.path) as client, ThreadPoolExecutor(1) as pool:
        with site.being_written():
            tag = pool.submit(client.images.tag, image, ["app:1"], timeout=60)
            until(lambda: site.in_flight() == 1)
            site.end(end)
            # What heeds the signal says that nothing was done; what was killed says nothing.
            with pytest.raises(OutcomeUnknown if end == signal.SIGKILL else storaged_client.ShuttingDown):
                tag.result(timeout=20)
            site.begin()
        assert client.images.resolve(image).id == image
        with pytest.raises(storaged_client.ImageUnknown):
            client.images.resolve("app:1")
        assert site.audited() == ([] if end == signal.SIGKILL else [f"{image},app:1"])


@pytest.mark.timeout(180)
@BACKENDS
def test_under_load_six_restarts_cost_no_read_and_do_no_mutation_twice(site: Site, backend: str) -> None:
    image = sorted(site.sample.dangling)[0]
    outcomes: dict[str, str] = {}
    ended = False

    def read(client: storaged_client.Client) -> int:
        count = 0
        while not ended:
            assert len(client.call("images.list", {"fields": ["id"]})["images"]) > 0
            count += 1
        return count

    def tag(client: storaged_client.Client, worker: int) -> int:
        count = 0
        while not ended:
            name = f"w{worker}:{count}"
            try:
                client.images.tag(image, [name])
                outcomes[name] = "done"
            except storaged_client.ShuttingDown:
                outcomes[name] = "refused"
            except OutcomeUnknown:
                outcomes[name] = "unknown"
            count += 1
            time.sleep(0.002)
        return count

    with storaged_client.connect(site.path) as client, ThreadPoolExecutor(8) as pool:
        working: list[Future[int]] = [pool.submit(read, client) for _ in range(5)]
        working += [pool.submit(tag, client, worker) for worker in range(3)]
        try:
            for number in [signal.SIGTERM, signal.SIGKILL] * 3:
                before = len(outcomes)
                until(lambda before=before: len(outcomes) > before + 5, 60)  # type: ignore[misc]
                site.end(number)
                site.begin()
        finally:
            ended = True
        assert all(one.result(timeout=60) for one in working)
    table = json.loads((site.user.folder / "root" / "overlay-images" / "images.json").read_text())
    names = {name.removeprefix("localhost/") for record in table for name in record.get("names") or []}
    named = {name for name in outcomes if name in names}
    assert {name for name, outcome in outcomes.items() if outcome == "done"} <= named
    assert not {name for name, outcome in outcomes.items() if outcome == "refused"} & named
    audited = site.audited()
    assert len(audited) == len(set(audited))


@BACKENDS
def test_closing_the_blocking_client_ends_the_calls_of_its_threads(site: Site, backend: str) -> None:
    with site.being_written(), ThreadPoolExecutor(8) as pool:
        client = storaged_client.connect(site.path)
        reads = [pool.submit(client.call, "images.list", STRICT) for _ in range(8)]
        until(lambda: site.in_flight() == 8)
        client.close()
        for read in reads:
            with pytest.raises(ClientClosed):
                read.result(timeout=20)
        until(lambda: site.in_flight() == 0)


# ---------------------------------------------------------------- the async client, on both loops


@asynccontextmanager
async def being_written(site: Site) -> AsyncIterator[None]:
    writing = site.being_written()
    await run(writing.__enter__)
    try:
        yield
    finally:
        with anyio.CancelScope(shield=True):
            await run(writing.__exit__, None, None, None)


async def until_in_flight(site: Site, number: int) -> None:
    await run(until, lambda: site.in_flight() == number)


@pytest.mark.anyio
async def test_tasks_of_the_async_client_survive_a_restart_in_mid_request(site: Site) -> None:
    answers: list[int] = []

    async def read() -> None:
        answers.append(len((await client.call("images.list", STRICT))["images"]))

    async def mutate() -> None:
        with pytest.raises(OutcomeUnknown):
            await client.images.tag(sorted(site.sample.dangling)[0], ["app:1"], timeout=60)

    # Left in this order: what was to be written is, the tasks have ended, the client is closed.
    async with (
        storaged_client.aconnect(site.path) as client,
        anyio.create_task_group() as tasks,
        being_written(site),
    ):
        for _ in range(8):
            tasks.start_soon(read)
        tasks.start_soon(mutate)
        await until_in_flight(site, 9)
        await run(site.end, signal.SIGKILL)
        await run(site.begin)
    assert len(answers) == 8
    assert all(answers)
    assert await run(site.audited) == []


@pytest.mark.anyio
async def test_a_cancelled_task_ends_its_request_at_the_daemon_and_no_other(site: Site) -> None:
    answers: list[int] = []

    async def read() -> None:
        answers.append(len((await client.call("images.list", STRICT))["images"]))

    # Left in this order: what was to be written is, the tasks have ended, the client is closed.
    async with (
        storaged_client.aconnect(site.path) as client,
        anyio.create_task_group() as tasks,
        being_written(site),
    ):
        tasks.start_soon(read)
        async with anyio.create_task_group() as cancelled:
            for _ in range(8):
                cancelled.start_soon(read)
            await until_in_flight(site, 9)
            cancelled.cancel_scope.cancel()
        await until_in_flight(site, 1)
        assert answers == []
        await client.call("server.ping")
    assert len(answers) == 1


@pytest.mark.anyio
async def test_closing_the_async_client_ends_the_calls_of_tasks_outside_its_block(site: Site) -> None:
    ends: list[str] = []

    async def read(client: storaged_client.AsyncClient) -> None:
        with pytest.raises(ClientClosed):
            await client.call("images.list", STRICT)
        ends.append("closed")

    async with being_written(site), anyio.create_task_group() as tasks:
        async with storaged_client.aconnect(site.path) as client:
            for _ in range(8):
                tasks.start_soon(read, client)
            await until_in_flight(site, 8)
        with pytest.raises(ClientClosed):
            await client.call("server.ping")
        await until_in_flight(site, 0)
    assert ends == ["closed"] * 8
