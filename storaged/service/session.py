"""What a connection is to the floors below: who is at the other end, what it holds, and how it is told something."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

from attrs import Factory, define, field, frozen

from storaged.service.limiters import Limiters


@frozen(kw_only=True)
class Credentials:
    """SO_PEERCRED at accept. The pid may be reused by the time it is read."""

    pid: int
    uid: int
    gid: int
    groups: frozenset[int] = frozenset()
    """The other groups that the peer was a member of, where the kernel tells them (SO_PEERGROUPS)."""


class Notify(Protocol):
    """How a connection sends what is no answer."""

    def __call__(self, method: str, params: dict[str, Any], written: Callable[[], None], /) -> None:
        """Queue a notification; ``written`` is called when the kernel took it, and never if the peer reads no more."""


def tell_nobody(method: str, params: dict[str, Any], written: Callable[[], None], /) -> None:
    """There is no peer to be told."""


@define(kw_only=True, eq=False)
class Session:
    """One connection."""

    credentials: Credentials
    number: int
    account: int = Factory(lambda self: self.credentials.uid, takes_self=True)
    """The uid whose budgets it counts against: its own, or the one that its own is subordinate to."""
    favoured: bool = False
    """Root's or the daemon's own user's: for those some room is kept."""
    """Counts connections since the daemon started; names the connection in the log."""
    notify: Notify = tell_nobody
    shares: Limiters = field(factory=Limiters)
    _endings: dict[object, Callable[[], None]] = field(factory=dict, init=False)
    _ended: bool = field(default=False, init=False)

    def at_end(self, holder: object, ending: Callable[[], None]) -> None:
        """Have ``ending`` called when the connection is gone; at once where it is already.

        One for each ``holder``: it stands for everything that the connection ever holds of it.
        """
        if self._ended:
            ending()
        else:
            self._endings.setdefault(holder, ending)

    def end(self) -> None:
        """The connection is gone: what it held is given back."""
        self._ended = True
        while self._endings:
            self._endings.popitem()[1]()
