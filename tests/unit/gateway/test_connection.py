"""HTTP itself: versions, bodies, pipelining, ends, and what two readers could read differently."""

from __future__ import annotations

import anyio
import pytest

from storaged.server.limits import Limits
from tests.support.service import Desk

from .conftest import Echo, resting

pytestmark = pytest.mark.anyio

PING = b"GET /_ping HTTP/1.1\r\nHost: d\r\n\r\n"


async def test_requests_sent_ahead_are_answered_in_their_order(desk: Desk) -> None:
    async with resting(desk, upstream=Echo()) as rest, rest.client() as wire:
        await wire.send(PING + b"POST /containers/a HTTP/1.1\r\nHost: d\r\nContent-Length: 3\r\n\r\nabc" + PING)
        assert (await wire.reply()).body == b"OK"
        assert (await wire.reply()).body == b"POST /containers/a abc"
        assert (await wire.reply()).body == b"OK"


async def test_a_request_may_come_byte_by_byte(desk: Desk) -> None:
    async with resting(desk) as rest, rest.client() as wire:
        for byte in PING:
            await wire.send(bytes([byte]))
        assert (await wire.reply()).body == b"OK"


async def test_the_old_version_is_answered_in_its_own_words_and_with_an_end(desk: Desk) -> None:
    echo = Echo()
    async with resting(desk, upstream=echo) as rest, rest.client() as wire:
        await wire.send(b"GET /containers/stream HTTP/1.0\r\n\r\n")
        head, _, rest_of_it = (await wire.stream.receive()).partition(b"\r\n\r\n")  # whole: cockpit reads but once
        assert head.startswith(b"HTTP/1.0 200 OK\r\n")
        assert b"chunked" not in head
        echo.release.set()
        assert rest_of_it + await wire.end() == b"onetwo"


async def test_a_stream_is_sent_in_a_chunk_for_each_piece(desk: Desk) -> None:
    echo = Echo()
    async with resting(desk, upstream=echo) as rest, rest.client() as wire:
        await wire.send(b"GET /containers/stream HTTP/1.1\r\nHost: d\r\n\r\n")
        received = b""
        while not received.endswith(b"3\r\none\r\n"):
            received += await wire.stream.receive()
        echo.release.set()
        while not received.endswith(b"3\r\none\r\n3\r\ntwo\r\n0\r\n\r\n"):
            received += await wire.stream.receive()
        assert (await wire.get("/_ping")).body == b"OK"


async def test_who_stops_writing_still_gets_the_answer(desk: Desk) -> None:
    async with resting(desk) as rest, rest.client() as wire:
        await wire.send(PING)
        await wire.stream.send_eof()
        assert (await wire.reply()).body == b"OK"
        assert await wire.end() == b""


async def test_who_leaves_ends_what_waits_for_him(desk: Desk) -> None:
    echo = Echo()
    async with resting(desk, upstream=echo) as rest, rest.client() as wire:
        await wire.send(b"GET /containers/wait HTTP/1.1\r\nHost: d\r\n\r\n")
        await echo.begun.wait()
        await wire.stream.aclose()
        await echo.ended.wait()


async def test_a_body_is_asked_for_when_it_is_read(desk: Desk) -> None:
    async with resting(desk, upstream=Echo()) as rest, rest.client() as wire:
        head = b"POST /containers/a HTTP/1.1\r\nHost: d\r\nExpect: 100-continue\r\nContent-Length: 3\r\n\r\n"
        await wire.send(head)
        assert await wire.stream.receive() == b"HTTP/1.1 100 \r\n\r\n"
        await wire.send(b"abc")
        assert (await wire.reply()).body == b"POST /containers/a abc"


async def test_a_body_that_nobody_asked_for_ends_the_connection_where_100_was_waited_for(desk: Desk) -> None:
    async with resting(desk, upstream=Echo()) as rest, rest.client() as wire:
        reply = await wire.ask("POST", "/containers/ignored", Expect="100-continue", Content_Length="3")
        assert (reply.body, reply.headers["connection"]) == (b"ignored", "close")
        assert await wire.end() == b""


async def test_a_body_that_nobody_read_is_no_request(desk: Desk) -> None:
    async with resting(desk, upstream=Echo()) as rest, rest.client() as wire:
        assert (await wire.ask("POST", "/containers/ignored", PING)).body == b"ignored"
        assert (await wire.ask("POST", "/containers/a", b"x")).body == b"POST /containers/a x"


async def test_a_body_that_is_longer_than_may_be_held_is_told_so(desk: Desk) -> None:
    async with resting(desk, limits=Limits(request_bytes=4096), upstream=Echo()) as rest, rest.client() as wire:
        assert (await wire.ask("POST", "/containers/a", bytes(4096))).body.endswith(bytes(4096))
        assert rest.quotas.request_bytes == 0
        assert (await wire.ask("POST", "/containers/a", bytes(4097))).body == b"POST /containers/a too long"


async def test_a_head_that_does_not_come_whole_is_not_waited_for_for_ever(desk: Desk) -> None:
    async with resting(desk, limits=Limits(text_seconds=1)) as rest, rest.client() as wire:
        await wire.send(b"GET /_ping HTTP/1.1\r\n")
        assert (await wire.reply()).status == 408
        assert await wire.end() == b""
        assert rest.metrics.counters["limits.text_seconds"] == 1


async def test_who_does_not_read_is_dropped(desk: Desk) -> None:
    async with resting(desk, limits=Limits(stall_seconds=1), upstream=Echo()) as rest, rest.client() as wire:
        body = bytes(1 << 20)
        await wire.send(b"POST /containers/a HTTP/1.1\r\nHost: d\r\nContent-Length: %d\r\n\r\n" % len(body) + body)
        while not rest.metrics.counters["limits.stall_seconds"]:  # noqa: ASYNC110 - nothing is told on the wire
            await anyio.sleep(0.05)
        assert rest.quotas.in_flight == rest.quotas.bytes == 0


@pytest.mark.parametrize(
    "head",
    [
        b"GET /_ping HTTP/1.1\r\n\r\n",  # no Host
        b"GET /_ping HTTP/1.1\r\nHost: d\r\nHost: e\r\n\r\n",
        b"GET _ping HTTP/1.1\r\nHost: d\r\n\r\n",
        b"GET /%zz HTTP/1.1\r\nHost: d\r\n\r\n",
        b"POST /containers/a HTTP/1.1\r\nHost: d\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\nabcd",
        b"POST /containers/a HTTP/1.1\r\nHost: d\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        b"POST /containers/a HTTP/1.1\r\nHost: d\r\nTransfer-Encoding: chunked, chunked\r\n\r\n0\r\n\r\n",
        b"POST /containers/a HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        b"POST /containers/a HTTP/1.1\r\nHost: d\r\nContent-Length: +3\r\n\r\nabc",
        b"POST /containers/a HTTP/1.1\r\nHost: d\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        b"GET /_ping HTTP/1.1\r\nHost : d\r\n\r\n",
        b"GET /_ping HTTP/2.0\r\nHost: d\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\r\n\r\n",
    ],
)
async def test_what_could_be_read_in_two_ways_is_refused_and_nothing_after_it_is_read(desk: Desk, head: bytes) -> None:
    async with resting(desk, upstream=Echo()) as rest, rest.client() as wire:
        await wire.send(head + PING)
        reply = await wire.reply()
        assert reply.status in (400, 501, 505)
        assert reply.headers["connection"] == "close"
        assert await wire.end() == b""


async def test_a_head_of_a_mebibyte_is_read_and_a_longer_one_is_not(desk: Desk) -> None:
    async with resting(desk, upstream=Echo()) as rest, rest.client() as wire:
        start = b"GET /_ping HTTP/1.1\r\nHost: d\r\nX-Long: "
        await wire.send(start + b"x" * 1_000_000 + b"\r\n\r\n")
        assert (await wire.reply()).status == 200
        await wire.send(start)
        for _ in range(17):
            await wire.send(b"x" * 65536)
        assert (await wire.reply()).status == 431


@pytest.mark.parametrize("target", ["http://any.host/_ping", "HTTP://d:80/v1.44/_ping", "/_ping?x=%zz&y"])
async def test_targets_may_be_absolute_and_queries_anything(desk: Desk, target: str) -> None:
    async with resting(desk) as rest, rest.client() as wire:
        assert (await wire.get(target)).body == b"OK"


async def test_a_connection_that_is_cut_answers_what_was_sent(desk: Desk) -> None:
    async with resting(desk) as rest, rest.client() as wire:
        await wire.send(PING)
        rest.connections[0].cut()
        reply = await wire.reply()
        assert reply.body == b"OK"
        assert await wire.end() == b""


async def test_what_runs_when_the_daemon_ends_is_answered_503(desk: Desk) -> None:
    echo = Echo()
    async with resting(desk, upstream=echo) as rest, rest.client() as wire:
        await wire.send(b"GET /containers/wait HTTP/1.1\r\nHost: d\r\n\r\n")
        await echo.begun.wait()
        rest.connections[0].cut()
        rest.connections[0].refuse_rest()
        assert (await wire.reply()).status == 503
        assert await wire.end() == b""


async def test_a_budget_that_is_spent_is_429(desk: Desk) -> None:
    echo = Echo()
    async with (
        resting(desk, limits=Limits(uid_in_flight=1), upstream=echo) as rest,
        rest.client() as first,
        rest.client() as second,
    ):
        await first.send(b"GET /containers/wait HTTP/1.1\r\nHost: d\r\n\r\n")
        await echo.begun.wait()
        assert (await second.get("/_ping")).status == 429


async def test_a_reader_stays_in_its_budget_after_a_refused_change(desk: Desk) -> None:
    async with resting(desk) as rest, rest.client(uid=4242) as wire:
        refused = await wire.ask("POST", "/images/nosuch/tag?repo=a", b"")
        assert refused.status in (403, 404)
        rest.quotas.hold(4242, Limits().uid_bytes, beside=0)
        assert (await wire.get("/images/json")).status == 429


async def test_a_query_of_more_pairs_than_a_removal_can_name_is_refused(desk: Desk) -> None:
    async with resting(desk) as rest, rest.client() as wire:
        assert (await wire.get("/_ping?" + "&".join(["a"] * 16_384))).status == 200
        assert (await wire.get("/_ping?" + "&" * 16_384)).status == 400
        assert await wire.end() == b""


@pytest.mark.parametrize(
    "target",
    [
        pytest.param("/images/" + "%41" * 22_000 + "/json", id="path"),
        pytest.param("/images/json?filters=" + "%5B" * 66_000, id="query"),
    ],
)
async def test_a_target_that_takes_long_to_decode_is_refused(desk: Desk, target: str) -> None:
    async with resting(desk) as rest, rest.client() as wire:
        assert (await wire.get(target)).status == 400
        assert await wire.end() == b""


async def test_a_head_of_very_many_fields_is_refused_and_many_requests_are_not(desk: Desk) -> None:
    async with resting(desk) as rest, rest.client() as wire:
        ask = b"GET /_ping HTTP/1.1\r\nHost: d\r\n\r\n"
        await wire.send(ask * 1500)
        for _ in range(1500):
            assert (await wire.reply()).status == 200
        await wire.send(ask[:-2] + b"a:\r\n" * 4090 + b"\r\n")
        assert (await wire.reply()).status == 200
        await wire.send(ask[:-2] + b"a:\r\n" * 4100)
        assert (await wire.reply()).status == 431
        assert await wire.end() == b""
