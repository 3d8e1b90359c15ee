"""The limits that protect the daemon's memory and one client from another.

Budgets are per uid, for one user's broken script must not shut out the others, nor that user's own
next command: the last place of each kind is kept for somebody who has none yet.

::

    connections   a uid that has one leaves the last place of the daemon to a uid that has none
    in flight     a connection that has one running leaves the last 64 of its uid to its sisters
    bytes         replies made and not yet taken by the kernel: a connection that has some leaves room
                  for the longest one of its uid's to its sisters
"""

from __future__ import annotations

from collections import defaultdict

from attrs import asdict, frozen

from storaged.metrics import Metrics
from storaged_client.contract.errors import TooManyRequests


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
    stall_seconds: int = 30
    """A peer that takes nothing for so long is closed."""
    drain_seconds: int = 10
    """From the first SIGTERM to the end."""
    uid_connections: int = 255
    uid_in_flight: int = 1024
    uid_bytes: int = 256 << 20

    def as_facts(self) -> dict[str, int]:
        return asdict(self)


class Guard:
    """Counts what each uid holds. Lives on the event loop; nothing here waits."""

    def __init__(self, limits: Limits, metrics: Metrics) -> None:
        self._limits = limits
        self._metrics = metrics
        self._connections: defaultdict[int, int] = defaultdict(int)
        self._in_flight: defaultdict[int, int] = defaultdict(int)
        self._bytes: defaultdict[int, int] = defaultdict(int)

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

    def enter(self, uid: int) -> None:
        """Count a connection; ``leave`` gives it back.

        Raises:
            TooManyRequests: the daemon or this uid has as many as it may.
        """
        has = self._connections[uid]
        limit = min(self._limits.uid_connections, self._limits.connections - self.connections + has - (1 if has else 0))
        if has >= limit:
            self._refuse("connections", uid, limit)
        self._connections[uid] = has + 1

    def leave(self, uid: int) -> None:
        _give(self._connections, uid, 1)

    def begin(self, uid: int, *, beside: int) -> None:
        """Count a request of a connection that has ``beside`` others running; ``end`` gives it back.

        Raises:
            TooManyRequests: this uid has as many running as it may.
        """
        has = self._in_flight[uid]
        limit = self._limits.uid_in_flight
        if beside:
            limit = max(limit - self._limits.in_flight, limit // 2)
        if has >= limit:
            self._refuse("in_flight", uid, limit)
        self._in_flight[uid] = has + 1

    def end(self, uid: int) -> None:
        _give(self._in_flight, uid, 1)

    def hold(self, uid: int, size: int, *, beside: int) -> None:
        """Count the bytes of a reply until the kernel took them; ``free`` gives them back.

        ``beside`` is what the same connection holds already.

        Raises:
            TooManyRequests: as many bytes wait for this uid's clients as may.
        """
        has = self._bytes[uid]
        limit = self._limits.uid_bytes
        if beside:
            limit = max(limit - self._limits.reply_bytes, limit // 2)
        if has and has + size > limit:
            self._refuse("bytes", uid, limit)
        self._bytes[uid] = has + size

    def free(self, uid: int, size: int) -> None:
        _give(self._bytes, uid, size)

    def _refuse(self, what: str, uid: int, limit: int) -> None:
        self._metrics.add(f"refused.{what}")
        for counts in (self._connections, self._in_flight, self._bytes):
            _give(counts, uid, 0)
        texts = {
            "connections": "too many connections: close some, or use one for several requests",
            "in_flight": "too many requests of this user at once: wait for some answers first",
            "bytes": "too many unread answers of this user: read them first, or ask for less with limit and fields",
        }
        raise TooManyRequests(texts[what], {"what": what, "limit": limit})


def _give(counts: defaultdict[int, int], uid: int, amount: int) -> None:
    left = counts[uid] - amount
    if left > 0:
        counts[uid] = left
    else:
        # A uid that holds nothing leaves no entry: uids come and go for as long as the daemon lives.
        counts.pop(uid, None)
