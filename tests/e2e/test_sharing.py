"""One client shared as far as it goes: a thousand threads, forks of its process, a second event loop."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import storaged_client
from tests.e2e.test_changes import lay
from tests.support.daemon import Daemon, serving

pytestmark = pytest.mark.timeout(120)
"""Several processes a test: on a busy machine each start takes seconds."""

THREADS = 1000
BACKENDS = pytest.mark.parametrize("backend", ["trio", "asyncio"])


@pytest.fixture
def daemon(short_dir: Path) -> Iterator[Daemon]:
    lay(short_dir)
    with serving(short_dir) as daemon:
        yield daemon


@BACKENDS
def test_a_thousand_threads_on_one_client_get_each_its_own_answer_by_one_connection(
    short_dir: Path, backend: str
) -> None:
    names = sorted(lay(short_dir).images)
    begin = threading.Barrier(THREADS)
    wrong: list[Any] = []
    answered: Counter[str] = Counter()
    size = threading.stack_size(256 * 1024)

    def ask(client: storaged_client.Client, name: str) -> None:
        begin.wait(60)
        for _ in range(3):
            try:
                found = client.call("images.resolve", {"name": name})["id"]
            except (storaged_client.StoragedError, storaged_client.ClientError) as error:
                found = error
            if found != wanted[name]:
                wrong.append(found)
            answered[name] += 1

    with serving(short_dir, "--backend", backend) as daemon, storaged_client.connect(daemon.path) as client:
        wanted = {name: client.call("images.resolve", {"name": name})["id"] for name in names}
        assert len(set(wanted.values())) > 10
        threads = [
            threading.Thread(target=ask, args=(client, names[n % len(names)]), daemon=True) for n in range(THREADS)
        ]
        try:
            for thread in threads:
                thread.start()
        finally:
            threading.stack_size(size)
            for thread in threads:
                if thread.ident is not None:
                    thread.join(90)
        assert wrong == []
        assert answered.total() == 3 * THREADS
        gauges = client.call("server.stats")["gauges"]
        assert gauges["connections"] == 1
        assert gauges["requests_in_flight"] == 1


def run(code: str, *arguments: str) -> None:
    """In a process of its own: what is forked in a test's process would run the rest of the tests."""
    done = subprocess.run(
        [sys.executable, "-W", "error", "-W", "ignore::DeprecationWarning", "-c", code, *arguments],
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert (done.returncode, done.stderr) == (0, ""), done.stdout


_CHILDREN = """
import os, sys, threading, time, storaged_client

client = storaged_client.connect(sys.argv[1])
client.call("server.ping")
ended, asked = threading.Event(), []

def ask():
    while not ended.is_set():
        asked.append(len(client.call("images.list", {"fields": ["id"]})["images"]))

def child(depth):
    # Whatever the threads of the parent held at this moment stays held here.
    for _ in range(20):
        assert client.call("images.list", {"fields": ["id"]})["images"]
    own = client.call("server.stats")["gauges"]["connections"]
    assert own >= 2, own
    if depth:
        wait(fork(depth - 1))
    assert client.call("server.ping")

def fork(depth):
    pid = os.fork()
    if pid == 0:
        status = 1
        try:
            child(depth)
            status = 0
        finally:
            os._exit(status)
    return pid

def wait(pid):
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0

threads = [threading.Thread(target=ask) for _ in range(4)]
for thread in threads:
    thread.start()
own = client._connection
for round in range(5):
    for pid in [fork(1) for _ in range(4)]:
        wait(pid)
ended.set()
for thread in threads:
    thread.join()
assert asked and client.call("server.ping")
assert client._connection is own  # the parent's own connection has survived all of it
deadline = time.monotonic() + 10
while client.call("server.stats")["gauges"]["connections"] > 1:  # those of the children end a moment after them
    assert time.monotonic() < deadline
    time.sleep(0.01)
client.close()
"""


def test_forked_children_and_theirs_have_connections_of_their_own_and_the_parents_threads_notice_nothing(
    daemon: Daemon,
) -> None:
    run(_CHILDREN, daemon.path)


_IN_MID_CALL = """
import os, sys, storaged_client

client = storaged_client.connect(sys.argv[1])
children = []

def fork(progress):
    if children:
        return
    pid = os.fork()
    children.append(pid)
    if pid == 0:
        # This very call belongs to the parent; the child is to learn it and may go on with others.
        try:
            assert client.call("server.ping")
            os._exit(0)
        finally:
            os._exit(1)

report = client.store.check(progress=fork)
assert children and report.generation
assert os.waitstatus_to_exitcode(os.waitpid(children[0], 0)[1]) == 0
client.close()
"""


def test_a_fork_in_the_middle_of_a_call_leaves_the_call_to_the_parent(daemon: Daemon) -> None:
    run(_IN_MID_CALL, daemon.path)


_ASYNC = """
import os, sys, threading, anyio, storaged_client
from storaged_client.errors import ForeignLoop

def in_child(client, path):
    found = []
    def use():
        async def ask():
            try:
                await client.call("server.ping")
            except ForeignLoop as error:
                found.append(str(error))
            async with storaged_client.aconnect(path) as own:
                found.append(await own.call("server.ping"))
        anyio.run(ask, backend=sys.argv[2])
    thread = threading.Thread(target=use)  # the loop of the thread that forked is the parent's
    thread.start()
    thread.join()
    assert "before a fork" in found[0], found
    assert found[1]["generation"]
    with storaged_client.connect(path) as blocking:
        assert blocking.call("server.ping")

async def main():
    path = sys.argv[1]
    async with storaged_client.aconnect(path) as client:
        await client.call("server.ping")
        async with anyio.create_task_group() as tasks:
            for _ in range(4):
                tasks.start_soon(client.call, "images.list")
            await anyio.sleep(0)
            pid = os.fork()
            if pid == 0:
                status = 1
                try:
                    in_child(client, path)
                    status = 0
                finally:
                    os._exit(status)
            ended = await anyio.to_thread.run_sync(os.waitpid, pid, 0)
            assert os.waitstatus_to_exitcode(ended[1]) == 0
        assert (await client.call("server.stats"))["gauges"]["connections"] == 1

import anyio.to_thread
anyio.run(main, backend=sys.argv[2])
"""


@BACKENDS
def test_the_async_client_says_in_a_forked_child_that_it_is_the_parents_and_serves_the_parent_on(
    daemon: Daemon, backend: str
) -> None:
    run(_ASYNC, daemon.path, backend)


_TWO_LOOPS = """
import sys, anyio, storaged_client
from storaged_client.errors import ClientClosed, ForeignLoop

client = storaged_client.aconnect(sys.argv[1])

async def enter():
    try:
        await client.call("server.ping")
    except ClientClosed as error:
        assert "async with" in str(error)
    else:
        raise AssertionError
    await client.__aenter__()
    assert await client.call("server.ping")
    await anyio.to_thread.run_sync(other_loop)
    assert await client.call("server.ping")
    await client.__aexit__(None, None, None)

def other_loop():
    anyio.run(use, backend=sys.argv[2])

async def use():
    try:
        await client.call("server.ping")
    except ForeignLoop:
        return
    raise AssertionError("it was used in another loop")

import anyio.to_thread
anyio.run(enter, backend=sys.argv[2])
"""


@BACKENDS
def test_the_async_client_refuses_another_loop_before_it_would_wait_for_ever(daemon: Daemon, backend: str) -> None:
    run(_TWO_LOOPS, daemon.path, backend)
