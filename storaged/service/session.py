"""A connection as the service sees it: its peer, what it holds, and how to notify it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

from attrs import Factory, define, field, frozen

from storaged.service.limiters import Limiters


@frozen(kw_only=True)
class Credentials:
    """SO_PEERCRED at accept. The pid may have been reused since."""

    pid: int
    uid: int
    gid: int
    groups: frozenset[int] = frozenset()
    """Supplementary groups of the peer, if the kernel tells them (SO_PEERGROUPS)."""


class Notify(Protocol):
    """Sends a notification on a connection."""

    def __call__(self, method: str, params: dict[str, Any], written: Callable[[], None], /) -> None:
        """Queue a notification; ``written`` is called when the kernel took it, never if the peer stops reading."""


def tell_nobody(method: str, params: dict[str, Any], written: Callable[[], None], /) -> None:
    """For sessions without a peer: send nothing."""


@define(kw_only=True, eq=False)
class Session:
    """One connection."""

    credentials: Credentials
    number: int
    """Counts connections since the daemon started; names the connection in the log."""
    account: int = Factory(lambda self: self.credentials.uid, takes_self=True)
    """The uid whose quotas it counts against: its own, or the one that its own is subordinate to."""
    favoured: bool = False
    """Whether it is root's or the daemon's own user's: some resources are reserved for those."""
    notify: Notify = tell_nobody
    shares: Limiters = field(factory=Limiters)
    _endings: dict[object, Callable[[], None]] = field(factory=dict, init=False)
    _ended: bool = field(default=False, init=False)

    def at_end(self, holder: object, ending: Callable[[], None]) -> None:
        """Call ``ending`` when the connection is gone; at once if it is already.

        One for each ``holder``: it covers everything that the connection ever gets from it.
        """
        if self._ended:
            ending()
        else:
            self._endings.setdefault(holder, ending)

    def end(self) -> None:
        """The connection is gone: give back what it held."""
        self._ended = True
        while self._endings:
            self._endings.popitem()[1]()
