"""What a connection is to the floors below: who is at the other end, and what it holds."""

from __future__ import annotations

from attrs import define, frozen


@frozen(kw_only=True)
class Credentials:
    """SO_PEERCRED at accept. The pid may be reused by the time it is read."""

    pid: int
    uid: int
    gid: int


@define(kw_only=True, eq=False)
class Session:
    """One connection."""

    credentials: Credentials
    number: int
    """Counts connections since the daemon started; names the connection in the log."""
