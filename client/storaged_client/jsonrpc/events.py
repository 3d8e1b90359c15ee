"""What a peer tells its owner: each event says whose turn it is, or whose fault."""

from __future__ import annotations

from typing import Any, NamedTuple

from .messages import ID


class Batch:
    """The answers of one batch, kept until the last is there, in the order of the requests."""

    __slots__ = ("parts", "places", "size")

    def __init__(self, count: int) -> None:
        self.parts: list[tuple[bytes, ...]] = [()] * count
        """Each answer in parts to be joined; none for what is not answered."""
        self.places: dict[ID, int] = {}
        """Where the answer of a request still in flight belongs."""
        self.size = 0

    def put(self, place: int, parts: tuple[bytes, ...]) -> None:
        self.parts[place] = parts
        self.size += sum(map(len, parts))

    def take(self) -> tuple[bytes, ...]:
        """The whole array in parts once nothing is in flight; empty before, and for notifications alone."""
        answers = [parts for parts in self.parts if parts]
        if self.places or not answers:
            return ()
        first, *others = answers
        return (b"[", *first, *(part for parts in others for part in (b",", *parts)), b"]\n")


class Request(NamedTuple):
    """To be answered exactly once, with a result or an error. ``size`` is its text's, in bytes, or its share of a
    batch's text."""

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
    """The other end no longer wants the answer of a request that is in flight. It is still answered."""

    id: ID


class Response(NamedTuple):
    id: ID
    result: Any
    fds: tuple[int, ...] = ()


class ErrorResponse(NamedTuple):
    """``id`` is None where the other end could not tell which request it answers."""

    id: ID
    error: dict[str, Any]


class Stray(NamedTuple):
    """An answer to nothing, or no valid one. Never answered."""

    id: ID
    reason: str


class Reply(NamedTuple):
    """Bytes to send now. ``limit`` names the one that the other end went over: ``request_bytes``, ``descriptors``,
    ``batch``, or none."""

    data: bytes
    limit: str = ""


class Close(NamedTuple):
    """Close after sending what is queued; nothing more will be read."""

    reason: str


class Discard(NamedTuple):
    """Descriptors that nobody takes: close them."""

    fds: tuple[int, ...]


Event = Request | Notification | Cancel | Response | ErrorResponse | Stray | Reply | Close | Discard
