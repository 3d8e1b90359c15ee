"""What the requests of one connection hold of the budgets, and how much of it more may begin with.

A request counts as in flight from ``begin`` until the kernel has taken its reply; its text and its descriptors count
until it is answered.
"""

from __future__ import annotations

from collections.abc import Sequence

from storaged.server.limits import Limits
from storaged.server.quotas import Quotas
from storaged_client.contract.errors import StoragedError, TooLarge, TooManyRequests


class ConnectionBudget:
    """One connection's share of the ``Quotas`` of its uid. Belongs to the event loop."""

    def __init__(self, uid: int, limits: Limits, quotas: Quotas) -> None:
        self._uid = uid
        self._limits = limits
        self._quotas = quotas
        self._request_bytes = 0
        self._reply_bytes = 0
        self._descriptors: set[int] = set()
        self.in_flight = 0
        self.heaviest = 0
        """The most bytes of requests and replies held at once."""

    def full(self) -> str:
        """The limit that keeps another request from beginning, or an empty string."""
        if self.in_flight >= self._limits.in_flight:
            return "in_flight"
        return "in_flight_bytes" if self._request_bytes >= self._limits.in_flight_bytes else ""

    def begin(self, size: int, descriptors: Sequence[int], *, mutates: bool) -> None:
        """Count a request with a text of this size; ``answered`` and ``end`` give it back.

        Raises:
            TooManyRequests: a budget is spent; nothing was counted.
        """
        if len(self._descriptors) + len(descriptors) > self._limits.descriptors:
            self._quotas.reached("descriptors")
            raise TooManyRequests(
                f"requests of this connection that are not answered yet hold {len(self._descriptors)} descriptors: "
                "wait for their answers"
            )
        if mutates:
            # Its reply is not refused once the change is made, so there must be room for one beforehand.
            self._quotas.hold(self._uid, 0, beside=self._reply_bytes)
        self._quotas.begin(self._uid, beside=self.in_flight)
        try:
            self._quotas.hold_request(self._uid, size, beside=self._request_bytes)
        except StoragedError:
            self._quotas.end(self._uid)
            raise
        self.in_flight += 1
        self._request_bytes += size
        self._descriptors.update(descriptors)
        self._weigh()

    def answered(self, size: int, descriptors: Sequence[int]) -> None:
        """Give back a request's text and descriptors, which the caller closes."""
        self._descriptors.difference_update(descriptors)
        self._request_bytes -= size
        self._quotas.free_request(self._uid, size)

    def end(self) -> None:
        """A request is no longer in flight."""
        self.in_flight -= 1
        self._quotas.end(self._uid)

    def hold(self, size: int, *, batch: int, changed: bool) -> None:
        """Count a reply of this size; ``free`` gives it back. ``batch`` is what others of its batch take.

        A reply to what ``changed`` the store is counted even over budget.

        Raises:
            TooLarge: it may not be sent.
            TooManyRequests: a budget is spent.
        """
        if size + batch > self._limits.reply_bytes:
            self._quotas.reached("reply_bytes")
            raise _too_large(size, self._limits.reply_bytes, changed=changed)
        self._quotas.hold(self._uid, size, beside=self._reply_bytes, insist=changed)
        self._reply_bytes += size
        self._weigh()

    def free(self, size: int) -> None:
        """Give back a reply that the kernel has taken."""
        self._reply_bytes -= size
        self._quotas.free(self._uid, size)

    def release(self) -> list[int]:
        """Give back everything when the connection has ended; returns the descriptors to close."""
        for _ in range(self.in_flight):
            self.end()
        self._quotas.free_request(self._uid, self._request_bytes)
        self._request_bytes = 0
        self.free(self._reply_bytes)
        descriptors = list(self._descriptors)
        self._descriptors.clear()
        return descriptors

    def _weigh(self) -> None:
        self.heaviest = max(self.heaviest, self._request_bytes + self._reply_bytes)


def _too_large(size: int, limit: int, *, changed: bool) -> TooLarge:
    evidence = {"size": size, "limit": limit}
    if changed:
        text = "it was carried out, but its report is larger than may be sent: look at what is there now"
        return TooLarge(text, {**evidence, "carried_out": True})
    return TooLarge("the answer is larger than may be sent: ask for less with limit and fields", evidence)
