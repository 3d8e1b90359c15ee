"""A daemon holds under little stress of each kind; one with a mistake is found out by it."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path

import pytest

from tests.acceptance.stress import connections, cuts, fuzz_socket, soak
from tests.acceptance.stress.examples import examples, requests
from tests.acceptance.stress.fuzz import corpus
from tests.acceptance.stress.inputs import Input
from tests.acceptance.stress.reference import Message
from tests.support.daemon import BACKENDS, MIB, on_sample, serving
from tests.support.report import Report

_PROGRAM = "tests.acceptance.stress.mistakes"

pytestmark = pytest.mark.timeout(150)


@pytest.mark.parametrize("backend", BACKENDS)
def test_inputs_through_a_socket_are_answered_as_the_reference_says(backend: str) -> None:
    report = Report(timed=False)
    with on_sample(10, seed=1, backend=backend) as (daemon, _):
        fuzz_socket.fuzz(report, daemon, seed=1, count=50, corpus=corpus())
        cuts.into_socket(report, daemon, requests(examples())[:1] * 10)
    assert report.violations == []


@pytest.mark.parametrize(
    ("mistake", "sign"),
    [
        ("keeps-descriptors", "a descriptor is still open"),
        ("breaks", "the daemon made a mistake"),
        ("hangs", "no end in"),
    ],
)
def test_a_daemon_with_a_mistake_is_found_out_by_the_fuzzer(
    mistake: str, sign: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if mistake == "hangs":
        monkeypatch.setattr(fuzz_socket, "_PATIENCE", 2.0)
    report = Report(timed=False)
    with on_sample(10, seed=1, backend="trio", program=(_PROGRAM, mistake)) as (daemon, _):
        fuzz_socket.fuzz(report, daemon, seed=1, count=100, corpus=corpus(), most=1)
    assert any(sign in text for text in report.violations), report.violations


def _ping(id: int) -> dict[str, object]:
    return {"jsonrpc": "2.0", "id": id, "method": "server.ping"}


def _pong(id: object) -> dict[str, object]:
    return {"jsonrpc": "2.0", "id": id, "result": {}}


def _error(id: object, code: int) -> dict[str, object]:
    return {"jsonrpc": "2.0", "id": id, "error": {"code": code}}


@pytest.mark.parametrize(
    ("sent", "replies", "right"),
    [
        ([_ping(1), _ping(2)], [_pong(2), _pong(1)], True),
        ([_ping(1), _ping(2)], [_pong(1)], False),
        ([_ping(1)], [_pong(1), _pong(1)], False),
        ([_ping(1)], [_pong("1")], False),
        ([_ping(1)], [_error(1, -32603)], False),
        ([_ping(1)], [_error(1, 3001)], True),
        ([[_ping(1), 5]], [[_pong(1), _error(None, -32600)]], True),
        ([[_ping(1), 5]], [[_error(None, -32600), _pong(1)]], False),
        ([[_ping(1)]], [_pong(1)], False),
        ([[]], [_error(None, -32600)], True),
        ([{**_ping(1), "fds": 1}], [_error(None, -32050)], True),
        ([{**_ping(1), "fds": 1}], [_pong(1)], False),
    ],
)
def test_answers_are_judged_by_the_reference(sent: list[object], replies: list[object], right: bool) -> None:
    messages = tuple(Message(data=json.dumps(each).encode()) for each in sent)
    found = fuzz_socket.wrong_in(fuzz_socket.Exchange(replies=replies), Input(kind="x", messages=messages))
    assert (found == "") == right, found


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_crowd_of_bad_clients_leaves_nothing_behind(backend: str) -> None:
    report = Report(timed=False)
    connections.run(report, backend, seed=1, scale=0.004, hold=0.1)
    assert report.violations == []


@pytest.mark.parametrize(
    ("mistake", "sign"),
    [("keeps-memory", "grown by"), ("breaks", "crowd")],
)
def test_a_daemon_with_a_mistake_is_found_out_by_the_crowd(mistake: str, sign: str) -> None:
    report = Report(timed=False)
    connections.run(report, "asyncio", seed=1, scale=0.004, hold=0.1, program=(_PROGRAM, mistake))
    assert any(sign in text for text in report.violations), report.violations


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_short_soak_meets_no_error(backend: str) -> None:
    report = Report(timed=False)
    # Too short for a slope: the daemon is still filling its caches.
    soak.run(report, backend, seed=1, seconds=3, first=1, writer="own", most=20 * MIB)
    assert report.violations == []


def test_a_daemon_that_leaks_is_found_out_by_the_soak() -> None:
    report = Report(timed=False)
    soak.run(report, "trio", seed=1, seconds=4, first=1, writer="own", program=(_PROGRAM, "keeps-memory"))
    assert any("the daemon grows" in text for text in report.violations), report.violations


def test_a_daemon_that_does_not_start_says_why(short_dir: Path) -> None:
    (short_dir / "root").write_text("no folder")
    with pytest.raises(RuntimeError, match="no line"), serving(short_dir, backend="trio"):
        pass


def test_the_memory_and_the_descriptors_are_those_of_the_daemon() -> None:
    with on_sample(5, seed=1, backend="trio") as (daemon, _):
        before = daemon.settled_descriptors()
        clients = [daemon.client() for _ in range(3)]
        deadline = time.monotonic() + 5
        while daemon.descriptors() < before + 3 and time.monotonic() < deadline:
            time.sleep(0.02)
        assert daemon.descriptors() >= before + 3
        for client in clients:
            client.close()
        assert daemon.settled_descriptors() == before
        status = Path(f"/proc/{daemon.process.pid}/status").read_text()
        (resident,) = (int(line.split()[1]) for line in status.splitlines() if line.startswith("VmRSS"))
        assert abs(daemon.memory - resident * 1024) < 4 * MIB
        assert os.path.samefile(f"/proc/{daemon.process.pid}/cwd", Path.cwd())
