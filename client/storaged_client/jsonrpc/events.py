"""The events that a peer reports to its owner."""

from __future__ import annotations

from typing import Any, NamedTuple

from .messages import ID


class Batch:
    """The answers of one batch, kept until the last one is there, in the order of the requests."""

    __slots__ = ("parts", "places", "size")

    def __init__(self, count: int) -> None:
        self.parts: list[tuple[bytes, ...]] = [()] * count
        """Each answer in parts to be joined; none for requests without an answer."""
        self.places: dict[ID, int] = {}
        """The positions of the requests still in flight."""
        self.size = 0

    def put(self, place: int, parts: tuple[bytes, ...]) -> None:
        self.parts[place] = parts
        self.size += sum(map(len, parts))

    def take(self) -> tuple[bytes, ...]:
        """The whole array in parts once nothing is in flight; empty before, and for notifications only."""
        answers = [parts for parts in self.parts if parts]
        if self.places or not answers:
            return ()
        first, *others = answers
        return (b"[", *first, *(part for parts in others for part in (b",", *parts)), b"]\n")


class Request(NamedTuple):
    """Must be answered exactly once, with a result or an error. ``size`` is the size of its text in bytes, or of its
    share of a batch's text."""

    id: ID
    method: str
    params: Any
    fds: tuple[int, ...] = ()
    batch: Batch | None = None
    size: int = 0


class Notification(NamedTuple):
    """Never answered."""

    method: str
    params: Any
    fds: tuple[int, ...] = ()
    size: int = 0


class Cancel(NamedTuple):
    """The other end no longer wants the answer of a request in flight. It is still answered."""

    id: ID


class Response(NamedTuple):
    id: ID
    result: Any
    fds: tuple[int, ...] = ()


class ErrorResponse(NamedTuple):
    """``id`` is None if the other end could not tell which request it answers."""

    id: ID
    error: dict[str, Any]


class Stray(NamedTuple):
    """An answer without a request, or an invalid one. Never answered."""

    id: ID
    reason: str


class Reply(NamedTuple):
    """Bytes to send now. ``limit`` names the limit that the other end exceeded: ``request_bytes``, ``descriptors``,
    ``batch``, or none."""

    data: bytes
    limit: str = ""


class Close(NamedTuple):
    """Close after sending what is queued; nothing more will be read."""

    reason: str


class Discard(NamedTuple):
    """Descriptors that belong to no message: close them."""

    fds: tuple[int, ...]


Event = Request | Notification | Cancel | Response | ErrorResponse | Stray | Reply | Close | Discard
