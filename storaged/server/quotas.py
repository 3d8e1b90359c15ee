"""Budgets that protect the daemon's memory, and one client from another.

Budgets are per uid: one user's broken script must not shut out the others, nor that user's own next command, so the
last place of each kind is reserved for somebody who has none yet. Subordinate uids count as the user they belong to,
and leave an eighth of each budget to that user. There are also budgets of all users together; root and the daemon's
own user keep an eighth of each, and a sixteenth of the connections.

::

    connections   a uid that has one leaves the daemon's last place to a uid that has none;
                  a process that has one leaves its uid's last place to a process that has none
    in flight     a connection with a running request leaves its uid's last 64 places to the uid's other connections
    bytes         replies that the kernel has not taken yet: a connection that has some leaves room for the longest
                  reply to its uid's other connections
    requests      texts of requests being answered: a connection that has some leaves as much as one connection may
                  have to its uid's other connections

Each time a limit is reached, the counter ``limits.NAME`` goes up. A limit that nobody reaches can stay as it is; one
that is reached all day is too low, or a client misbehaves.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection
from typing import NoReturn, TypeVar

from attrs import fields

from storaged.metrics import Metrics
from storaged.server.limits import Limits
from storaged_client.contract.errors import TooManyRequests

Key = TypeVar("Key", int, tuple[int, int])

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

    ``owner`` says which account a uid counts as. It is asked when the uid's first connection comes, and holds until the
    last one ends.
    """

    def __init__(
        self,
        limits: Limits,
        metrics: Metrics,
        *,
        owner: Callable[[int], int] = int,
        favoured: Collection[int] = (),
    ) -> None:
        self._metrics = metrics
        self._owner = owner
        self._favoured = frozenset(favoured)
        self._uids: dict[int, tuple[int, int]] = {}
        """Each connected uid's account and number of connections."""
        self._processes: defaultdict[tuple[int, int], int] = defaultdict(int)
        self._connections = _Counts()
        self._in_flight = _Budget("in_flight")
        self._bytes = _Budget("bytes")
        self._request_bytes = _Budget("request_bytes")
        self.revise(limits)
        for limit in fields(Limits):
            # A limit that was never reached shows as 0, so that an operator sees it is counted.
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
        """Count against these limits from now on. A user who has more than they allow keeps it, but gets no more."""
        self._limits = limits
        self._in_flight.bound(limits.uid_in_flight, limits.total_in_flight, limits.in_flight)
        self._bytes.bound(limits.uid_bytes, limits.total_bytes, limits.reply_bytes)
        self._request_bytes.bound(limits.uid_request_bytes, limits.total_request_bytes, limits.in_flight_bytes)

    def reached(self, limit: str) -> None:
        """Count that a limit was reached; ``limit`` is its name in ``Limits``."""
        self._metrics.add(f"limits.{limit}")

    def account(self, uid: int) -> int:
        """The uid that this one counts as."""
        known = self._uids.get(uid)
        return self._owner(uid) if known is None else known[0]

    def is_favoured(self, uid: int) -> bool:
        """Whether room is reserved for this uid. None is for subordinate ids of the daemon's own user."""
        return uid in self._favoured

    def enter(self, uid: int, pid: int) -> None:
        """Count a connection of process ``pid``; ``leave`` gives it back.

        ``pid`` made the connection. Processes whose pid the kernel does not tell count as one.

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
            TooManyRequests: this user, or all users together, have as many running as they may.
        """
        self._claim(self._in_flight, uid, 1, beside)

    def end(self, uid: int) -> None:
        self._in_flight.give(self.account(uid), 1)

    def hold(self, uid: int, size: int, *, beside: int, insist: bool = False) -> None:
        """Count the bytes of a reply until the kernel has taken them; ``free`` gives them back.

        ``beside`` is what the same connection holds already. ``insist``: count them even over budget.

        Raises:
            TooManyRequests: as many bytes wait for this user, or for all users together, as may.
        """
        self._claim(self._bytes, uid, size, beside, insist=insist)

    def free(self, uid: int, size: int) -> None:
        self._bytes.give(self.account(uid), size)

    def hold_request(self, uid: int, size: int, *, beside: int) -> None:
        """Count the bytes of a request's text until it is answered; ``free_request`` gives them back.

        ``beside`` is what the same connection already has in flight.

        Raises:
            TooManyRequests: the requests of this user, or of all users together, are as long as they may be.
        """
        self._claim(self._request_bytes, uid, size, beside)

    def free_request(self, uid: int, size: int) -> None:
        self._request_bytes.give(self.account(uid), size)

    def _claim(self, budget: _Budget, uid: int, size: int, beside: int, *, insist: bool = False) -> None:
        """Take ``size`` of a budget. A claim by somebody who has nothing of it is granted, however large it is."""
        account = self.account(uid)
        if not insist and (has := budget.of(account)):
            limit = self._own(uid, account, budget.own)
            if beside:
                limit = max(limit - budget.sisters, limit // 2)
            if has + size > limit:
                self._refuse(f"uid_{budget.name}", budget.name, limit)
        if not insist and budget.total:
            limit = self._shared(uid, budget.shared)
            if budget.total + size > limit:
                self._refuse(f"total_{budget.name}", budget.name, limit, of_all=True)
        if size:
            budget.add(account, size)

    def _own(self, uid: int, account: int, limit: int) -> int:
        """How much of its account's budget a uid may use."""
        return limit if uid == account else limit - limit // 8

    def _shared(self, uid: int, limit: int) -> int:
        """How much of the budget of all users a uid may use."""
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


class _Budget(_Counts):
    """What accounts hold of one thing, and the limits for it."""

    def __init__(self, name: str) -> None:
        super().__init__()
        self.name = name
        self.bound(0, 0, 0)

    def bound(self, own: int, shared: int, sisters: int) -> None:
        """Set the limits: of each account, of all together, and what a connection leaves to others of its account."""
        self.own, self.shared, self.sisters = own, shared, sisters


def _give(counts: defaultdict[Key, int], key: Key, amount: int) -> None:
    left = counts.get(key, 0) - amount
    if left > 0:
        counts[key] = left
    else:
        # No entry stays behind: uids and processes come and go for as long as the daemon lives.
        counts.pop(key, None)
