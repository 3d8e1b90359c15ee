"""Inputs by chance into the peer: what it makes of them is what the reference says, however the stream is cut.

Each input is given whole and cut at random places; one peer besides lives through all well-made ones. A hang is a
second of processor time, a leak is measured in the interpreter's own blocks, so neither depends on who else is busy.
"""

from __future__ import annotations

import gc
import signal
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from random import Random

from storaged_client.jsonrpc.events import Close, Request
from storaged_client.jsonrpc.peer import Peer
from tests.support.answers import result_text
from tests.support.report import Report

from .inputs import Input, Inputs
from .reference import Message, meaning
from .trace import ASKED, BOUNDS, listen

HANG = 1.0
"""Seconds of processor time."""
_WARM = 0.1
"""The share of the inputs after which nothing may grow any more."""
_BLOCKS = 2_000
"""What may be left over in the interpreter's blocks at whatever length: caches of the standard library."""
_METHODS = ("images.list", "server.ping")

MakePeer = Callable[[], Peer]


class Hang(BaseException):
    """No end in time. Not an Exception: nothing on the way may take it for a mistake of the input."""


def make_peer() -> Peer:
    return Peer(BOUNDS.text, BOUNDS.batch, BOUNDS.fds)


def fuzz(
    report: Report,
    *,
    seed: int,
    count: int,
    corpus: Sequence[bytes],
    make: MakePeer = make_peer,
    most: int = 10,
) -> None:
    """Give ``count`` inputs to peers of ``make``; stops after ``most`` that went wrong."""
    inputs = Inputs(Random(seed), corpus, methods=_METHODS, limit=BOUNDS.text)
    cuts = Random(f"cuts {seed}")
    seen: Counter[str] = Counter()
    lasting = Lasting(make)
    wrong, blocks = 0, 0
    for number in range(count):
        if number == int(count * _WARM):
            blocks = _blocks()
        each = inputs.next()
        seen[each.kind] += 1
        with limited():
            problem = check(each, cuts, make) or lasting.take(each)
        if problem:
            wrong += 1
            report.claim(False, f"seed {seed}, input {number} ({each.kind}): {problem}: {each.messages!r:.600}")
            if wrong == most:
                break
    grown = _blocks() - blocks
    report.claim(wrong == 0, f"{wrong} inputs went wrong")
    report.claim(grown <= _BLOCKS, f"{grown} blocks of memory are left of {count} inputs")
    report.claim(lasting.at_rest, f"the lasting peer is not at rest: {lasting.state}")
    report.figure("inputs into the peer", sum(seen.values()))
    report.figure("of each kind", dict(sorted(seen.items())))
    report.figure("blocks of memory left after the first tenth", grown)
    report.figure("texts of the one peer that took all well-made inputs", lasting.texts)


def _blocks() -> int:
    gc.collect()
    return sys.getallocatedblocks()


@contextmanager
def limited(seconds: float = HANG) -> Iterator[None]:
    """Raises: Hang, in the block, after so much processor time of this process. In the main thread only."""

    def stop(*_: object) -> None:
        raise Hang(f"no end after {seconds} s of processor time")

    before = signal.signal(signal.SIGPROF, stop)
    signal.setitimer(signal.ITIMER_PROF, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.signal(signal.SIGPROF, before)


def check(each: Input, cuts: Random, make: MakePeer = make_peer) -> str:
    """What is wrong with the peer's answer to one input; empty if nothing."""
    try:
        whole = listen(make(), each.messages)
        cut = listen(make(), legal_cuts(each.messages, cuts))
    except Hang as hang:
        return str(hang)
    except Exception as error:
        return f"crashed: {error!r}"
    for trace in (whole, cut):
        problem = trace.problem(each)
        if problem:
            return problem
    if not each.defined:
        return ""
    said = meaning(each.messages, BOUNDS, asked=range(1, ASKED + 1))
    # First against the reference: where both differ from it, the cut is not what is wrong.
    return whole.differs(said) or cut.differs(said)


def legal_cuts(messages: Sequence[Message], random: Random) -> list[Message]:
    """The same stream in other pieces: glued and cut as the kernel may.

    It hands descriptors over with the first of the bytes they were sent with, bytes of before in front of that or not,
    and reads on behind them no further than to the end of what was sent with them.
    """
    found: list[Message] = []
    plain, announced = b"", False
    for message in messages:
        # Glued to a text that waits for descriptors, those of the next one would pass for its own: nobody can tell.
        if plain and (random.random() < 0.3 or (message.fds and announced)):
            found += _cut(plain, 0, (), random)
            plain, announced = b"", False
        announced = announced or b"fds" in message.data
        if message.fds:
            first, *rest = _cut(plain + message.data, len(plain), message.fds, random)
            found += [first, *rest[:-1]]
            plain = rest[-1].data if rest else b""
        else:
            plain += message.data
    return [*found, *_cut(plain, 0, (), random)]


def _cut(data: bytes, first: int, fds: tuple[int, ...], random: Random) -> Iterator[Message]:
    """``first``: where the bytes begin that the descriptors were sent with."""
    room = range(first + 1, len(data))
    if not room or random.random() < 0.3:
        places: list[int] = []
    elif len(room) < 500 and random.random() < 0.05:
        places = list(room)
    else:
        places = sorted(set(random.choices(room, k=random.randrange(1, 4))))
    for start, end in zip([0, *places], [*places, len(data)], strict=True):
        yield Message(data=data[start:end], fds=fds)
        fds = ()


class Lasting:
    """One peer for all inputs that are texts of the protocol, each request answered at once: nothing stays with it."""

    def __init__(self, make: MakePeer) -> None:
        self._peer = make()
        self.texts = 0

    def take(self, each: Input) -> str:
        if each.kind not in ("calls", "wrong") or meaning(each.messages, BOUNDS).fault:
            return ""
        self.texts += len(each.messages)
        try:
            for event in self._peer.receive_data(each.data + b"\n"):
                if isinstance(event, Close):
                    return "the lasting peer closed"
                if isinstance(event, Request):
                    result_text(self._peer, event, b"0")
        except Hang as hang:
            return str(hang)
        except Exception as error:
            return f"the lasting peer crashed: {error!r}"
        return ""

    @property
    def at_rest(self) -> bool:
        return not self._peer.held and not self._peer.in_flight

    @property
    def state(self) -> str:
        return f"{self._peer.held} bytes, {self._peer.in_flight} requests"
