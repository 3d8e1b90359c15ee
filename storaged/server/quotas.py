"""Limits that protect the daemon's memory, and clients from each other.

Budgets are per uid, because one user's broken script must not lock out the others, or that user's own next command: the
last place of each kind is kept for somebody who has none yet. Subordinate uids count as the user they were given to,
and leave an eighth of each budget to the user's own uid. There are also budgets for all users together. An eighth of
those, and a sixteenth of the connections, is kept for root and the daemon's own user.

::

    connections   a uid that has one leaves the last place of the daemon to a uid that has none;
                  a process that has one leaves the last place of its uid to a process that has none
    in flight     a connection with a running request leaves the last 64 of its uid to its other connections
    bytes         unread replies: a connection that has some leaves room for the longest reply to
                  the other connections of its uid
    requests      texts of unanswered requests: a connection that has some leaves as much room as one
                  connection may use to the other connections of its uid

Each time a limit is reached, the counter ``limits.NAME`` counts it. A limit that is never reached can stay as it is;
one that is reached all day is too low, or some client misbehaves.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection
from typing import NoReturn, TypeVar

from attrs import asdict, fields, frozen

from storaged.engine.leases import IMAGES_PER_UID as LEASED_IMAGES
from storaged.engine.leases import PER_UID as LEASES
from storaged.engine.leases import TOTAL as TOTAL_LEASES
from storaged.engine.leases import TOTAL_IMAGES as TOTAL_LEASED_IMAGES
from storaged.engine.tokens import Bounds, Cursors, Plans
from storaged.metrics import Metrics
from storaged_client.contract.errors import TooManyRequests
from storaged_client.json_limits import REPLY_BYTES

Key = TypeVar("Key", int, tuple[int, int])

PARSED = 20
"""A parsed request takes at most this many times the size of its text."""


@frozen(kw_only=True)
class Limits:
    """Every limit of the protocol (sizes in bytes, times in seconds). No client can raise one."""

    connections: int = 256
    request_bytes: int = 1 << 20
    reply_bytes: int = REPLY_BYTES
    descriptors: int = 16
    """Per message."""
    batch: int = 100
    in_flight: int = 64
    """Per connection; at the limit, reading stops."""
    in_flight_bytes: int = 4 << 20
    """Texts of one connection's requests in flight; at the limit, reading stops. Parsed, they take some twenty times as
    much."""
    waiting_bytes: int = 1 << 20
    """Unsent answers of one connection; at the limit, reading stops."""
    stall_seconds: int = 30
    """A peer that reads nothing for this time is disconnected."""
    text_seconds: int = 30
    """A peer that does not complete a text within this time is disconnected."""
    drain_seconds: int = 10
    """From the first SIGTERM to the end."""
    uid_connections: int = 255
    uid_in_flight: int = 1024
    uid_bytes: int = 256 << 20
    uid_request_bytes: int = 16 << 20
    total_in_flight: int = 4096
    """For all users together, like all names that begin this way."""
    total_bytes: int = 384 << 20
    total_request_bytes: int = 24 << 20
    cursors: int = Cursors.usual.per_uid
    """Open listings of one uid; the oldest goes first."""
    cursor_seconds: int = Cursors.usual.seconds
    plans: int = Plans.usual.per_uid
    """Per uid; the oldest goes first."""
    plan_seconds: int = Plans.usual.seconds
    leases: int = LEASES
    leased_images: int = LEASED_IMAGES
    """In all leases of one uid, each counted as often as it is leased."""

    total_cursors: int = Cursors.usual.total
    total_plans: int = Plans.usual.total
    total_leases: int = TOTAL_LEASES
    total_leased_images: int = TOTAL_LEASED_IMAGES

    @property
    def of_cursors(self) -> Bounds:
        """The bounds of listings in pages."""
        return Bounds(per_uid=self.cursors, total=self.total_cursors, seconds=self.cursor_seconds)

    @property
    def of_plans(self) -> Bounds:
        """The bounds of plans from dry runs."""
        return Bounds(per_uid=self.plans, total=self.total_plans, seconds=self.plan_seconds)

    def most_memory(self) -> int:
        """Bytes that all clients together can make the daemon hold, besides the store."""
        return self.total_bytes + PARSED * self.total_request_bytes + self.connections * self.request_bytes

    def as_facts(self) -> dict[str, int]:
        return asdict(self)


_TEXTS = {
    "connections": "too many connections: close some, or use one for several requests",
    "in_flight": "too many requests of this user at once: wait for some answers first",
    "bytes": "too many unread answers of this user: read them first, or ask for less with limit and fields",
    "request_bytes": "too long requests of this user at once: wait for some answers first, or ask for less at a time",
}
_TOTALS = {
    "connections": "too many connections of all users: try again",
    "in_flight": "too many requests of all users at once: try again",
    "bytes": "too many unread answers of all users: try again, or ask for less with limit and fields",
    "request_bytes": "too long requests of all users at once: try again, or ask for less at a time",
}


class Quotas:
    """Counts what each user holds. Belongs to the event loop; nothing here waits.

    ``accounts`` maps a uid to the user it counts as when its first connection comes; that lasts until its last
    connection ends.
    """

    def __init__(
        self,
        limits: Limits,
        metrics: Metrics,
        *,
        owner: Callable[[int], int] = int,
        favoured: Collection[int] = (),
    ) -> None:
        self._limits = limits
        self._metrics = metrics
        self._owner = owner
        self._favoured = frozenset(favoured)
        self._uids: dict[int, tuple[int, int]] = {}
        """For each connected uid: its account, and its number of connections."""
        self._processes: defaultdict[tuple[int, int], int] = defaultdict(int)
        self._connections = _Counts()
        self._in_flight = _Counts()
        self._bytes = _Counts()
        self._request_bytes = _Counts()
        for limit in fields(Limits):
            # Report a limit that was never reached as 0: an operator then sees that it is counted.
            metrics.add(f"limits.{limit.name}", 0)

    @property
    def connections(self) -> int:
        return self._connections.total

    @property
    def in_flight(self) -> int:
        return self._in_flight.total

    @property
    def bytes(self) -> int:
        return self._bytes.total

    @property
    def request_bytes(self) -> int:
        return self._request_bytes.total

    def revise(self, limits: Limits) -> None:
        """Use these limits from now on. A user who exceeds them keeps what it has, and gets no more."""
        self._limits = limits

    def reached(self, limit: str) -> None:
        """Count that a limit was reached; ``limit`` is its name in ``Limits``."""
        self._metrics.add(f"limits.{limit}")

    def account(self, uid: int) -> int:
        """The uid that this one counts as."""
        known = self._uids.get(uid)
        return self._owner(uid) if known is None else known[0]

    def is_favoured(self, uid: int) -> bool:
        """Whether room is kept for this uid; not for subordinate ids of the daemon's own user."""
        return uid in self._favoured

    def enter(self, uid: int, pid: int) -> None:
        """Count a connection of process ``pid``; ``leave`` gives it back.

        Processes whose pid the kernel does not tell count as one.

        Raises:
            TooManyRequests: the daemon or this user has its maximum number of connections.
        """
        account = self.account(uid)
        has = self._connections.of(account)
        limit = self._own(uid, account, self._limits.uid_connections) - (1 if self._processes.get((uid, pid)) else 0)
        if has >= limit:
            self._refuse("uid_connections", "connections", limit)
        limit = self._limits.connections - self.connections + has - (1 if has else 0)
        if has >= limit:
            self._refuse("connections", "connections", limit)
        if not self.is_favoured(uid):
            limit = self._limits.connections - self._limits.connections // 16
            if self.connections >= limit:
                self._refuse("connections", "connections", limit, of_all=True)
        self._uids[uid] = (account, self._uids.get(uid, (account, 0))[1] + 1)
        self._connections.add(account, 1)
        self._processes[uid, pid] += 1

    def leave(self, uid: int, pid: int) -> None:
        account, connections = self._uids[uid]
        if connections > 1:
            self._uids[uid] = (account, connections - 1)
        else:
            del self._uids[uid]
        self._connections.give(account, 1)
        _give(self._processes, (uid, pid), 1)

    def begin(self, uid: int, *, beside: int) -> None:
        """Count a request of a connection with ``beside`` other running requests; ``end`` gives it back.

        Raises:
            TooManyRequests: this user, or all together, have their maximum number of running requests.
        """
        account = self.account(uid)
        limit = self._own(uid, account, self._limits.uid_in_flight)
        if beside:
            limit = max(limit - self._limits.in_flight, limit // 2)
        if self._in_flight.of(account) >= limit:
            self._refuse("uid_in_flight", "in_flight", limit)
        limit = self._shared(uid, self._limits.total_in_flight)
        if self._in_flight.total >= limit:
            self._refuse("total_in_flight", "in_flight", limit, of_all=True)
        self._in_flight.add(account, 1)

    def end(self, uid: int) -> None:
        self._in_flight.give(self.account(uid), 1)

    def hold(self, uid: int, size: int, *, beside: int, insist: bool = False) -> None:
        """Count the bytes of a reply until the kernel took them; ``free`` gives them back.

        ``beside`` is what the same connection already holds. ``insist``: the reply is sent whatever the budget says.

        Raises:
            TooManyRequests: the unread replies of this user, or of all together, are at their limit.
        """
        account = self.account(uid)
        has = self._bytes.of(account)
        limit = self._own(uid, account, self._limits.uid_bytes)
        if beside:
            limit = max(limit - self._limits.reply_bytes, limit // 2)
        if has and has + size > limit and not insist:
            self._refuse("uid_bytes", "bytes", limit)
        limit = self._shared(uid, self._limits.total_bytes)
        if self._bytes.total and self._bytes.total + size > limit and not insist:
            self._refuse("total_bytes", "bytes", limit, of_all=True)
        if size:
            self._bytes.add(account, size)

    def free(self, uid: int, size: int) -> None:
        self._bytes.give(self.account(uid), size)

    def hold_request(self, uid: int, size: int, *, beside: int) -> None:
        """Count the bytes of a request's text until it is answered; ``free_request`` gives them back.

        ``beside`` is what the same connection already has in flight.

        Raises:
            TooManyRequests: the requests of this user, or of all together, are at their limit.
        """
        account = self.account(uid)
        has = self._request_bytes.of(account)
        limit = self._own(uid, account, self._limits.uid_request_bytes)
        if beside:
            limit = max(limit - self._limits.in_flight_bytes, limit // 2)
        if has and has + size > limit:
            self._refuse("uid_request_bytes", "request_bytes", limit)
        limit = self._shared(uid, self._limits.total_request_bytes)
        if self._request_bytes.total and self._request_bytes.total + size > limit:
            self._refuse("total_request_bytes", "request_bytes", limit, of_all=True)
        if size:
            self._request_bytes.add(account, size)

    def free_request(self, uid: int, size: int) -> None:
        self._request_bytes.give(self.account(uid), size)

    def _own(self, uid: int, account: int, limit: int) -> int:
        """The part of a user's budget that this uid may use."""
        return limit if uid == account else limit - limit // 8

    def _shared(self, uid: int, limit: int) -> int:
        """The part of the common budget that this uid may use."""
        return limit if uid in self._favoured else limit - limit // 8

    def _refuse(self, name: str, what: str, limit: int, *, of_all: bool = False) -> NoReturn:
        self.reached(name)
        raise TooManyRequests((_TOTALS if of_all else _TEXTS)[what], {"what": what, "limit": limit})


class _Counts:
    """One number for each account, and their sum."""

    def __init__(self) -> None:
        self._of: defaultdict[int, int] = defaultdict(int)
        self.total = 0

    def of(self, account: int) -> int:
        return self._of.get(account, 0)

    def add(self, account: int, amount: int) -> None:
        self._of[account] += amount
        self.total += amount

    def give(self, account: int, amount: int) -> None:
        self.total -= min(amount, self._of.get(account, 0))
        _give(self._of, account, amount)


def _give(counts: defaultdict[Key, int], key: Key, amount: int) -> None:
    left = counts.get(key, 0) - amount
    if left > 0:
        counts[key] = left
    else:
        # An account that holds nothing has no entry: uids and processes come and go as long as the daemon lives.
        counts.pop(key, None)
