"""The limits that protect the daemon's memory and one client from another.

Budgets are per uid, for one user's broken script must not shut out the others, nor that user's own
next command: the last place of each kind is kept for somebody who has none yet.

::

    connections   a uid that has one leaves the last place of the daemon to a uid that has none;
                  a process that has one leaves the last place of its uid to a process that has none
    in flight     a connection that has one running leaves the last 64 of its uid to its sisters
    bytes         replies made and not yet taken by the kernel: a connection that has some leaves room
                  for the longest one of its uid's to its sisters
    requests      texts of requests being answered: a connection that has some leaves room for as much as
                  one connection may have to its sisters

Each time a limit is reached, the counter ``limits.NAME`` says so: a limit that nobody reaches can stay as it
is, and one that is reached all day is too low, or there is somebody who does not behave.
"""

from __future__ import annotations

from collections import defaultdict
from typing import NoReturn, TypeVar

from attrs import asdict, fields, frozen

from storaged.engine.cursors import PER_UID as CURSORS
from storaged.engine.cursors import UNUSED_SECONDS as CURSOR_SECONDS
from storaged.engine.leases import IMAGES_PER_UID as LEASED_IMAGES
from storaged.engine.leases import PER_UID as LEASES
from storaged.engine.plans import PER_UID as PLANS
from storaged.engine.plans import SECONDS as PLAN_SECONDS
from storaged.metrics import Metrics
from storaged_client.contract.errors import TooManyRequests

Key = TypeVar("Key", int, tuple[int, int])


@frozen(kw_only=True)
class Limits:
    """Every limit of the protocol (sizes in bytes, times in seconds). No client can raise one."""

    connections: int = 256
    request_bytes: int = 1 << 20
    reply_bytes: int = 64 << 20
    descriptors: int = 16
    """Of one message."""
    batch: int = 100
    in_flight: int = 64
    """Of one connection; then reading stops."""
    in_flight_bytes: int = 4 << 20
    """Texts of one connection's requests in flight; then reading stops. Parsed, they take some twenty times as much."""
    waiting_bytes: int = 1 << 20
    """Of one connection's answers that wait to be written; then reading stops."""
    stall_seconds: int = 30
    """A peer that takes nothing for so long is closed."""
    text_seconds: int = 30
    """A peer that begins a text and is waited for so long until it has come whole is closed."""
    drain_seconds: int = 10
    """From the first SIGTERM to the end."""
    uid_connections: int = 255
    uid_in_flight: int = 1024
    uid_bytes: int = 256 << 20
    uid_request_bytes: int = 32 << 20
    cursors: int = CURSORS
    """Listings under way of one uid; the oldest goes first."""
    cursor_seconds: int = CURSOR_SECONDS
    plans: int = PLANS
    """Of one uid; the oldest goes first."""
    plan_seconds: int = PLAN_SECONDS
    leases: int = LEASES
    leased_images: int = LEASED_IMAGES
    """In all leases of one uid, each time counted."""

    def as_facts(self) -> dict[str, int]:
        return asdict(self)


_TEXTS = {
    "connections": "too many connections: close some, or use one for several requests",
    "in_flight": "too many requests of this user at once: wait for some answers first",
    "bytes": "too many unread answers of this user: read them first, or ask for less with limit and fields",
    "request_bytes": "too long requests of this user at once: wait for some answers first, or ask for less at a time",
}


class Guard:
    """Counts what each uid holds. Lives on the event loop; nothing here waits."""

    def __init__(self, limits: Limits, metrics: Metrics) -> None:
        self._limits = limits
        self._metrics = metrics
        self._connections: defaultdict[int, int] = defaultdict(int)
        self._processes: defaultdict[tuple[int, int], int] = defaultdict(int)
        self._in_flight: defaultdict[int, int] = defaultdict(int)
        self._bytes: defaultdict[int, int] = defaultdict(int)
        self._request_bytes: defaultdict[int, int] = defaultdict(int)
        for limit in fields(Limits):
            # What was never reached is told as 0: an operator sees that it is counted.
            metrics.add(f"limits.{limit.name}", 0)

    @property
    def connections(self) -> int:
        return sum(self._connections.values())

    @property
    def in_flight(self) -> int:
        return sum(self._in_flight.values())

    @property
    def bytes(self) -> int:
        return sum(self._bytes.values())

    def revise(self, limits: Limits) -> None:
        """Count against these from now on. Who has more than they allow keeps it, and gets nothing more."""
        self._limits = limits

    @property
    def request_bytes(self) -> int:
        return sum(self._request_bytes.values())

    def reached(self, limit: str) -> None:
        """Count that one of the limits was reached; ``limit`` is its name in ``Limits``."""
        self._metrics.add(f"limits.{limit}")

    def enter(self, uid: int, pid: int) -> None:
        """Count a connection; ``leave`` gives it back.

        ``pid`` is who made it. Processes whose pid the kernel does not tell count as one.

        Raises:
            TooManyRequests: the daemon or this uid has as many as it may.
        """
        has = self._connections.get(uid, 0)
        limit = self._limits.uid_connections - (1 if self._processes.get((uid, pid)) else 0)
        if has >= limit:
            self._refuse("uid_connections", "connections", limit)
        limit = self._limits.connections - self.connections + has - (1 if has else 0)
        if has >= limit:
            self._refuse("connections", "connections", limit)
        self._connections[uid] += 1
        self._processes[uid, pid] += 1

    def leave(self, uid: int, pid: int) -> None:
        _give(self._connections, uid, 1)
        _give(self._processes, (uid, pid), 1)

    def begin(self, uid: int, *, beside: int) -> None:
        """Count a request of a connection that has ``beside`` others running; ``end`` gives it back.

        Raises:
            TooManyRequests: this uid has as many running as it may.
        """
        has = self._in_flight.get(uid, 0)
        limit = self._limits.uid_in_flight
        if beside:
            limit = max(limit - self._limits.in_flight, limit // 2)
        if has >= limit:
            self._refuse("uid_in_flight", "in_flight", limit)
        self._in_flight[uid] += 1

    def end(self, uid: int) -> None:
        _give(self._in_flight, uid, 1)

    def hold(self, uid: int, size: int, *, beside: int, insist: bool = False) -> None:
        """Count the bytes of a reply until the kernel took them; ``free`` gives them back.

        ``beside`` is what the same connection holds already. ``insist``: it is sent whatever the budget says.

        Raises:
            TooManyRequests: as many bytes wait for this uid's clients as may.
        """
        has = self._bytes.get(uid, 0)
        limit = self._limits.uid_bytes
        if beside:
            limit = max(limit - self._limits.reply_bytes, limit // 2)
        if has and has + size > limit and not insist:
            self._refuse("uid_bytes", "bytes", limit)
        if size:
            self._bytes[uid] += size

    def free(self, uid: int, size: int) -> None:
        _give(self._bytes, uid, size)

    def hold_request(self, uid: int, size: int, *, beside: int) -> None:
        """Count the bytes of a request's text until it is answered; ``free_request`` gives them back.

        ``beside`` is what the same connection has in flight already.

        Raises:
            TooManyRequests: the requests of this uid are as long as they may be together.
        """
        has = self._request_bytes.get(uid, 0)
        limit = self._limits.uid_request_bytes
        if beside:
            limit = max(limit - self._limits.in_flight_bytes, limit // 2)
        if has and has + size > limit:
            self._refuse("uid_request_bytes", "request_bytes", limit)
        if size:
            self._request_bytes[uid] += size

    def free_request(self, uid: int, size: int) -> None:
        _give(self._request_bytes, uid, size)

    def _refuse(self, name: str, what: str, limit: int) -> NoReturn:
        self.reached(name)
        raise TooManyRequests(_TEXTS[what], {"what": what, "limit": limit})


def _give(counts: defaultdict[Key, int], key: Key, amount: int) -> None:
    left = counts.get(key, 0) - amount
    if left > 0:
        counts[key] = left
    else:
        # Who holds nothing leaves no entry: uids and processes come and go for as long as the daemon lives.
        counts.pop(key, None)
