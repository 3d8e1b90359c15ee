"""Inputs by chance through a real socket into a real daemon: each text gets its one answer, each descriptor is closed.

The answers are told from the reference as far as it knows: which texts are answered, refused and with which code, how
batches are put together, whether the connection ends. What a method answers is its own affair, but never an
``InternalError``.
"""

from __future__ import annotations

import array
import fcntl
import json
import os
import select
import socket
import struct
import time
from collections import Counter
from collections.abc import Sequence
from random import Random
from typing import Any

from attrs import Factory, define

from storaged_client.contract.methods import METHODS
from tests.support.daemon import MIB, Daemon
from tests.support.report import Report, percentile

from .inputs import Input, Inputs
from .reference import DESCRIPTORS, INVALID, PARSE_ERROR, TOO_LONG, Bounds, Message, meaning

BOUNDS = Bounds(text=1 << 20)
HANG = 1.0
"""Seconds from the first byte sent to the end of the connection; judged where times are."""
_PATIENCE = 10.0
"""The same, judged everywhere."""
_WARM = 200
"""Inputs before the daemon is measured: it opens and keeps what it needs."""
_GROWTH = 5 * MIB
_REFUSALS = (INVALID, PARSE_ERROR, TOO_LONG, DESCRIPTORS)
_INTERNAL_ERROR = -32603
_NOT_STOPPING = tuple(sorted(METHODS.keys() - {"server.shutdown"}))
_SIOCOUTQ = 0x5411


@define(kw_only=True)
class Exchange:
    """What came of one connection."""

    replies: list[Any] = Factory(list)
    seconds: float = 0.0
    problem: str = ""


def fuzz(report: Report, daemon: Daemon, *, seed: int, count: int, corpus: Sequence[bytes], most: int = 10) -> None:
    """Give ``count`` inputs to the daemon, a connection each; stops after ``most`` that went wrong."""
    supply = Inputs(Random(seed), corpus, methods=_NOT_STOPPING, limit=BOUNDS.text, fresh=True)
    where, wrong, times = daemon.backend, 0, []
    seen: Counter[str] = Counter()
    descriptors = memory = 0
    for number in range(count + _WARM):
        if number == _WARM:
            descriptors, memory = daemon.settled_descriptors(), daemon.settled_memory()
        each = supply.next()
        seen[each.kind] += 1
        # The kernel may hand over a text together with the next one's descriptors: read apart, each has its own.
        found = exchange(daemon.path, each.messages, apart=each.kind == "descriptors")
        times.append(found.seconds)
        problem = found.problem or (wrong_in(found, each) if each.defined else "")
        if problem:
            wrong += 1
            report.claim(
                False, f"{where}, seed {seed}, input {number} ({each.kind}): {problem}: {each.messages!r:.600}"
            )
            if wrong == most or not daemon.alive:
                break
    report.claim(not wrong, f"{where}: {wrong} inputs went wrong")
    report.in_time(max(times) <= HANG, f"{where}: an input took {max(times):.2f} s")
    daemon.claim_whole(report)
    if daemon.alive:
        left, grown = daemon.settled_descriptors(), daemon.settled_memory() - memory
        report.claim(left <= descriptors, f"{where}: {left} descriptors are open, {descriptors} before")
        report.claim(grown <= _GROWTH, f"{where}: the daemon has grown by {grown / MIB:.1f} MiB")
        report.figure(f"{where}: the daemon has grown by, MiB", grown / MIB)
    report.figure(f"{where}: inputs through the socket", sum(seen.values()))
    report.figure(f"{where}: of each kind", dict(sorted(seen.items())))
    report.figure(
        f"{where}: longest, and p99 of an input, ms", f"{max(times) * 1e3:.1f}, {percentile(times, 0.99) * 1e3:.1f}"
    )


def exchange(path: str, messages: Sequence[Message], *, apart: bool = False) -> Exchange:
    """Send everything on a new connection, say that this was all, and read to the end.

    With ``apart`` the daemon reads each message before the next one is sent. The descriptors are the writing ends of
    a pipe, which tells when the last of them is closed.
    """
    found = Exchange()
    reader, writer = os.pipe() if any(message.fds for message in messages) else (-1, -1)
    began = time.monotonic()
    try:
        with socket.socket(socket.AF_UNIX) as channel:
            channel.settimeout(_PATIENCE)
            channel.connect(path)
            try:
                for message in messages:
                    _send(channel, message.data, [writer] * len(message.fds))
                    if apart:
                        _await_read(channel)
                channel.shutdown(socket.SHUT_WR)
            except (BrokenPipeError, ConnectionResetError):
                found.problem = "the daemon closed before it had read all"
            data = b"".join(iter(lambda: channel.recv(1 << 20), b""))
        found.replies = [json.loads(line) for line in data.splitlines()]
    except TimeoutError:
        found.problem = f"no end in {_PATIENCE} s"
    except OSError as error:
        found.problem = repr(error)
    except ValueError as error:
        found.problem = f"an answer is no JSON: {error}"
    found.seconds = time.monotonic() - began
    if writer >= 0:
        os.close(writer)
        if not select.select([reader], [], [], _PATIENCE)[0]:
            found.problem = found.problem or "a descriptor is still open"
        os.close(reader)
    return found


def _send(channel: socket.socket, data: bytes, descriptors: list[int]) -> None:
    ancillary = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", descriptors))] if descriptors else []
    sent = channel.sendmsg([data], ancillary)
    channel.sendall(data[sent:])


def _await_read(channel: socket.socket) -> None:
    """Return when the other end has read all that was sent."""
    deadline = time.monotonic() + _PATIENCE
    while struct.unpack("i", fcntl.ioctl(channel, _SIOCOUTQ, b"\0\0\0\0"))[0]:
        if time.monotonic() > deadline:
            raise TimeoutError
        time.sleep(0)


def wrong_in(found: Exchange, each: Input) -> str:
    """What is wrong with the answers to one input; empty if nothing."""
    said = meaning(each.messages, BOUNDS)
    seen = [_key(reply) for reply in found.replies if isinstance(reply, list) or "method" not in reply]
    if any(_fails(reply) for reply in found.replies):
        return f"the daemon made a mistake: {found.replies!r:.500}"
    wanted = [_expected(answer) for answer in said.answers]
    wanted += [_refusals(event[1]) for event in said.events if event[0] == "reply"]
    if said.fault:
        faults = [key for key in seen if key in [("refused", code, "None") for code in said.fault]]
        # The last of them: a call without an id, refused before, has the same key as the end of the connection.
        if not faults:
            return f"no answer has one of the codes {set(said.fault)}: {seen!r:.500}"
        wanted.append(faults[-1])
    if said.repeated:
        same = sorted(map(_size, seen)) == sorted(map(_size, wanted))
    else:
        same = Counter(map(repr, seen)) == Counter(map(repr, wanted))
    return "" if same else f"answered, and by the reference: {seen!r:.500}, {wanted!r:.500}"


def _fails(reply: Any) -> bool:
    parts = reply if isinstance(reply, list) else [reply]
    return any(part.get("error", {}).get("code") == _INTERNAL_ERROR for part in parts)


def _key(reply: Any) -> Any:
    if isinstance(reply, list):
        return [_key(part) for part in reply]
    code = reply.get("error", {}).get("code")
    return ("refused", code, repr(reply["id"])) if code in _REFUSALS else ("answered", repr(reply["id"]))


def _expected(answer: Any) -> Any:
    if isinstance(answer, list):
        return [_expected(part) for part in answer]
    if "error" in answer:
        return ("refused", answer["error"], repr(answer["id"]))
    return ("answered", repr(answer["id"]))


def _refusals(told: Any) -> Any:
    if isinstance(told, list):
        return [_refusals(part) for part in told]
    return ("refused", told[0], repr(told[1]))


def _size(key: Any) -> int:
    return len(key) if isinstance(key, list) else 0
