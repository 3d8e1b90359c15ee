"""What is said where the daemon is of another version, and when nothing is."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import anyio
import anyio.to_thread
import pytest

import storaged_client
from storaged_client import version_mismatch
from storaged_client.contract.errors import ImageUnknown, InvalidParams, MethodNotFound, StoragedError
from storaged_client.contract.version import PROTOCOL, VERSION
from tests.support.server import Server

OLD = {"version": "0.0.1", "protocol": "0.9", "pid": 7, "socket": "/run/x"}
HINT = f"the daemon is storaged 0.0.1 (protocol 0.9), this client {VERSION} (protocol {PROTOCOL})"


class FromTheFuture(StoragedError):
    code = 3999


@pytest.fixture
def server(short_dir: Path) -> Iterator[Server]:
    answers = {
        "server.info": OLD,
        "server.new": MethodNotFound("there is no such method"),
        "images.list": InvalidParams("colour is unknown", {"path": "$.colour"}),
        "images.resolve": ImageUnknown("no such image"),
        "images.exists": {"generation": "g"},
        "server.ping": FromTheFuture("the moon is full", {"name": "FromTheFuture", "moon": "full"}),
    }
    with Server(str(short_dir / "s"), answers) as server:
        yield server


def test_a_hint_names_both_versions_and_the_command(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", "/nowhere")
    command = "to have the daemon installed here: storaged stop --socket /run/x"
    assert version_mismatch.hint(OLD, "/s") == f"{HINT}, which may be why; {command}"
    assert version_mismatch.hint(OLD, "/s", lacks=True) == f"{HINT}, and that version does not have it; {command}"
    assert version_mismatch.hint({"version": "0.0.1"}, "/s").endswith("storaged stop --socket /s")
    assert version_mismatch.hint({**OLD, "version": "100.0"}, "/s").endswith("; upgrade this client")


@pytest.mark.parametrize("info", [None, [], {}, {"version": 5}, {"version": VERSION, "protocol": "0.1"}])
def test_of_the_same_version_or_none_nothing_is_said(info: Any) -> None:
    assert version_mismatch.hint(info, "/s") == ""


@pytest.mark.parametrize("version", ["", "x", "1" * 5000, "0.0.1rc1", "\u0663.\u0661"])
def test_whatever_a_daemon_calls_its_version_is_told(version: str) -> None:
    assert f"storaged {version} (" in version_mismatch.hint({"version": version}, "/s")


def test_only_what_may_have_its_reason_in_the_version_is_explained(server: Server) -> None:
    with storaged_client.connect(server.path) as client:
        for method, kind in (("server.new", MethodNotFound), ("images.list", InvalidParams)):
            with pytest.raises(kind) as caught:
                client.call(method)
            assert HINT in str(caught.value)
            assert HINT not in caught.value.message  # which is what the daemon said
        with pytest.raises(ImageUnknown) as unknown:
            client.call("images.resolve")
        assert str(unknown.value) == "no such image"
        with pytest.raises(storaged_client.MalformedResult) as malformed:
            client.images.exists("x")
        assert HINT in str(malformed.value)
    assert server.connections == 1


def test_an_error_that_only_a_newer_daemon_knows_keeps_its_number_and_its_evidence(server: Server) -> None:
    with storaged_client.connect(server.path) as client, pytest.raises(StoragedError) as caught:
        client.call("server.ping")
    assert type(caught.value) is StoragedError
    assert caught.value.code == 3999
    assert caught.value.data == {"name": "FromTheFuture", "moon": "full"}
    assert caught.value.exit_status == 125


def test_a_notification_of_a_newer_daemon_is_passed_over(server: Server) -> None:
    def told(_: object) -> object:
        server.tell_all("$/news", {"of": "the day"})
        return {"exists": True, "generation": "g", "stale": None}

    server.answers["images.exists"] = told
    with storaged_client.connect(server.path) as client:
        assert client.images.exists("x")
        assert client.images.exists("x")
    assert server.connections == 1


def test_a_daemon_that_does_not_tell_its_version_delays_the_error_a_moment_and_no_more(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(version_mismatch, "PATIENCE", 0.05)
    server.holding.add("server.info")
    with storaged_client.connect(server.path) as client:
        with pytest.raises(MethodNotFound) as caught:
            client.call("server.new")
        assert str(caught.value) == "there is no such method"
        server.wait_for(lambda: server.cancelled)
        assert client.call("echo", [1]) == [1]


def test_the_question_about_the_version_takes_no_longer_than_the_caller_allows(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(version_mismatch, "PATIENCE", 3600.0)
    server.holding.add("server.info")
    with storaged_client.connect(server.path) as client:
        with pytest.raises(MethodNotFound) as caught:
            client.call("server.new", timeout=1.0)
        assert str(caught.value) == "there is no such method"


@pytest.mark.anyio
async def test_an_answer_of_the_daemon_is_not_lost_to_that_question(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(version_mismatch, "PATIENCE", 3600.0)
    server.holding.add("server.info")
    async with storaged_client.aconnect(server.path) as client:
        with pytest.raises(MethodNotFound) as caught:
            await client.call("server.new", timeout=1.0)
        assert str(caught.value) == "there is no such method"


def test_a_daemon_that_ends_before_it_told_its_version_leaves_the_error_as_it_is(server: Server) -> None:
    server.answers["server.info"] = "die"
    with storaged_client.connect(server.path) as client:
        with pytest.raises(MethodNotFound) as caught:
            client.call("server.new")
        assert str(caught.value) == "there is no such method"
        assert client.call("echo", [1]) == [1]


@pytest.mark.anyio
async def test_the_async_client_says_the_same_and_waits_no_longer(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with storaged_client.aconnect(server.path) as client:
        with pytest.raises(MethodNotFound) as caught:
            await client.call("server.new")
        assert HINT in str(caught.value)
        with pytest.raises(storaged_client.MalformedResult) as malformed:
            await client.images.exists("x")
        assert HINT in str(malformed.value)
        monkeypatch.setattr(version_mismatch, "PATIENCE", 0.05)
        server.holding.add("server.info")
        with pytest.raises(MethodNotFound) as silent:
            await client.call("server.new")
        assert str(silent.value) == "there is no such method"
        await anyio.to_thread.run_sync(server.wait_for, lambda: server.cancelled)
        server.holding.discard("server.info")
        server.answers["server.info"] = "die"
        with pytest.raises(MethodNotFound) as ended:
            await client.call("server.new")
        assert str(ended.value) == "there is no such method"
        assert await client.call("echo", [1]) == [1]


def test_the_names_of_the_clients_own_errors_are_of_the_package() -> None:
    for name in ("MalformedResult", "ForeignLoop", "VersionSkew", "OutcomeUnknown"):
        assert issubclass(getattr(storaged_client, name), Exception)
