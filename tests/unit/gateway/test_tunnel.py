"""After 101, or the 200 by which podman takes the connection over, bytes go both ways until both ways have ended."""

from __future__ import annotations

import socket
from pathlib import Path

import anyio
import pytest

from .passed import Passed, passed

pytestmark = pytest.mark.anyio

UPGRADE = "Connection: Upgrade\r\nUpgrade: tcp\r\n"
ATTACH = "POST /v1.44/containers/attach?stream=1 HTTP/1.1\r\nHost: d\r\n"


async def _open(
    one: Passed, fields: str = UPGRADE, body: bytes = b"", ahead: bytes = b""
) -> tuple[int, dict[str, str]]:
    length = f"Content-Length: {len(body)}\r\n" if body else ""
    await one.wire.send(f"{ATTACH}{fields}{length}\r\n".encode() + body + ahead)
    status, headers = await one.wire.head()
    assert await one.wire.until(b"begin ") == b"begin "
    return status, headers


@pytest.mark.parametrize("upgrade", ["tcp", "WebSocket"])
async def test_an_upgrade_that_podman_agrees_to(short_dir: Path, upgrade: str) -> None:
    async with passed(short_dir) as one:
        status, headers = await _open(one, UPGRADE.replace("tcp", upgrade))
        assert (status, headers["connection"], headers["upgrade"]) == (101, "Upgrade", upgrade)
        assert headers["content-type"] == "application/vnd.docker.raw-stream"
        await one.wire.send(b"hello\n")
        assert await one.wire.until(b"\n") == b"HELLO\n"


async def test_a_connection_that_podman_takes_over_without_being_asked(short_dir: Path) -> None:
    async with passed(short_dir) as one:
        status, headers = await _open(one, "")
        assert (status, headers) == (200, {"content-type": "application/vnd.docker.raw-stream"})
        await one.wire.send(b"hello\n")
        assert await one.wire.until(b"\n") == b"HELLO\n"


@pytest.mark.parametrize("fields", [UPGRADE, ""])
async def test_an_old_client_is_answered_as_podman_answers(short_dir: Path, fields: str) -> None:
    async with passed(short_dir) as one:
        await one.wire.send(f"POST /v1.12/libpod/exec/attach HTTP/1.0\r\n{fields}Content-Length: 0\r\n\r\n".encode())
        head = await one.wire.until(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 101 UPGRADED\r\n" if fields else b"HTTP/1.1 200 OK\r\n")
        await one.wire.send(b"x\n")
        assert await one.wire.until(b"\n") == b"begin X\n"


@pytest.mark.parametrize("fields", [UPGRADE, ""])
async def test_what_came_with_the_request_belongs_to_the_tunnel(short_dir: Path, fields: str) -> None:
    async with passed(short_dir) as one:
        ahead = b"GET /v1.44/containers/echo HTTP/1.1\r\nHost: d\r\n\r\n"
        await _open(one, fields, body=b"{}", ahead=ahead)
        assert await one.wire.exactly(len(ahead)) == ahead.upper()
        assert [(seen.target, seen.size) for seen in one.podman.seen] == [("/v1.44/containers/attach?stream=1", 2)]


async def test_the_end_of_what_a_client_writes_is_passed_on_and_podman_may_go_on(short_dir: Path) -> None:
    async with passed(short_dir) as one:
        await _open(one)
        await one.wire.send(b"last")
        one.wire.socket.shutdown(socket.SHUT_WR)
        assert await one.wire.rest() == b"LASTend\n"
        await one.ended.wait()
        await one.podman.until(open=0)


async def test_podman_ends_first(short_dir: Path) -> None:
    async with passed(short_dir) as one:
        await _open(one)
        for stream in one.podman.streams:
            await stream.aclose()
        assert await one.wire.rest() == b""
        await one.wire.stream.aclose()
        await one.ended.wait()


async def test_a_client_that_goes_on_writing_to_podman_that_is_gone_is_not_stuck(short_dir: Path) -> None:
    async with passed(short_dir) as one:
        await _open(one)
        for stream in one.podman.streams:
            await stream.aclose()
        await one.wire.send(b"x" * (4 << 20))
        assert await one.wire.rest() == b""
        await one.wire.stream.aclose()
        await one.ended.wait()


async def test_what_a_client_wrote_before_it_left_arrives(short_dir: Path) -> None:
    async with passed(short_dir) as one:
        await _open(one)
        await one.wire.send(b"parting words")
        await one.wire.stream.aclose()
        await one.podman.until(open=0)
        assert one.podman.tunnelled == b"parting words"
        await one.ended.wait()


async def test_a_silent_podman_sees_that_the_client_left(short_dir: Path) -> None:
    async with passed(short_dir) as one:
        await _open(one)
        await one.wire.stream.aclose()
        await one.podman.until(open=0)
        await one.ended.wait()


async def test_much_both_ways_at_once(short_dir: Path) -> None:
    async with passed(short_dir) as one:
        await _open(one)
        piece = bytes(range(97, 123)) * 4000

        async def write() -> None:
            for _ in range(40):
                await one.wire.send(piece)
            one.wire.socket.shutdown(socket.SHUT_WR)

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(write)
            found = await one.wire.rest()
        assert found == piece.upper() * 40 + b"end\n"


async def test_a_slow_reader_stops_podman_and_loses_nothing(short_dir: Path) -> None:
    async with passed(short_dir) as one:
        await _open(one)
        with anyio.move_on_after(0.5):
            while True:
                await one.wire.send(b"y" * 65536)
        before = len(one.podman.tunnelled)
        assert before < 8 << 20
        one.wire.socket.shutdown(socket.SHUT_WR)
        found = await one.wire.rest()
        assert found.endswith(b"YYend\n")
        assert len(found) == len(one.podman.tunnelled) + 4


async def test_a_tunnel_is_counted_and_its_connection_is_never_used_again(short_dir: Path) -> None:
    async with passed(short_dir) as one:
        assert (await one.ask("GET", "/v1.44/containers/echo"))[0] == 200
        await _open(one)
        one.wire.socket.shutdown(socket.SHUT_WR)
        await one.wire.rest()
        await one.ended.wait()
        assert one.metrics.counters["gateway.tunnels"] == 1
        assert one.podman.open == 0


async def test_a_tunnel_before_the_whole_request_is_no_tunnel(short_dir: Path) -> None:
    async with passed(short_dir) as one:
        await one.wire.send(f"{ATTACH.replace('attach', 'hasty')}{UPGRADE}Content-Length: 10\r\n\r\nhalf".encode())
        assert (await one.wire.head())[0] == 502


async def test_a_drain_waits_for_a_tunnel_and_then_cuts_it(short_dir: Path) -> None:
    async with passed(short_dir) as one:
        await _open(one)
        one.connection.cut()
        await one.wire.send(b"still\n")
        assert await one.wire.until(b"\n") == b"STILL\n"
        one.connection.refuse_rest()
        assert await one.wire.rest() == b""
        await one.ended.wait()
        await one.podman.until(open=0)
        assert one.metrics.counters["connections.failed"] == 0


async def test_a_drain_waits_for_an_answer_of_podmans(short_dir: Path) -> None:
    async with passed(short_dir) as one:
        await one.wire.send(b"POST /v1.44/containers/wait HTTP/1.1\r\nHost: d\r\nContent-Length: 4\r\n\r\n")
        await one.podman.until(open=1)
        one.connection.cut()
        await one.wire.send(b"body")
        await one.podman.until(requests=1)
        one.podman.release.set()
        assert (await one.wire.answer())[0] == 200
        assert await one.wire.rest() == b""
