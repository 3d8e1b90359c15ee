"""Clients that no daemon wants, in a process and of a user of their own: they come at a pace and mostly stay a while.

    python -m tests.acceptance.stress.bad_clients SOCKET --seed 0 --count 500 --seconds 30

Each kind knows what it must be answered all the same. Prints one line of JSON in the end: how many came of each kind,
how many were turned away for being too many, and what went wrong.
"""

from __future__ import annotations

import argparse
import array
import asyncio
import json
import os
import socket
import sys
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from random import Random
from typing import Any

_PATIENCE = 30.0
_NOBODY = 65534
_FLOOD = 1_000
"""Requests of one flood, sent as fast as they are taken."""
_GREED = 64
"""Long answers that nobody reads."""
_TOO_MANY = -32001
_CANCELLED = -32800


class TurnedAway(Exception):
    """The daemon has as many clients as it wants."""


class Client:
    """A connection that reads only when it is told to. Raises: OSError, TimeoutError."""

    def __init__(self, channel: socket.socket, hold: float = 1.0) -> None:
        self.channel = channel
        self._hold = hold
        self._loop = asyncio.get_running_loop()
        self._rest = b""

    async def send(self, *requests: Any) -> None:
        await self.write(b"".join(json.dumps(request).encode() + b"\n" for request in requests))

    async def stay(self, seconds: float) -> None:
        """Be there and do nothing."""
        await asyncio.sleep(seconds * self._hold)

    async def write(self, data: bytes) -> None:
        await self._loop.sock_sendall(self.channel, data)

    async def read(self, count: int | None) -> list[Any]:
        """So many answers, or all up to the end of the connection.

        Raises:
            TurnedAway: the daemon said so.
            AssertionError: the connection ended before.
        """
        found: list[Any] = []
        while count is None or len(found) < count:
            line, separator, rest = self._rest.partition(b"\n")
            if separator:
                self._rest = rest
                found.append(json.loads(line))
                if found[-1].get("error", {}).get("code") == _TOO_MANY and found[-1]["id"] is None:
                    raise TurnedAway
                continue
            data = await self._loop.sock_recv(self.channel, 1 << 18)
            if not data:
                assert count is None, f"ended after {len(found)} of {count} answers"
                return found
            self._rest += data
        return found


def _request(number: int, method: str = "server.ping", **params: Any) -> dict[str, Any]:
    return {"jsonrpc": "2.0", "id": number, "method": method, "params": params}


async def stall(client: Client, random: Random) -> None:
    """Half a request, and the rest seconds later or never."""
    text = json.dumps(_request(1)).encode()
    await client.write(text[: random.randrange(1, len(text))])
    await client.stay(random.uniform(0.5, 4))


async def half_close(client: Client, random: Random) -> None:
    """All answers come after the end of the questions."""
    count = random.randrange(1, 20)
    await client.send(*(_request(number, "images.list") for number in range(count)))
    client.channel.shutdown(socket.SHUT_WR)
    answers = await client.read(None)
    assert sorted(answer["id"] for answer in answers) == list(range(count)), answers
    assert all("result" in answer for answer in answers), answers


async def flood(client: Client, random: Random) -> None:
    """As fast as the daemon takes it; every answer comes once."""
    sending = asyncio.ensure_future(client.send(*(_request(number) for number in range(_FLOOD))))
    answers = await client.read(_FLOOD)
    await sending
    assert sorted(answer["id"] for answer in answers) == list(range(_FLOOD))


async def cancel(client: Client, random: Random) -> None:
    """What is cancelled is still answered, once."""
    count = random.randrange(1, 30)
    await client.send(*(_request(number, "images.list", all=True) for number in range(count)))
    cancels = [{"jsonrpc": "2.0", "method": "$/cancelRequest", "params": {"id": number}} for number in range(count)]
    await client.send(*cancels)
    answers = await client.read(count)
    assert sorted(answer["id"] for answer in answers) == list(range(count)), answers
    assert all("result" in answer or answer["error"]["code"] == _CANCELLED for answer in answers)


async def never_read(client: Client, random: Random) -> None:
    """Asks for much and leaves it lying."""
    await client.send(*(_request(number, "images.list", all=True) for number in range(_GREED)))
    await client.stay(random.uniform(1, 5))


async def break_off(client: Client, random: Random) -> None:
    """Gone while it is being answered."""
    await client.send(*(_request(number, "store.usage") for number in range(random.randrange(1, 10))))
    await asyncio.sleep(random.choice((0, 0, 0.01)))


async def babble(client: Client, random: Random) -> None:
    """No JSON: one answer that says so, then the end."""
    await client.write(b"}" + random.randbytes(random.randrange(2000)))
    answers = await client.read(None)
    assert [answer["error"]["code"] for answer in answers] == [-32700], answers


async def lie(client: Client, random: Random) -> None:
    """More descriptors than were told, or fewer; none stays open."""
    reader, writer = os.pipe()
    given, told = random.choice(((3, 0), (3, 1), (0, 2), (1, 2), (2, 17)))
    try:
        data = json.dumps({**_request(1), "fds": told}).encode()
        ancillary = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [writer] * given))] if given else []
        client.channel.sendmsg([data], ancillary)
        os.close(writer)
        client.channel.shutdown(socket.SHUT_WR)
        (answer,) = await client.read(None)
        assert ("error" in answer) == (told > given or told > 16), answer
        ended = asyncio.get_running_loop().create_future()
        asyncio.get_running_loop().add_reader(reader, lambda: ended.done() or ended.set_result(None))
        await ended
    finally:
        asyncio.get_running_loop().remove_reader(reader)
        os.close(reader)


KINDS: tuple[Callable[[Client, Random], Awaitable[None]], ...] = (
    stall,
    half_close,
    flood,
    cancel,
    never_read,
    break_off,
    babble,
    lie,
)


async def come(path: str, *, seed: int, count: int, seconds: float, hold: float = 1.0) -> dict[str, Any]:
    """So many connections in so much time, at random moments. With a ``hold`` below 1 those that stay go sooner."""
    random = Random(seed)
    moments = sorted(random.uniform(0, seconds) for _ in range(count))
    seen: Counter[str] = Counter()
    wrong: list[str] = []
    loop = asyncio.get_running_loop()
    began = loop.time()
    async with asyncio.TaskGroup() as tasks:
        for number, moment in enumerate(moments):
            await asyncio.sleep(max(0.0, began + moment - loop.time()))
            kind = KINDS[number % len(KINDS)]
            tasks.create_task(_one(path, kind, Random(f"{seed} {number}"), hold, seen, wrong))
    return {"seen": dict(sorted(seen.items())), "seconds": loop.time() - began, "wrong": wrong}


async def _one(
    path: str,
    kind: Callable[[Client, Random], Awaitable[None]],
    random: Random,
    hold: float,
    seen: Counter[str],
    wrong: list[str],
) -> None:
    seen[kind.__name__] += 1
    try:
        with socket.socket(socket.AF_UNIX) as channel:
            channel.setblocking(False)
            async with asyncio.timeout(_PATIENCE):
                await asyncio.get_running_loop().sock_connect(channel, path)
                await kind(Client(channel, hold), random)
    except TurnedAway:
        seen["turned away"] += 1
    except (AssertionError, OSError, ValueError, TimeoutError) as error:
        wrong.append(f"{kind.__name__}: {error!r:.300}")


def become_nobody() -> None:
    """Another user, where this one may be one."""
    if os.geteuid() == 0:
        os.setgroups([])
        os.setgid(_NOBODY)
        os.setuid(_NOBODY)


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("socket")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--count", type=int, default=100)
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--hold", type=float, default=1.0, help="how long they stay, 1 is some seconds")
    flags = parser.parse_args(argv)
    # What the interpreter imports only when it is first needed may lie where nobody may not read.
    Random("").random()
    # Whoever measures beside it shares the machine with it.
    os.nice(5)
    become_nobody()
    coming = come(flags.socket, seed=flags.seed, count=flags.count, seconds=flags.seconds, hold=flags.hold)
    found = asyncio.run(coming)
    print(json.dumps(found))
    return 0


if __name__ == "__main__":
    sys.exit(main())
