from __future__ import annotations

import gc
import os
import signal
import socket
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

import storaged_client
from storaged_client.contract.errors import ImageUnknown, MessageTooLarge, ShuttingDown, StoreBusy
from storaged_client.errors import (
    ClientClosed,
    DaemonUnavailable,
    OutcomeUnknown,
    RequestTimeout,
    SocketForbidden,
)
from tests.support.server import Server


@pytest.fixture
def path(short_dir: Path) -> str:
    return str(short_dir / "s")


@pytest.fixture
def server(path: str) -> Iterator[Server]:
    with Server(path, {"images.resolve": ImageUnknown("no such image", {"name_asked": "x"})}) as server:
        yield server


def test_a_call_returns_the_raw_result(server: Server) -> None:
    with storaged_client.connect(server.path) as client:
        assert client.call("echo", {"a": [1, "é", None]}) == {"a": [1, "é", None]}
        assert client.call("echo", [1, 2]) == [1, 2]
        assert client.call("unknown") is None


def test_an_error_is_raised_by_its_name_with_its_evidence(server: Server) -> None:
    with storaged_client.connect(server.path) as client, pytest.raises(LookupError) as caught:
        client.call("images.resolve")
    assert type(caught.value) is ImageUnknown
    assert caught.value.data["name_asked"] == "x"


def test_a_large_reply_comes_whole(path: str) -> None:
    rows = [{"id": str(n) * 20} for n in range(50_000)]
    with Server(path, {"rows": rows}), storaged_client.connect(path) as client:
        assert client.call("rows") == rows


def test_threads_share_one_connection_and_each_gets_its_own_answer(server: Server) -> None:
    with storaged_client.connect(server.path) as client, ThreadPoolExecutor(16) as pool:
        answers = list(pool.map(lambda n: client.call("echo", {"n": n}), range(2_000)))
    assert answers == [{"n": n} for n in range(2_000)]
    assert server.connections == 1


def test_requests_of_threads_are_in_flight_together_and_answered_in_any_order(server: Server) -> None:
    with storaged_client.connect(server.path) as client, ThreadPoolExecutor(8) as pool:
        held = [pool.submit(client.call, "hold", {"n": n}) for n in range(7)]
        server.wait_for(lambda: len(server.held) == 7)
        assert client.call("echo", {"a": 1}) == {"a": 1}
        server.release()
        assert [one.result(timeout=10) for one in held] == ["released"] * 7
    assert server.connections == 1


def test_threads_that_fill_the_socket_both_ways_do_not_wait_for_each_other(server: Server) -> None:
    """The server does not read while it writes, as a daemon whose client reads nothing: somebody always has to."""
    with storaged_client.connect(server.path) as client, ThreadPoolExecutor(8) as pool:
        texts = [[str(n) * 300_000] for n in range(24)]
        assert list(pool.map(lambda text: client.call("echo", text), texts, timeout=20)) == texts
    assert server.connections == 1


def test_the_reader_that_leaves_hands_the_reading_on(server: Server) -> None:
    with storaged_client.connect(server.path) as client, ThreadPoolExecutor(2) as pool:
        first = pool.submit(client.call, "hold", timeout=0.2)
        server.wait_for(lambda: len(server.held) == 1)
        second = pool.submit(client.call, "hold")
        server.wait_for(lambda: len(server.held) == 2)
        with pytest.raises(RequestTimeout):
            first.result(timeout=10)
        server.release()
        assert second.result(timeout=10) == "released"


def test_a_call_that_takes_too_long_is_cancelled_at_the_daemon_and_its_late_answer_dropped(server: Server) -> None:
    with storaged_client.connect(server.path) as client:
        with pytest.raises(RequestTimeout):
            client.call("hold", timeout=0.05)
        server.wait_for(lambda: len(server.cancelled) == 1)
        server.release()
        assert client.call("echo", {"a": 1}) == {"a": 1}
    assert server.connections == 1


def test_the_clients_timeout_bounds_each_call(server: Server) -> None:
    with storaged_client.connect(server.path, timeout=0.05) as client, pytest.raises(TimeoutError) as caught:
        client.call("hold")
    assert caught.value.exit_status == 75  # type: ignore[attr-defined]


def test_a_daemon_that_reads_nothing_is_given_up(path: str) -> None:
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(path)
        listener.listen(1)
        with storaged_client.connect(path) as client:
            with pytest.raises(RequestTimeout):
                client.call("echo", {"a": "x" * 5_000_000}, timeout=0.05)
            with pytest.raises(RequestTimeout):
                client.call("echo", timeout=0.05)


def test_params_that_are_no_json_are_the_callers_mistake(server: Server) -> None:
    with storaged_client.connect(server.path) as client:
        with pytest.raises(TypeError):
            client.call("echo", {"a": object()})
        assert client.call("echo", {"a": 1}) == {"a": 1}


# ---------------------------------------------------------------- restarts


def test_a_read_survives_a_restart_in_mid_request(path: str) -> None:
    first = Server(path, {"server.info": "die"})
    with storaged_client.connect(path) as client, ThreadPoolExecutor(1) as pool:
        read = pool.submit(client.call, "server.info")
        first.wait_for(lambda: first.requests)
        first.stop()
        with Server(path, {"server.info": {"version": "2"}}) as second:
            assert read.result(timeout=10) == {"version": "2"}
            assert second.connections == 1


def test_a_mutation_that_got_no_answer_is_never_sent_again(server: Server) -> None:
    server.answers["server.shutdown"] = "die"
    with storaged_client.connect(server.path) as client:
        for method in ("server.shutdown", "die"):
            with pytest.raises(OutcomeUnknown):
                client.call(method)
        assert client.call("echo", [1]) == [1]
    assert [method for method, _ in server.requests] == ["server.shutdown", "die", "echo"]


def test_a_mutation_that_was_not_sent_goes_to_the_next_daemon(path: str) -> None:
    first = Server(path)
    with storaged_client.connect(path) as client:
        client.call("echo", [1])
        first.stop()
        with Server(path, {"server.shutdown": {"generation": "x"}}) as second:
            assert client.call("server.shutdown") == {"generation": "x"}
            assert second.requests == [("server.shutdown", None)]


def test_a_read_refused_by_a_daemon_that_ends_goes_to_the_next(server: Server) -> None:
    answers: list[object] = [ShuttingDown("ending"), {"version": "2"}]
    server.answers["server.info"] = lambda _: answers.pop(0)
    with storaged_client.connect(server.path) as client:
        assert client.call("server.info") == {"version": "2"}
    assert server.connections == 2


def test_a_mutation_refused_by_a_daemon_that_ends_is_the_callers_affair(server: Server) -> None:
    server.answers["server.shutdown"] = ShuttingDown("ending")
    with storaged_client.connect(server.path) as client, pytest.raises(ShuttingDown):
        client.call("server.shutdown")
    assert len(server.requests) == 1


def test_a_busy_store_is_not_asked_twice(server: Server) -> None:
    server.answers["images.list"] = StoreBusy("held")
    with storaged_client.connect(server.path) as client, pytest.raises(StoreBusy):
        client.call("images.list")
    assert len(server.requests) == 1


def test_a_daemon_that_stays_away_is_unavailable(path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("storaged_client.retry.WINDOW", 0.1)
    server = Server(path)
    with storaged_client.connect(path) as client:
        server.stop()
        with pytest.raises(DaemonUnavailable) as caught:
            client.call("server.info")
    assert caught.value.exit_status == 69


def test_all_threads_survive_a_restart_with_one_new_connection(path: str) -> None:
    first = Server(path)
    first.holding.add("server.ping")
    with storaged_client.connect(path) as client, ThreadPoolExecutor(8) as pool:
        reads = [pool.submit(client.call, "server.ping") for _ in range(8)]
        first.wait_for(lambda: len(first.held) == 8)
        first.stop()
        with Server(path, {"server.ping": {"generation": "g"}}) as second:
            assert [read.result(timeout=10) for read in reads] == [{"generation": "g"}] * 8
            assert second.connections == 1


def test_a_request_that_is_too_large_is_told_and_the_others_go_on(server: Server) -> None:
    with storaged_client.connect(server.path) as client:
        with pytest.raises(MessageTooLarge):
            client.call("server.info", {"a": "x" * 1_100_000})
        assert client.call("echo", [1]) == [1]


def test_what_is_no_json_rpc_is_unavailable(path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("storaged_client.retry.WINDOW", 0.05)
    with socket.socket(socket.AF_UNIX) as listener, storaged_client.Client(path) as client:
        listener.bind(path)
        listener.listen(64)

        def greet() -> None:
            while True:
                try:
                    channel, _ = listener.accept()
                except OSError:
                    return
                with channel:
                    channel.sendall(b"220 mail.example.org ESMTP\r\n")
                    channel.recv(1000)

        thread = threading.Thread(target=greet)
        thread.start()
        with pytest.raises(DaemonUnavailable):
            client.call("server.info")
        listener.shutdown(socket.SHUT_RDWR)
        thread.join()


# ---------------------------------------------------------------- the end


def test_without_a_daemon_connect_says_so_at_once(path: str) -> None:
    with pytest.raises(DaemonUnavailable):
        storaged_client.connect(path)


def test_a_socket_nobody_listens_on_is_no_daemon(path: str) -> None:
    with socket.socket(socket.AF_UNIX) as left_over:
        left_over.bind(path)
    with pytest.raises(DaemonUnavailable):
        storaged_client.connect(path)


@pytest.mark.skipif(os.geteuid() != 0, reason="another uid is needed")
def test_a_forbidden_socket_is_a_permission_error_and_starts_nothing(short_dir: Path) -> None:
    os.chmod(short_dir, 0o700)
    with Server(str(short_dir / "s")) as server:
        os.seteuid(65534)
        try:
            with pytest.raises(SocketForbidden) as caught:
                storaged_client.connect(server.path, spawn=True)
        finally:
            os.seteuid(0)
    assert isinstance(caught.value, PermissionError)
    assert caught.value.exit_status == 77


def test_a_closed_client_refuses_calls_and_ends_those_that_run(server: Server) -> None:
    client = storaged_client.connect(server.path)
    with ThreadPoolExecutor(2) as pool:
        held = [pool.submit(client.call, "hold") for _ in range(2)]
        server.wait_for(lambda: len(server.held) == 2)
        client.close()
        for one in held:
            with pytest.raises(ClientClosed):
                one.result(timeout=10)
    client.close()
    with pytest.raises(ClientClosed):
        client.call("echo")


def test_no_descriptor_is_left_behind(path: str) -> None:
    def count() -> int:
        gc.collect()
        return len(os.listdir("/proc/self/fd"))

    before = count()
    for _ in range(5):
        server = Server(path)
        client = storaged_client.connect(path)
        client.call("echo", [1])
        server.stop()
        with Server(path):
            client.call("echo", [1])
            client.close()
    assert count() == before


def test_a_forked_child_has_a_connection_of_its_own(server: Server) -> None:
    with storaged_client.connect(server.path) as client, ThreadPoolExecutor(1) as pool:
        held = pool.submit(client.call, "hold")
        server.wait_for(lambda: server.held)
        reader, writer = os.pipe()
        child = os.fork()
        if child == 0:  # pragma: no cover
            signal.alarm(10)
            try:
                os.write(writer, b"yes" if client.call("echo", ["child"]) == ["child"] else b"no")
            finally:
                os._exit(0)
        os.close(writer)
        assert os.read(reader, 10) == b"yes"
        os.close(reader)
        os.waitpid(child, 0)
        server.release()
        assert held.result(timeout=10) == "released"
        assert client.call("echo", ["parent"]) == ["parent"]
    assert server.connections == 2
