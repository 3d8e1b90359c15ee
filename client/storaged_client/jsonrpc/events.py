"""What a peer tells its owner: each event says whose turn it is, or whose fault."""

from __future__ import annotations

from typing import Any, NamedTuple

from .messages import ID


class Batch:
    """The answers of one batch, kept until the last is there, in the order of the requests."""

    __slots__ = ("parts", "places", "size")

    def __init__(self, count: int) -> None:
        self.parts: list[bytes | None] = [None] * count
        self.places: dict[ID, int] = {}
        """Where the answer of a request still in flight belongs."""
        self.size = 0

    def put(self, place: int, part: bytes) -> None:
        self.parts[place] = part
        self.size += len(part)

    def take(self) -> bytes:
        """The whole array once nothing is in flight; empty before, and for notifications alone."""
        answers = [part for part in self.parts if part is not None]
        if self.places or not answers:
            return b""
        return b"[" + b",".join(answers) + b"]\n"


class Request(NamedTuple):
    """To be answered exactly once, by ``send_result`` or ``send_error``."""

    id: ID
    method: str
    params: Any
    fds: tuple[int, ...] = ()
    batch: Batch | None = None


class Notification(NamedTuple):
    """Never answered."""

    method: str
    params: Any
    fds: tuple[int, ...] = ()


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
    """Bytes to send now."""

    data: bytes


class Close(NamedTuple):
    """Close after sending what is queued; nothing more will be read."""

    reason: str


class Discard(NamedTuple):
    """Descriptors that nobody takes: close them."""

    fds: tuple[int, ...]


Event = Request | Notification | Cancel | Response | ErrorResponse | Stray | Reply | Close | Discard
