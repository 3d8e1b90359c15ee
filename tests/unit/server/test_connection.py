"""One connection over a real socket pair: what is answered, in which order, and how it ends."""

from __future__ import annotations

import fcntl
import json
import os
import socket
import threading
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import anyio
import pytest
from anyio.abc import SocketAttribute

from storaged.metrics import Metrics
from storaged.server.limits import Limits
from storaged.server.quotas import Quotas
from tests.support.connection import Methods, served
from tests.support.virtual_time import run_in_virtual_time

pytestmark = pytest.mark.anyio


async def until(condition) -> None:
    with anyio.fail_after(30):
        while not condition():  # noqa: ASYNC110 - it looks at the other task's state, which tells nobody
            await anyio.sleep(0.002)


async def test_the_first_request_is_answered_without_a_handshake() -> None:
    async with served(Methods()) as it:
        await it.wire.call(1, "echo", a=1)
        assert await it.wire.line() == {"jsonrpc": "2.0", "id": 1, "result": {"a": 1}}


async def test_replies_come_in_the_order_of_completion() -> None:
    methods = Methods()
    async with served(methods) as it:
        await it.wire.call("slow", "stick")
        await it.wire.call("quick", "echo")
        assert (await it.wire.line())["id"] == "quick"
        methods.release.set()
        assert (await it.wire.line())["id"] == "slow"


async def test_an_error_of_the_contract_bears_its_number_name_and_evidence() -> None:
    async with served(Methods()) as it:
        await it.wire.call(1, "unknown", name="x")
        error = (await it.wire.line())["error"]
        assert error == {"code": 1001, "message": "no such image", "data": {"image": "x", "name": "ImageUnknown"}}


async def test_a_mistake_in_a_method_is_one_internal_error_and_the_connection_goes_on(caplog) -> None:
    async with served(Methods()) as it:
        await it.wire.call(1, "broken")
        error = (await it.wire.line())["error"]
        assert (error["code"], error["data"]["name"]) == (-32603, "InternalError")
        assert "ZeroDivisionError" not in error["message"]
        await it.wire.call(2, "echo")
        assert (await it.wire.line())["id"] == 2
    assert "ZeroDivisionError" in caplog.text


async def test_a_cancelled_request_is_answered_once_with_its_own_error() -> None:
    methods = Methods()
    async with served(methods) as it:
        await it.wire.call(1, "stick")
        await until(lambda: methods.begun)
        await it.wire.send({"jsonrpc": "2.0", "method": "$/cancelRequest", "params": {"id": 1}})
        answer = await it.wire.line()
        assert (answer["id"], answer["error"]["code"]) == (1, -32800)
        await it.wire.call(2, "echo")
        assert (await it.wire.line())["id"] == 2


async def test_a_request_cancelled_in_the_same_write_is_answered_once() -> None:
    async with served(Methods()) as it:
        await it.wire.send(
            {"jsonrpc": "2.0", "id": 1, "method": "stick", "params": {}},
            {"jsonrpc": "2.0", "method": "$/cancelRequest", "params": {"id": 1}},
            {"jsonrpc": "2.0", "method": "$/cancelRequest", "params": {"id": "other"}},
            {"jsonrpc": "2.0", "id": 2, "method": "echo", "params": {}},
        )
        answers = {line["id"]: line for line in [await it.wire.line(), await it.wire.line()]}
        assert answers[1]["error"]["code"] == -32800
        assert answers[2]["result"] == {}


async def test_a_request_that_finishes_in_spite_of_its_cancellation_answers_with_its_result() -> None:
    methods = Methods()

    async def commit(params: object) -> bytes:
        with anyio.CancelScope(shield=True):
            await methods.release.wait()
        return b'"committed"'

    methods.extra["commit"] = commit
    async with served(methods) as it:
        await it.wire.call(1, "commit")
        await until(lambda: methods.begun)
        await it.wire.send({"jsonrpc": "2.0", "method": "$/cancelRequest", "params": {"id": 1}})
        await anyio.wait_all_tasks_blocked()
        methods.release.set()
        assert (await it.wire.line())["result"] == "committed"


async def test_a_half_closed_client_still_gets_every_answer() -> None:
    methods = Methods()
    async with served(methods) as it:
        for number in range(5):
            await it.wire.call(number, "stick" if number % 2 else "echo")
        await it.wire.stream.send_eof()
        await until(lambda: len(methods.begun) == 5)
        methods.release.set()
        assert {line["id"] for line in await it.wire.lines()} == set(range(5))
        await it.ended.wait()


async def test_closing_cancels_every_request() -> None:
    methods = Methods()
    async with served(methods) as it:
        for number in range(3):
            await it.wire.call(number, "stick")
        await until(lambda: len(methods.begun) == 3)
        await it.wire.stream.aclose()
        with anyio.fail_after(5):
            await it.ended.wait()
        assert len(methods.ended) == 3
        assert (it.quotas.in_flight, it.quotas.bytes) == (0, 0)


async def test_closing_after_a_half_close_cancels_every_request() -> None:
    methods = Methods()
    async with served(methods) as it:
        await it.wire.call(1, "stick")
        await it.wire.stream.send_eof()
        await until(lambda: methods.begun)
        await anyio.wait_all_tasks_blocked()
        assert not it.ended.is_set()
        await it.wire.stream.aclose()
        with anyio.fail_after(5):
            await it.ended.wait()
        assert len(methods.ended) == 1


async def test_closing_ends_a_connection_that_does_not_read_because_it_is_full() -> None:
    methods = Methods()
    async with served(methods, Limits(in_flight=2)) as it:
        for number in range(4):
            await it.wire.call(number, "stick")
        await until(lambda: len(methods.begun) == 2)
        await it.wire.stream.aclose()
        with anyio.fail_after(5):
            await it.ended.wait()
        assert len(methods.ended) == len(methods.begun) == 2


async def test_reading_stops_at_the_limit_and_goes_on_below_it() -> None:
    methods = Methods()
    async with served(methods) as it:
        for number in range(100):
            await it.wire.call(number, "stick")
        await until(lambda: len(methods.begun) == 64)
        await anyio.wait_all_tasks_blocked()
        assert len(methods.begun) == 64
        assert it.quotas.in_flight == 64
        methods.release.set()
        assert {(await it.wire.line())["id"] for _ in range(100)} == set(range(100))


async def test_a_client_that_never_reads_stops_being_read() -> None:
    methods = Methods()
    size = 100_000
    async with served(methods) as it:
        with anyio.move_on_after(0.3):
            for number in range(5000):
                await it.wire.call(number, "big", size=size)
        assert len(methods.begun) * size < (1 << 20) + 64 * size
        assert it.quotas.bytes <= (1 << 20) + 64 * size


async def test_a_client_that_reads_no_refusal_stops_being_read() -> None:
    async with served(Methods()) as it:
        with anyio.move_on_after(0.3):
            while True:
                await it.wire.stream.send(b"[]" * 4096)
        await anyio.wait_all_tasks_blocked()
        # What the socket holds besides is the kernel's: some hundred answers, and no thousands of objects of ours.
        assert it.connection._send_queue.waiting <= 64
        assert it.metrics.counters["limits.in_flight"] == 1
        with anyio.fail_after(30):
            for _ in range(2000):
                assert (await it.wire.line())["error"]["code"] == -32600


async def test_a_peer_that_takes_nothing_is_closed() -> None:
    async with served(Methods(), Limits(stall_seconds=0)) as it:
        await it.wire.call(1, "big", size=5 << 20)
        with anyio.fail_after(5):
            await it.ended.wait()
        assert it.metrics.counters["limits.stall_seconds"] == 1
        assert it.quotas.bytes == 0


async def test_a_text_begun_and_not_finished_in_time_is_told_and_the_connection_closed() -> None:
    async with served(Methods(), Limits(text_seconds=0)) as it:
        await it.wire.call(1, "echo")
        assert (await it.wire.line())["id"] == 1
        await it.wire.write(b'{"jsonrpc": "2.0", "id": 2, "method": "ec')
        with anyio.fail_after(5):
            (answer,) = await it.wire.lines()
        assert (answer["id"], answer["error"]["code"]) == (None, -32700)
        assert "complete within" in answer["error"]["message"]
        assert it.metrics.counters["limits.text_seconds"] == 1
        await it.wire.stream.aclose()
        with anyio.fail_after(5):
            await it.ended.wait()


async def test_a_text_whose_descriptors_do_not_come_in_time_is_told_and_the_connection_closed() -> None:
    async with served(Methods(), Limits(text_seconds=0)) as it:
        await it.wire.send({"jsonrpc": "2.0", "id": 1, "method": "echo", "fds": 1})
        with anyio.fail_after(5):
            (answer,) = await it.wire.lines()
        assert answer["error"]["code"] == -32050


def test_a_text_that_comes_byte_by_byte_has_one_limit_for_all_of_it_and_the_next_one_its_own() -> None:
    text = json.dumps({"jsonrpc": "2.0", "id": 1, "method": "echo"}).encode()
    answers: list[dict[str, Any]] = []

    async def main() -> None:
        async with served(Methods(), Limits(text_seconds=30)) as it:
            for _ in range(3):
                for part in (text[:9], text[9:20], text[20:]):
                    await it.wire.write(part)
                    await anyio.sleep(14)
                answers.append(await it.wire.line())
            with suppress(anyio.BrokenResourceError, OSError):
                for at in range(len(text)):
                    await it.wire.write(text[at : at + 1])
                    await anyio.sleep(14)
            answers.extend(await it.wire.lines())

    run_in_virtual_time(main)
    assert [answer["id"] for answer in answers] == [1, 1, 1, None]
    assert answers[-1]["error"]["code"] == -32700


async def test_a_reply_over_the_limit_is_an_error_that_says_what_to_do() -> None:
    async with served(Methods(), Limits(reply_bytes=1000)) as it:
        await it.wire.call(1, "big", size=1001)
        error = (await it.wire.line())["error"]
        assert error["data"] == {"name": "TooLarge", "size": 1001, "limit": 1000}
        await it.wire.call(2, "big", size=1000)
        assert len((await it.wire.line())["result"]) == 998


async def test_a_long_reply_arrives_whole() -> None:
    async with served(Methods()) as it:
        await it.wire.call(1, "big", size=3_000_001)
        assert len((await it.wire.line())["result"]) == 2_999_999
        await until(lambda: it.quotas.bytes == 0)


async def test_a_text_that_is_no_json_is_answered_and_then_the_connection_closes() -> None:
    async with served(Methods()) as it:
        await it.wire.stream.send(b'{"jsonrpc":"2.0","id":1,"method":"echo","params":{}}\nnonsense\n')
        lines = await it.wire.lines()
        assert {line["id"]: line.get("error", {}).get("code") for line in lines} == {1: None, None: -32700}
        await it.wire.stream.aclose()
        await it.ended.wait()


async def test_a_request_too_long_is_answered_though_the_client_writes_on() -> None:
    async with served(Methods()) as it:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(it.wire.write, b'{"jsonrpc":"2.0","id":1,"method":"' + b"x" * (10 << 20))
            lines = await it.wire.lines()
        assert [line["error"]["code"] for line in lines] == [-32002]


async def test_a_refused_client_that_wrote_everything_reads_why_and_then_a_clean_end() -> None:
    async with served(Methods()) as it:
        raw = it.wire.stream.extra(SocketAttribute.raw_socket)
        raw.send(b"?")
        for _ in range(50):
            # Each piece with a descriptor is a read of its own.
            socket.send_fds(raw, [b"x"], [0])
        raw.shutdown(socket.SHUT_WR)
        await it.ended.wait()
        assert [line["error"]["code"] for line in await it.wire.lines()] == [-32700]


async def test_half_a_request_and_a_half_close_ends_the_connection() -> None:
    async with served(Methods()) as it:
        await it.wire.stream.send(b'{"jsonrpc":"2.0","id":1,')
        await it.wire.stream.send_eof()
        codes = [line["error"]["code"] for line in await it.wire.lines()]
        assert codes in ([], [-32700])
        await it.ended.wait()


async def test_a_notification_is_carried_out_and_never_answered() -> None:
    methods = Methods()
    async with served(methods) as it:
        await it.wire.send({"jsonrpc": "2.0", "method": "echo", "params": {"n": 1}})
        await it.wire.send({"jsonrpc": "2.0", "method": "broken", "params": {"n": 2}})
        await it.wire.call(3, "echo")
        assert (await it.wire.line())["id"] == 3
        await it.wire.stream.send_eof()
        assert await it.wire.lines() == []
        assert sorted(str(params) for params in methods.begun) == ["{'n': 1}", "{'n': 2}", "{}"]


async def test_a_batch_is_answered_in_one_array_and_its_bytes_are_given_back() -> None:
    async with served(Methods()) as it:
        await it.wire.send([{"jsonrpc": "2.0", "id": n, "method": "echo", "params": {"n": n}} for n in range(100)])
        answers = await it.wire.line()
        assert [answer["id"] for answer in answers] == list(range(100))
        await until(lambda: it.quotas.in_flight == 0)
        assert it.quotas.bytes == 0


async def test_a_batch_longer_than_the_in_flight_limit_is_answered() -> None:
    async with served(Methods(), Limits(in_flight=3)) as it:
        await it.wire.send([{"jsonrpc": "2.0", "id": n, "method": "echo", "params": {}} for n in range(50)])
        assert len(await it.wire.line()) == 50


async def test_a_spent_budget_of_the_uid_is_an_error_and_another_connection_still_gets_one_through() -> None:
    methods = Methods()
    limits = Limits(uid_in_flight=4, in_flight=2)
    quotas = Quotas(limits, Metrics())
    async with served(methods, limits, quotas) as first, served(methods, limits, quotas) as second:
        await first.wire.call(1, "stick")
        await first.wire.call(2, "stick")
        await until(lambda: quotas.in_flight == 2)
        await second.wire.call(3, "stick")
        await until(lambda: quotas.in_flight == 3)
        await second.wire.call(4, "echo")
        assert (await second.wire.line())["error"]["data"]["name"] == "TooManyRequests"
        methods.release.set()
        assert (await second.wire.line())["id"] == 3
        await second.wire.call(5, "echo")
        assert (await second.wire.line())["id"] == 5


async def test_unread_answers_beyond_the_budget_of_bytes_are_refused() -> None:
    methods = Methods()

    async def gated(params: object) -> bytes:
        await methods.release.wait()
        return b'"' + b"x" * (4 << 20) + b'"'

    methods.extra["gated"] = gated
    limits = Limits(uid_bytes=14 << 20, reply_bytes=5 << 20)
    quotas = Quotas(limits, Metrics())
    async with served(methods, limits, quotas) as it, served(methods, limits, quotas) as sister:
        for number in range(4):
            await it.wire.call(number, "gated")
        await until(lambda: len(methods.begun) == 4)
        methods.release.set()
        await until(lambda: len(methods.ended) == 4)
        await sister.wire.call(5, "gated")
        assert len((await sister.wire.line())["result"]) == 4 << 20
        names = [(await it.wire.line()).get("error", {}).get("data", {}).get("name") for _ in range(4)]
        assert sorted(map(str, names)) == ["None", "None", "TooManyRequests", "TooManyRequests"]
        await until(lambda: it.quotas.bytes == 0)


async def test_a_batch_whose_last_entry_is_refused_gives_back_the_bytes_of_the_others() -> None:
    methods = Methods()
    async with served(methods, Limits(in_flight=1)) as it:

        async def last_one(params: object) -> bytes:
            it.connection.refuse_rest()
            return b'"done"'

        methods.extra["last_one"] = last_one
        await it.wire.send(
            [
                {"jsonrpc": "2.0", "id": 1, "method": "last_one", "params": {}},
                {"jsonrpc": "2.0", "id": 2, "method": "echo", "params": {}},
            ]
        )
        answers = await it.wire.line()
        assert (answers[0]["result"], answers[1]["error"]["data"]["name"]) == ("done", "ShuttingDown")
        await until(lambda: it.quotas.bytes == 0)


async def test_a_flood_of_refusals_does_not_keep_the_others_waiting() -> None:
    methods = Methods()
    async with served(methods) as hostile, served(methods) as honest:

        async def let_the_other_ask(params: object) -> bytes:
            await honest.wire.call(1, "echo", who="honest")
            return b"{}"

        methods.extra["go"] = let_the_other_ask
        await hostile.wire.stream.send(
            b'{"jsonrpc":"2.0","id":1,"method":"go","params":{"who":"first"}}'
            + b"1       " * 8000
            + b'{"jsonrpc":"2.0","id":2,"method":"echo","params":{"who":"last"}}'
        )
        await honest.wire.line()
        await hostile.wire.stream.send_eof()
        assert len(await hostile.wire.lines()) == 8002
        assert [params["who"] for params in methods.begun] == ["first", "honest", "last"]


def open_descriptors() -> dict[int, int]:
    """Flags by descriptor, without a file of /proc: reading a folder is a blocking call."""
    found = {}
    for descriptor in range(256):
        with suppress(OSError):
            found[descriptor] = fcntl.fcntl(descriptor, fcntl.F_GETFD)
    return found


async def descriptors_at_rest() -> int:
    """How many are open once what connections before left to be closed is closed."""
    await until(lambda: not any(thread.name == "closing" for thread in threading.enumerate()))
    return len(open_descriptors())


@pytest.fixture
def ends() -> Iterator[list[int]]:
    """Two descriptors to pass."""
    near, far = socket.socketpair()
    with near, far:
        yield [near.fileno(), far.fileno()]


async def test_descriptors_nobody_takes_are_closed(ends: list[int]) -> None:
    async with served(Methods()) as it:
        before = await descriptors_at_rest()
        for number in range(20):
            line = b'{"jsonrpc":"2.0","id":%d,"method":"echo","params":{},"fds":1}\n' % number
            await it.wire.stream.send_fds(line, ends[1:])
            assert (await it.wire.line())["id"] == number
        await until(lambda: len(open_descriptors()) == before)
        await it.wire.stream.send_fds(b'{"jsonrpc":"2.0",', ends[1:])
        await until(lambda: len(open_descriptors()) == before + 1)
        await it.wire.stream.send_eof()
        await it.ended.wait()
        await until(lambda: len(open_descriptors()) == before - 1)


async def test_descriptors_of_a_request_that_never_began_are_closed(ends: list[int]) -> None:
    methods = Methods()
    async with served(methods, Limits(in_flight=1)) as it:
        before = await descriptors_at_rest()
        for number in range(3):
            line = b'{"jsonrpc":"2.0","id":%d,"method":"stick","params":{},"fds":2}\n' % number
            await it.wire.stream.send_fds(line, ends)
        await until(lambda: len(open_descriptors()) > before)
        await it.wire.stream.aclose()
        await it.ended.wait()
        await until(lambda: len(open_descriptors()) == before - 2)


async def test_descriptors_do_not_leak_into_children(ends: list[int]) -> None:
    async with served(Methods()) as it:
        sent = {os.fstat(end).st_ino for end in ends}
        await it.wire.stream.send_fds(b'{"jsonrpc":"2.0",', ends)

        def flags() -> list[int]:
            found = []
            for number, flag in open_descriptors().items():
                with suppress(OSError):  # closed meanwhile, by a thread of a connection before this one
                    if os.fstat(number).st_ino in sent and number not in ends:
                        found.append(flag)
            return found

        await until(lambda: flags() == [fcntl.FD_CLOEXEC] * 2)


async def test_a_request_being_answered_keeps_no_descriptors(ends: list[int]) -> None:
    methods = Methods()
    async with served(methods) as it:
        before = await descriptors_at_rest()
        for number in range(10):
            line = b'{"jsonrpc":"2.0","id":%d,"method":"stick","params":{},"fds":2}\n' % number
            await it.wire.stream.send_fds(line, ends)
        await until(lambda: len(methods.begun) == 10)
        await until(lambda: len(open_descriptors()) <= before)
        methods.release.set()


def adding(number: int, fds: int) -> bytes:
    return b'{"jsonrpc":"2.0","id":%d,"method":"manifests.add","params":{},"fds":%d}\n' % (number, fds)


async def test_a_method_that_takes_descriptors_has_them_until_it_is_answered(ends: list[int]) -> None:
    methods = Methods()
    done = anyio.Event()

    async def add(params: Any) -> bytes:
        await done.wait()
        return b"{}"

    methods.extra["manifests.add"] = add
    async with served(methods) as it:
        before = await descriptors_at_rest()
        await it.wire.stream.send_fds(adding(1, 2), ends)
        await until(lambda: len(methods.begun) == 1)
        inodes = [os.fstat(descriptor).st_ino for descriptor in methods.taken]
        assert inodes == [os.fstat(end).st_ino for end in ends]
        # Sixteen a connection, whatever it has in flight.
        await it.wire.stream.send_fds(adding(2, 15), ends[:1] * 15)
        refused = await it.wire.line()
        assert (refused["id"], refused["error"]["data"]["name"]) == (2, "TooManyRequests")
        await until(lambda: len(open_descriptors()) == before + 2)
        done.set()
        assert (await it.wire.line())["id"] == 1
        await until(lambda: len(open_descriptors()) == before)
        await it.wire.stream.send_fds(adding(3, 16), ends[:1] * 16)
        assert (await it.wire.line())["id"] == 3
        await until(lambda: len(open_descriptors()) == before)


async def test_descriptors_that_were_taken_are_closed_with_the_connection(ends: list[int]) -> None:
    methods = Methods()

    async def add(params: Any) -> bytes:
        await anyio.sleep_forever()
        return b""

    methods.extra["manifests.add"] = add
    async with served(methods) as it:
        before = await descriptors_at_rest()
        await it.wire.stream.send_fds(adding(1, 2), ends)
        await until(lambda: len(methods.begun) == 1)
        await until(lambda: len(open_descriptors()) == before + 2)
        await it.wire.stream.aclose()
        await it.ended.wait()
        await until(lambda: len(open_descriptors()) == before - 2)


async def test_a_cut_connection_answers_what_was_sent_and_refuses_later_writes() -> None:
    methods = Methods()
    async with served(methods) as it:
        await it.wire.call(1, "echo", n=1)
        await it.wire.call(2, "echo", n=2)
        it.connection.cut()
        with pytest.raises(anyio.BrokenResourceError):
            await it.wire.call(3, "echo", n=3)
        assert {line["id"] for line in await it.wire.lines()} == {1, 2}
        await it.ended.wait()


async def test_what_is_not_done_at_the_end_of_the_drain_is_answered_shutting_down() -> None:
    methods = Methods()
    async with served(methods, Limits(in_flight=2)) as it:
        for number in range(10):
            await it.wire.call(number, "stick")
        await until(lambda: len(methods.begun) == 2)
        it.connection.cut()
        it.connection.refuse_rest()
        lines = await it.wire.lines()
        assert {line["id"] for line in lines} == set(range(10))
        assert {line["error"]["data"]["name"] for line in lines} == {"ShuttingDown"}
        assert len(methods.begun) == 2
        await it.ended.wait()
