"""What is passed on arrives as it was read, and what comes back is podman's."""

from __future__ import annotations

import hashlib
import json
import os
import socket
from pathlib import Path

import anyio
import pytest

from storaged.gateway.pass_rights import PassRights
from storaged.service.session import Credentials
from tests.support.connection import logged
from tests.support.fake_podman import fake_podman

from .passed import OTHER, passed

pytestmark = pytest.mark.anyio

ECHO = "/v1.44/containers/echo"


async def test_target_and_body_arrive_as_they_came(short_dir: Path) -> None:
    async with passed(short_dir) as one:
        target = "/v1.44/containers/a%2Fb/echo?x=%00&y=+&y"
        status, told = await one.ask("POST", target, "X-Registry-Auth: e30=", body=b"hello")
        assert (status, told["target"], told["size"]) == (200, target, 5)
        assert told["body"] == hashlib.sha256(b"hello").hexdigest()
        assert one.podman.seen[0].header(b"x-registry-auth") == [b"e30="]


async def test_a_connection_to_podman_serves_one_request_after_the_other(short_dir: Path) -> None:
    async with passed(short_dir) as one:
        for number in range(5):
            status, told = await one.ask("POST", f"{ECHO}?n={number}", body=b"x" * number)
            assert (status, told["size"]) == (200, number)
        assert one.podman.connections == 1


async def test_requests_sent_ahead_are_answered_in_their_order(short_dir: Path) -> None:
    async with passed(short_dir) as one:
        ahead = [f"GET {ECHO}?n={number} HTTP/1.1\r\nHost: d\r\n\r\n".encode() for number in range(20)]
        await one.wire.send(b"".join(ahead))
        for number in range(20):
            _, _, body = await one.wire.answer()
            assert json.loads(body)["target"] == f"{ECHO}?n={number}"


async def test_fields_of_one_connection_stay_on_it(short_dir: Path) -> None:
    async with passed(short_dir) as one:
        await one.ask("GET", ECHO, "Connection: keep-alive, X-Mine, Host", "X-Mine: 1", "Keep-Alive: 5", "TE: trailers")
        seen = one.podman.seen[0]
        assert seen.header(b"host") == [b"d"]
        for name in (b"x-mine", b"keep-alive", b"te", b"connection", b"upgrade"):
            assert seen.header(name) == []


@pytest.mark.parametrize("asked", ["Upgrade: tcp", "Connection: Upgrade\r\nUpgrade: h2c", "Connection: Upgrade"])
async def test_an_upgrade_that_is_not_checked_is_dropped(short_dir: Path, asked: str) -> None:
    async with passed(short_dir) as one:
        status, _ = await one.ask("GET", ECHO, *asked.split("\r\n"))
        assert status == 200
        assert one.podman.seen[0].header(b"upgrade") == []
        # The connection goes on.
        assert (await one.ask("GET", ECHO))[0] == 200


async def test_a_chunked_body_of_any_length_is_passed_on_as_it_comes(short_dir: Path) -> None:
    async with passed(short_dir) as one:
        await one.wire.send(f"POST {ECHO} HTTP/1.1\r\nHost: d\r\nTransfer-Encoding: chunked\r\n\r\n".encode())
        digest = hashlib.sha256()
        for number in range(64):
            piece = bytes([number]) * 50_000
            digest.update(piece)
            await one.wire.send(b"%x;ext=1\r\n%b\r\n" % (len(piece), piece))
        await one.wire.send(b"0\r\nTrailer: dropped\r\n\r\n")
        _, _, body = await one.wire.answer()
        assert json.loads(body)["body"] == digest.hexdigest()


async def test_podman_is_asked_before_a_body_is_sent(short_dir: Path) -> None:
    async with passed(short_dir) as one:
        head = f"POST {ECHO} HTTP/1.1\r\nHost: d\r\nExpect: 100-continue\r\nContent-Length: 3\r\n\r\n"
        await one.wire.send(head.encode())
        assert (await one.wire.head())[0] == 100
        await one.wire.send(b"abc")
        status, _, body = await one.wire.answer()
        assert (status, json.loads(body)["size"]) == (200, 3)


async def test_who_is_refused_before_the_body_hears_it_at_once(short_dir: Path) -> None:
    async with passed(short_dir) as one:
        head = "POST /v1.44/containers/early HTTP/1.1\r\nHost: d\r\nExpect: 100-continue\r\nContent-Length: 3\r\n\r\n"
        await one.wire.send(head.encode())
        status, _ = await one.wire.head()
        assert status == 500
        await one.wire.rest()


async def test_an_answer_before_the_end_of_the_body_is_passed_on(short_dir: Path) -> None:
    async with passed(short_dir) as one:
        await one.wire.send(b"POST /v1.44/containers/early HTTP/1.1\r\nHost: d\r\nContent-Length: 1000000\r\n\r\nsome")
        assert (await one.wire.head())[0] == 500


async def test_other_answers_of_the_first_kind_are_passed_on(short_dir: Path) -> None:
    async with passed(short_dir) as one:
        await one.wire.send(b"GET /v1.44/containers/hint HTTP/1.1\r\nHost: d\r\n\r\n")
        assert (await one.wire.head())[0] == 103
        assert (await one.wire.answer())[0] == 200
        await one.wire.send(b"GET /v1.44/containers/hint HTTP/1.0\r\n\r\n")
        assert (await one.wire.head())[0] == 200


async def test_each_object_of_a_stream_comes_when_it_is_there(short_dir: Path) -> None:
    async with passed(short_dir) as one:
        await one.wire.send(b"GET /v1.44/containers/lines HTTP/1.1\r\nHost: d\r\n\r\n")
        _, headers = await one.wire.head()
        assert headers["transfer-encoding"] == "chunked"
        assert await one.wire.until(b"}\n\r\n") == b'8\r\n{"n":0}\n\r\n'
        one.podman.release.set()
        assert await one.wire.until(b"0\r\n\r\n") == b'8\r\n{"n":1}\n\r\n8\r\n{"n":2}\n\r\n0\r\n\r\n'


async def test_http_1_0_is_answered_to_the_end_of_the_connection(short_dir: Path) -> None:
    async with passed(short_dir) as one:
        one.podman.release.set()
        await one.wire.send(b"GET /v3.4.0/libpod/containers/lines HTTP/1.0\r\nContent-Length: 0\r\n\r\n")
        assert await one.wire.until(b" ") == b"HTTP/1.0 "
        one.wire.read = b"HTTP/1.0 " + one.wire.read
        status, headers = await one.wire.head()
        assert (status, headers.get("transfer-encoding")) == (200, None)
        assert await one.wire.rest() == b'{"n":0}\n{"n":1}\n{"n":2}\n'


async def test_a_client_that_ended_its_requests_is_answered(short_dir: Path) -> None:
    async with passed(short_dir) as one:
        await one.wire.send(b"GET /v1.44/containers/wait HTTP/1.1\r\nHost: d\r\n\r\n")
        one.wire.socket.shutdown(socket.SHUT_WR)
        await one.podman.until(requests=1)
        one.podman.release.set()
        assert (await one.wire.answer())[2] == b"0\n"


@pytest.mark.parametrize("kind", ["wait", "lines"])
async def test_podman_gives_up_what_a_client_left(short_dir: Path, kind: str) -> None:
    async with passed(short_dir) as one:
        await one.wire.send(f"POST /v1.44/containers/{kind} HTTP/1.1\r\nHost: d\r\n\r\n".encode())
        await one.podman.until(requests=1)
        await one.wire.stream.aclose()
        await one.podman.until(open=0)
        await one.ended.wait()


async def test_a_body_that_breaks_off_does_not_end_well_for_podman(short_dir: Path) -> None:
    async with passed(short_dir) as one:
        await one.wire.send(f"POST {ECHO} HTTP/1.1\r\nHost: d\r\nContent-Length: 10\r\n\r\nhalf".encode())
        one.wire.socket.shutdown(socket.SHUT_WR)
        status, _ = await one.wire.head()
        assert status == 400
        await one.podman.until(open=0)
        assert [seen.body for seen in one.podman.seen] == [None]


async def test_a_chunk_that_is_none_is_refused_and_not_quoted(short_dir: Path) -> None:
    async with passed(short_dir) as one:
        await one.wire.send(f"POST {ECHO} HTTP/1.1\r\nHost: d\r\nTransfer-Encoding: chunked\r\n\r\nsecret\r\n".encode())
        status, _, body = await one.wire.answer()
        assert status == 400
        assert b"secret" not in body
        await one.podman.until(open=0)


@pytest.mark.parametrize(("kind", "status"), [("shut", 503), ("broken", 200)])
async def test_podman_breaking_off(short_dir: Path, kind: str, status: int) -> None:
    async with passed(short_dir) as one:
        await one.wire.send(f"POST /v1.44/containers/{kind} HTTP/1.1\r\nHost: d\r\n\r\n".encode())
        told, headers = await one.wire.head()
        assert told == status
        if kind == "broken":
            # What cannot be finished is seen to be unfinished.
            assert headers["content-length"] == "10"
            assert await one.wire.rest() == b"half"
        else:
            assert json.loads(await one.wire.exactly(int(headers["content-length"])))["response"] == 503
            assert (await one.ask("GET", ECHO))[0] == 200


async def test_a_connection_that_podman_closed_is_not_used_again(short_dir: Path) -> None:
    async with passed(short_dir) as one:
        assert (await one.ask("GET", "/v1.44/containers/last"))[0] == 200
        assert (await one.ask("POST", ECHO))[0] == 200
        assert one.podman.connections == 2


async def test_podman_that_was_started_anew_is_found(short_dir: Path) -> None:
    async with passed(short_dir) as one:
        assert (await one.ask("GET", ECHO))[0] == 200
        await anyio.Path(short_dir / "podman").unlink()
        async with fake_podman(short_dir / "podman") as new:
            one.upstream._kept[1].socket.shutdown(socket.SHUT_RDWR)
            assert (await one.ask("POST", ECHO))[0] == 200
            assert len(new.seen) == 1


# ---------------------------------------------------------------- who may, and where to


async def test_others_may_not(short_dir: Path) -> None:
    async with passed(short_dir, who=OTHER) as one:
        status, told = await one.ask("GET", ECHO)
        assert (status, told["response"], told["cause"]) == (403, 403, "not permitted")
        assert "uid 12345" in told["message"]
        assert one.podman.connections == 0


@pytest.mark.parametrize(
    "rights",
    [
        PassRights(own_uid=1, uids=frozenset({12_345})),
        PassRights(own_uid=1, gids=frozenset({12_345})),
        PassRights(own_uid=1, gids=frozenset({77})),
        PassRights(own_uid=12_345),
    ],
)
async def test_those_who_are_named_may(short_dir: Path, rights: PassRights) -> None:
    who = Credentials(pid=1, uid=12_345, gid=12_345, groups=frozenset({77}))
    async with passed(short_dir, who=who, rights=rights) as one:
        assert (await one.ask("GET", ECHO))[0] == 200


@pytest.mark.parametrize("path", [None, "nowhere"])
async def test_without_podman(short_dir: Path, path: str | None) -> None:
    async with passed(short_dir, path=path) as one:
        assert await one.ask("GET", "/v1.44/containers/json") == (200, [])
        assert (await one.ask("GET", "/v1.44/containers/x/json"))[0] == 404
        status, told = await one.ask("POST", "/v1.44/containers/create", body=b"{}")
        assert (status, told["response"]) == (501, 501)


async def test_what_is_no_socket_cannot_be_reached(short_dir: Path) -> None:
    async with passed(short_dir, path="x" * 120) as one:
        assert (await one.ask("GET", ECHO))[0] == 503


_TWO_WAYS = [
    (b"POST %b HTTP/1.1\r\nHost: d\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n", 400),
    (b"POST %b HTTP/1.0\r\nTransfer-Encoding: chunked\r\n", 400),
    (b"POST %b HTTP/1.1\r\nHost: d\r\nContent-Length: 3\r\nContent-Length: 4\r\n", 400),
    (b"POST %b HTTP/1.1\r\nHost: d\r\nTransfer-Encoding: gzip, chunked\r\n", 501),
    (b"CONNECT %b HTTP/1.1\r\nHost: d\r\n", 405),
]


@pytest.mark.parametrize(("head", "status"), _TWO_WAYS)
async def test_what_can_be_read_in_two_ways_is_refused(short_dir: Path, head: bytes, status: int) -> None:
    async with passed(short_dir) as one:
        await one.wire.send(
            head % ECHO.encode() + b"\r\n0\r\n\r\nGET /v1.44/containers/echo?smuggled HTTP/1.1\r\nHost: d\r\n\r\n"
        )
        assert (await one.wire.head())[0] == status
        await one.wire.rest()
        assert one.podman.seen == []


# ---------------------------------------------------------------- what is remembered and logged


async def test_a_read_after_a_change_must_be_strict(short_dir: Path) -> None:
    async with passed(short_dir) as one:
        changes = one.upstream.changes
        await one.ask("GET", ECHO)
        assert not changes.unseen
        await one.ask("POST", ECHO)
        assert changes.unseen
        changes.seen(changes.number)
        assert not changes.unseen
        one.podman.release.set()
        await one.wire.send(b"POST /v1.44/containers/lines HTTP/1.1\r\nHost: d\r\n\r\n")
        await one.wire.head()
        assert changes.unseen
        number = changes.number
        await one.wire.until(b"0\r\n\r\n")
        changes.seen(number)
        assert changes.unseen, "what came after the read began was not seen by it"


async def test_changes_leave_a_line_without_query_and_secrets(short_dir: Path) -> None:
    with logged("storaged") as log:
        async with passed(short_dir) as one:
            await one.ask("GET", ECHO)
            await one.ask("POST", ECHO + "?password=geheim", "X-Registry-Auth: geheim")
            await one.ask("DELETE", "/v1.44/containers/shut?password=geheim")
        await anyio.Path(short_dir / "podman").unlink()
        async with passed(short_dir, who=OTHER) as one:
            await one.ask("POST", "/v1.44/containers/create?password=geheim", body=b"{}")
    lines = [line for line in log.getvalue().splitlines() if "podman.pass" in line]
    uid = os.geteuid()
    assert f"audit method=podman.pass uid={uid}" in lines[0]
    assert "target=POST:/v1.44/containers/echo result=200" in lines[0]
    assert "target=DELETE:/v1.44/containers/shut result=503" in lines[1]
    assert "uid=12345 pid=4711 target=POST:/v1.44/containers/create result=403" in lines[2]
    assert "geheim" not in log.getvalue()


async def test_back_pressure(short_dir: Path) -> None:
    """A body that podman does not read stops its sender."""
    async with passed(short_dir) as one:
        one.wire.socket.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 16)
        await one.wire.send(b"POST /v1.44/containers/wait HTTP/1.1\r\nHost: d\r\nContent-Length: 5\r\n\r\nhello")
        await one.podman.until(requests=1)
        sent = 0
        with anyio.move_on_after(1):
            while True:
                await one.wire.send(b"x" * 65536)
                sent += 65536
        assert sent < 4 << 20
