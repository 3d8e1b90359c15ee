"""Every limit of a real daemon, reached through its socket: what happens there, that it is counted, and that who
comes next is served."""

from __future__ import annotations

import fcntl
import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from attrs import fields, frozen

from storaged.sample import SampleSpec, write_store
from storaged.server.limits import Limits
from tests.support.client import Client
from tests.support.daemon import PATIENCE, Daemon, serving

IMAGES = 40
MANY_IMAGES = 700
"""Their rows take more than a mebibyte, the least that ``reply_bytes`` may be."""

_CONNECT = """
import socket, sys
sock = socket.socket(socket.AF_UNIX)
sock.connect(sys.argv[1])
while data := sock.recv(65536):
    sys.stdout.buffer.write(data)
"""


@frozen(kw_only=True)
class Reached:
    """A daemon with the one limit set so low that it can be reached."""

    daemon: Daemon
    client: Client
    """A connection that stays, and does nothing that reaches a limit."""
    folder: Path
    image: str

    @contextmanager
    def writer(self) -> Iterator[None]:
        """Somebody holds the lock of the images for writing: changes begin, and do not end."""
        with open(self.folder / "root" / "overlay-images" / "images.lock", "r+b") as file:
            fcntl.lockf(file, fcntl.LOCK_EX)
            yield

    def tag(self, client: Client, number: int, *, size: int = 100) -> None:
        """Ask for a change; its text is some 170 bytes longer than ``size``."""
        tags = [f"t{number}:{name:095d}" for name in range(size // 100)]
        client.ask("images.tag", {"name": self.image, "tags": tags}, id=number)

    def until_counted(self, name: str) -> None:
        deadline = time.monotonic() + PATIENCE
        while not self.counted(name):
            assert time.monotonic() < deadline, f"{name} was not counted"
            time.sleep(0.01)

    def counted(self, name: str) -> int:
        return int(self.client.call("server.stats")["counters"][f"limits.{name}"])


def error(answer: dict[str, Any]) -> str:
    return str(answer["error"]["data"]["name"])


def flood(client: Client) -> None:
    """Ask for far more than the socket holds, and read nothing of it."""
    for number in range(100):
        client.ask("images.list", id=number)


def one_too_many(it: Reached) -> None:
    with it.daemon.client() as second:
        (answer,) = second.lines()
        assert (error(answer), answer["error"]["code"]) == ("TooManyRequests", -32001)


def one_too_many_of_another_process(it: Reached) -> None:
    command = [sys.executable, "-c", _CONNECT, it.daemon.path]
    told = subprocess.run(command, capture_output=True, check=True, timeout=PATIENCE)
    answer = json.loads(told.stdout)
    assert (error(answer), answer["error"]["code"]) == ("TooManyRequests", -32001)


def long_request(it: Reached) -> None:
    with it.daemon.client() as client:
        client.ask("images.exists", {"name": "x" * 5000})
        (answer,) = client.lines()
        assert (error(answer), answer["error"]["code"]) == ("MessageTooLarge", -32002)


def long_reply(it: Reached) -> None:
    with it.daemon.client() as client:
        assert error(client.request("images.list")) == "TooLarge"
        assert len(client.call("images.list", limit=3)["images"]) == 3


def descriptors(it: Reached) -> None:
    with it.daemon.client() as client:
        client.write(b'{"jsonrpc":"2.0","id":1,"method":"server.ping","fds":3}\n')
        (answer,) = client.lines()
        assert answer["error"]["code"] == -32050


def long_batch(it: Reached) -> None:
    with it.daemon.client() as client:
        client.write(json.dumps([{"jsonrpc": "2.0", "id": n, "method": "server.ping"} for n in range(3)]).encode())
        assert client.line()["error"]["code"] == -32600
        assert client.call("server.ping")


def in_flight(it: Reached) -> None:
    with it.daemon.client() as client:
        with it.writer():
            for number in range(7):
                it.tag(client, number)
            it.until_counted("in_flight")
        assert {client.line()["id"] for _ in range(7)} == set(range(7))


def in_flight_bytes(it: Reached) -> None:
    with it.daemon.client() as client:
        with it.writer():
            it.tag(client, 1, size=2000)
            it.tag(client, 2, size=2000)
            client.ask("server.ping", id=3)
            it.until_counted("in_flight_bytes")
        assert {client.line()["id"] for _ in range(3)} == {1, 2, 3}


def waiting_bytes(it: Reached) -> None:
    with it.daemon.client() as client:
        flood(client)
        it.until_counted("waiting_bytes")
        assert {client.line()["id"] for _ in range(100)} == set(range(100))


def stalled(it: Reached) -> None:
    with it.daemon.client() as client:
        flood(client)
        it.until_counted("stall_seconds")
        with pytest.raises((ConnectionResetError, AssertionError)):
            client.lines()  # up to an end in the middle of an answer


def unfinished(it: Reached) -> None:
    with it.daemon.client() as client:
        assert client.call("server.ping")
        client.write(b'{"jsonrpc":"2.0","id":1,')
        (answer,) = client.lines()
        assert (error(answer), answer["error"]["code"]) == ("ParseError", -32700)


def spent_in_flight(it: Reached) -> None:
    with it.daemon.client() as busy, it.daemon.client() as sister:
        with it.writer():
            for number in range(3):
                it.tag(busy, number)
            busy.ask("server.ping", id=3)
            assert error(busy.line()) == "TooManyRequests"
            assert sister.call("server.ping")
        assert {busy.line()["id"] for _ in range(3)} == {0, 1, 2}


def spent_bytes(it: Reached) -> None:
    with it.daemon.client() as client:
        flood(client)
        it.until_counted("uid_bytes")
        answers = [client.line() for _ in range(100)]
        assert {error(answer) for answer in answers if "error" in answer} == {"TooManyRequests"}
        assert any("result" in answer for answer in answers)


def spent_request_bytes(it: Reached) -> None:
    with it.daemon.client() as first, it.daemon.client() as second:
        with it.writer():
            it.tag(first, 1, size=2100)
            first.ask("server.ping", id=2)
            assert error(first.line()) == "TooManyRequests"
            second.ask("images.exists", {"name": "x" * 2000})
            assert error(second.line()) == "TooManyRequests"
        assert first.line()["id"] == 1


def all_in_flight(it: Reached) -> None:
    with it.daemon.client() as busy, it.daemon.client() as sister, it.daemon.client() as third:
        with it.writer():
            for number in range(4):
                it.tag(busy, number)
                it.tag(sister, number + 4)
            deadline = time.monotonic() + PATIENCE
            while "result" in (answer := third.request("server.ping")):  # until all eight have come
                assert time.monotonic() < deadline
            assert error(answer) == "TooManyRequests"
        assert {busy.line()["id"] for _ in range(4)} == set(range(4))
        assert {sister.line()["id"] for _ in range(4)} == set(range(4, 8))


def all_bytes(it: Reached) -> None:
    with it.daemon.client() as client:
        flood(client)
        answers = [client.line() for _ in range(100)]
        assert {error(answer) for answer in answers if "error" in answer} == {"TooManyRequests"}
        assert any("result" in answer for answer in answers)


def all_request_bytes(it: Reached) -> None:
    with it.daemon.client() as first, it.daemon.client() as second:
        with it.writer():
            it.tag(first, 1, size=2100)
            first.ask("server.ping", id=2)
            assert first.line()["result"]
            second.ask("images.exists", {"name": "x" * 2000})
            assert error(second.line()) == "TooManyRequests"
        assert first.line()["id"] == 1


def many_cursors(it: Reached) -> None:
    with it.daemon.client() as client:
        first, second = (client.call("images.list", limit=1)["next_cursor"] for _ in range(2))
        assert error(client.request("images.list", {"cursor": first})) == "GenerationGone"
        assert client.call("images.list", cursor=second)["images"]


def old_cursor(it: Reached) -> None:
    with it.daemon.client() as client:
        cursor = client.call("images.list", limit=1)["next_cursor"]
        it.until_counted("cursor_seconds")
        assert error(client.request("images.list", {"cursor": cursor})) == "GenerationGone"


def plan(client: Client) -> str:
    return str(client.call("images.prune", dry_run=True)["plan"])


def many_plans(it: Reached) -> None:
    with it.daemon.client() as client:
        first, second = plan(client), plan(client)
        assert error(client.request("images.prune", {"plan": first})) == "PlanStale"
        assert client.call("images.prune", plan=second)["removed"]


def old_plan(it: Reached) -> None:
    with it.daemon.client() as client:
        made = plan(client)
        time.sleep(1.1)
        assert error(client.request("images.prune", {"plan": made})) == "PlanStale"


def many_leases(it: Reached) -> None:
    with it.daemon.client() as client:
        for expected in (1, 0):
            answer = client.request("store.lease", {"images": [it.image]})
            assert ("result" in answer) is bool(expected)
        assert error(answer) == "TooManyRequests"
        assert answer["error"]["data"]["what"] == "leases"


def many_leased(it: Reached) -> None:
    with it.daemon.client() as client:
        images = [image["id"] for image in client.call("images.list")["images"]]
        assert error(client.request("store.lease", {"images": images[:3]})) == "TooManyRequests"
        assert client.call("store.lease", images=images[:1])


CASES: dict[str, tuple[dict[str, int], Callable[[Reached], None]]] = {
    # Of two connections of the daemon one is for another uid.
    "connections": ({"connections": 2, "uid_connections": 2}, one_too_many_of_another_process),
    "uid_connections": ({"uid_connections": 2}, one_too_many),
    "request_bytes": ({"request_bytes": 4096}, long_request),
    "reply_bytes": ({"reply_bytes": 1 << 20}, long_reply),
    "descriptors": ({"descriptors": 2}, descriptors),
    "batch": ({"batch": 2}, long_batch),
    "in_flight": ({"in_flight": 5}, in_flight),
    "in_flight_bytes": ({"in_flight_bytes": 4096}, in_flight_bytes),
    "waiting_bytes": ({"waiting_bytes": 20_000}, waiting_bytes),
    "stall_seconds": ({"stall_seconds": 1}, stalled),
    "text_seconds": ({"text_seconds": 1}, unfinished),
    "uid_in_flight": ({"uid_in_flight": 6, "in_flight": 4}, spent_in_flight),
    "uid_bytes": ({"uid_bytes": 1 << 20, "reply_bytes": 1 << 20}, spent_bytes),
    "uid_request_bytes": ({"uid_request_bytes": 4096, "request_bytes": 4096}, spent_request_bytes),
    "total_in_flight": ({"total_in_flight": 8, "in_flight": 4}, all_in_flight),
    "total_bytes": ({"total_bytes": 1 << 20, "reply_bytes": 1 << 20}, all_bytes),
    "total_request_bytes": ({"total_request_bytes": 4096, "request_bytes": 4096}, all_request_bytes),
    "total_cursors": ({"total_cursors": 1}, many_cursors),
    "total_plans": ({"total_plans": 1}, many_plans),
    "total_leases": ({"total_leases": 1}, many_leases),
    "total_leased_images": ({"total_leased_images": 2}, many_leased),
    "cursors": ({"cursors": 1}, many_cursors),
    "cursor_seconds": ({"cursor_seconds": 1}, old_cursor),
    "plans": ({"plans": 1}, many_plans),
    "plan_seconds": ({"plan_seconds": 1}, old_plan),
    "leases": ({"leases": 1}, many_leases),
    "leased_images": ({"leased_images": 2}, many_leased),
}


# After ``drain_seconds`` there is no daemon to be asked: tests/unit/server/test_lifecycle.py counts it.
@pytest.mark.parametrize("name", [limit.name for limit in fields(Limits) if limit.name != "drain_seconds"])
def test_a_limit_that_is_reached_is_kept_and_counted_and_the_next_client_is_served(short_dir: Path, name: str) -> None:
    spec = SampleSpec(images=MANY_IMAGES if name == "reply_bytes" else IMAGES, seed=1)
    image = sorted(write_store(short_dir / "root", short_dir / "run", spec).dangling)[0]
    limits, reach = CASES[name]
    text = "".join(f"{limit} = {value}\n" for limit, value in limits.items())
    (short_dir / "storaged.toml").write_text(f"[limits]\n{text}")
    with serving(short_dir, "--config", str(short_dir / "storaged.toml")) as daemon, daemon.client() as client:
        it = Reached(daemon=daemon, client=client, folder=short_dir, image=image)
        client.settle()
        assert client.call("server.info")["limits"].items() >= limits.items()
        assert it.counted(name) == 0
        reach(it)
        assert it.counted(name) > 0
        assert client.call("images.list", limit=1)["images"]
