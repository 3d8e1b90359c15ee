"""Many clients in one process that only sends prepared bytes and looks for ends of lines, by epoll.

Closed: each client asks again as soon as it is answered, which shows how much the daemon can do. Open: each question is
due at a fixed moment and its answer's time counts from there, which shows what clients meet who do not wait for it.
"""

from __future__ import annotations

import select
import socket
import time
from collections import deque
from collections.abc import Sequence
from pathlib import Path

from attrs import Factory, define, frozen

from .load_ground import connect, request

_PATIENCE = 20.0
_IDS = 1000


@frozen(kw_only=True)
class Answers:
    """What all clients together met."""

    times: Sequence[float]
    """Seconds, one an answer."""
    seconds: float
    errors: Sequence[bytes]
    received: int
    """Bytes."""
    own_share: float
    """Of one processor, for asking: near 1 it is the clients that are measured."""

    @property
    def rate(self) -> float:
        """Answers a second."""
        return len(self.times) / self.seconds


@define(eq=False)
class _Client:
    channel: socket.socket
    asked: deque[float] = Factory(deque)
    """When each question was due that has no answer yet. Answers to the same question come in their order, but for a
    few, and to take one for the next changes no sum of their times."""
    unsent: bytes = b""
    count: int = 0

    def ask(self, question: bytes, due: float) -> None:
        self.asked.append(due)
        self.unsent += question
        self.flush()

    def flush(self) -> None:
        if self.unsent:
            try:
                self.unsent = self.unsent[self.channel.send(self.unsent) :]
            except BlockingIOError:
                return


class Clients:
    """Connections to one daemon that all ask one question; close them in the end."""

    def __init__(self, path: str | Path, count: int, method: str, params: dict[str, object]) -> None:
        # An id may be used again once it is answered; a client that does not wait has many without an answer.
        self._questions = [request(number, method, params) for number in range(_IDS)]
        self._clients = [_Client(connect(path)) for _ in range(count)]
        self._poll = select.epoll()
        self._by_number = {client.channel.fileno(): client for client in self._clients}
        for number in self._by_number:
            self._poll.register(number, select.EPOLLIN)
        self._times: list[float] = []
        self._errors: list[bytes] = []
        self._received = 0

    def closed(self, seconds: float) -> Answers:
        """Each asks again as soon as it is answered, for so long."""
        began, busy = time.perf_counter(), time.process_time()
        for client in self._clients:
            self._ask(client, time.perf_counter())
        while time.perf_counter() - began < seconds:
            self._hear(0.1, again=True)
        passed = time.perf_counter() - began
        share = (time.process_time() - busy) / passed
        answers = self._answers(passed, share)
        self._drain()
        return answers

    def open(self, seconds: float, rate: float) -> Answers:
        """Each asks ``rate`` times a second, for so long, evenly beside the others; all answers are waited for."""
        began, busy = time.perf_counter(), time.process_time()
        count = len(self._clients)
        total = round(seconds * rate * count)
        for number in range(total):
            due = began + number / (rate * count)
            while (wait := due - time.perf_counter()) > 0:
                # epoll counts in milliseconds: below one it is asked again and again.
                self._hear(wait if wait > 0.002 else 0.0)
            self._ask(self._clients[number % count], due)
        self._drain()
        passed = time.perf_counter() - began
        return self._answers(passed, (time.process_time() - busy) / passed)

    def _ask(self, client: _Client, due: float) -> None:
        client.count += 1
        client.ask(self._questions[client.count % _IDS], due)

    def _answers(self, passed: float, share: float) -> Answers:
        return Answers(
            times=list(self._times),
            seconds=passed,
            errors=list(self._errors),
            received=self._received,
            own_share=share,
        )

    def _drain(self) -> None:
        deadline = time.perf_counter() + _PATIENCE
        while any(client.asked for client in self._clients):
            if time.perf_counter() > deadline:
                raise TimeoutError(f"answers are missing after {_PATIENCE:.0f} s")
            self._hear(0.1)

    def _hear(self, wait: float, *, again: bool = False) -> None:
        """Take what has come.

        Raises:
            ConnectionError: the daemon hung up.
        """
        for number, _ in self._poll.poll(wait):
            client = self._by_number[number]
            data = client.channel.recv(1 << 20)
            if not data:
                raise ConnectionError("the daemon closed a connection")
            arrived = time.perf_counter()
            self._received += len(data)
            for _ in range(data.count(b"\n")):
                self._times.append(arrived - client.asked.popleft())
            if b'"error":' in data[:200]:
                self._errors.append(data[:300])
            client.flush()
            if again and not client.asked:
                self._ask(client, arrived)

    def close(self) -> None:
        self._poll.close()
        for client in self._clients:
            client.channel.close()
