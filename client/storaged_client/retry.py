"""Decides what may be sent again, and when: the same rules for both clients.

::

    the request was not sent completely  send it on the next connection, whatever it is
    sent, no answer, a read              send it again, with back-off, until the window is over
    sent, no answer, a mutation          OutcomeUnknown
    ShuttingDown, a read                 send it again to the next daemon
    ShuttingDown, a mutation             the caller decides: nothing was done
"""

from __future__ import annotations

from collections.abc import Iterator

WINDOW = 10.0
"""Seconds to wait for a daemon that went away."""

GRACE = 5.0
"""Seconds a read may take beyond the time it was given at the daemon."""


class Again(Exception):
    """The request may be sent on another connection."""


def delays() -> Iterator[float]:
    """Seconds to wait before each further attempt: 10 ms doubling to half a second."""
    delay = 0.01
    while True:
        yield delay
        delay = min(delay * 2, 0.5)


def mutates(method: str) -> bool:
    """Whether sending ``method`` twice may do something twice. An unknown method may."""
    if method == "rpc.discover":
        return False
    from .contract.methods import METHODS  # imports attrs, only after an error

    row = METHODS.get(method)
    return row is None or row.mutates
