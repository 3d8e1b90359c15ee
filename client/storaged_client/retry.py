"""Decides what may be sent again, and when: the same rules for both clients.

::

    the request was not sent completely  send it on the next connection, whatever it is
    sent, no answer, a read              send it again, with back-off, until the window is over
    sent, no answer, a mutation          OutcomeUnknown
    ShuttingDown, a read                 send it again to the next daemon
    ShuttingDown, a mutation             the caller decides: nothing was done
"""

from __future__ import annotations

from .contract.errors import ShuttingDown, from_wire
from .errors import ClientClosed, OutcomeUnknown

TYPE_CHECKING = False  # what only types need costs a command's start nothing
if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from typing import Any, Protocol, TypeAlias

    from .progress import Listener

    Params: TypeAlias = dict[str, Any] | list[Any] | None

    class Answer(Protocol):
        """What came of a request on one connection."""

        lost: bool
        sent: bool
        result: Any
        error: dict[str, Any] | None


WINDOW = 10.0
"""Seconds to wait for a daemon that went away."""

GRACE = 5.0
"""Seconds a read may take beyond the time it was given at the daemon."""


class Again(Exception):
    """The request may be sent on another connection."""


class Request:
    """One request, as often as it is sent. ``listener`` receives its progress, ``descriptors`` are sent with it."""

    __slots__ = ("descriptors", "listener", "method", "params")

    def __init__(
        self,
        method: str,
        params: Params = None,
        listener: Listener | None = None,
        descriptors: Sequence[int] = (),
    ) -> None:
        self.method = method
        self.params = params
        self.listener = listener
        self.descriptors = descriptors

    def stating(self, store: dict[str, Any] | None) -> Request:
        """The same request with the common parameter ``store``. Positional parameters cannot include it."""
        if store is None or isinstance(self.params, list):
            return self
        return Request(self.method, {"store": store, **(self.params or {})}, self.listener, self.descriptors)


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


def result_of(answer: Answer, method: str, *, closed: bool) -> Any:
    """The result of a request that is done. ``closed``: the client itself ended the connection.

    Raises:
        Again: it may be sent again.
        ClientClosed, OutcomeUnknown: the connection ended first.
        StoragedError: the daemon's own answer.
    """
    if answer.lost:
        if closed:
            raise ClientClosed("the client was closed while a call ran")
        if answer.sent and mutates(method):
            raise OutcomeUnknown(f"the daemon went away before it answered {method}: check whether it was done")
        raise Again("it closed the connection before it answered")
    if answer.error is None:
        return answer.result
    error = from_wire(answer.error, method)
    if isinstance(error, ShuttingDown) and not mutates(method):
        raise Again("it is shutting down") from error
    raise error
