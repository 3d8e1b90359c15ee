"""Answers as handlers make them; the connection adds the headers that all of podman's answers have.

::

    Answer     a body that is there, sent with its length
    Streamed   one that is not, sent piece by piece: in chunks, or to the end of an HTTP/1.0 connection

Source of the texts and types: podman 5.8 on the wire.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from typing import TypeAlias

import msgspec
from attrs import frozen

from storaged.gateway.errors import ApiError

Headers: TypeAlias = tuple[tuple[bytes, bytes], ...]

JSON = ((b"Content-Type", b"application/json"),)
"""No charset: podman's bindings and the docker CLI compare the whole value."""
TEXT = ((b"Content-Type", b"text/plain; charset=us-ascii"),)
PLAIN = ((b"Content-Type", b"text/plain; charset=utf-8"), (b"X-Content-Type-Options", b"nosniff"))

_encoder = msgspec.json.Encoder()


@frozen(kw_only=True)
class Answer:
    """``bare``: without the headers of a handler, as a router answers."""

    status: int = 200
    headers: Headers = ()
    body: tuple[bytes, ...] = ()
    bare: bool = False

    @property
    def size(self) -> int:
        """Bytes of the body."""
        return sum(map(len, self.body))


@frozen(kw_only=True)
class Streamed:
    """``pieces`` is closed when the answer ends, however it ends. ``bare`` as in :class:`Answer`."""

    status: int = 200
    reason: bytes = b""
    headers: Headers = ()
    pieces: AsyncGenerator[bytes, None]
    bare: bool = False


def json_answer(value: object, status: int = 200) -> Answer:
    """Any JSON-like value."""
    return encoded_answer((_encoder.encode(value),), status)


def encoded_answer(parts: Sequence[bytes], status: int = 200) -> Answer:
    """JSON that is encoded already, in parts to be joined."""
    return Answer(status=status, headers=JSON, body=(*parts, b"\n"))


def text_answer(text: str, status: int = 200) -> Answer:
    """The text and LF."""
    return Answer(status=status, headers=TEXT, body=(text.encode("ascii", "replace"), b"\n"))


def empty_answer(status: int = 204) -> Answer:
    return Answer(status=status)


def error_answer(status: int, message: str, cause: str | None = None) -> Answer:
    """podman's error body, which is the same in both trees."""
    return json_answer({"cause": message if cause is None else cause, "message": message, "response": status}, status)


def answer_of(error: ApiError) -> Answer:
    return error_answer(error.status, error.message, error.cause)


def plain_answer(status: int, text: str, headers: Headers = ()) -> Answer:
    """What the router, or the HTTP server itself, says."""
    return Answer(status=status, headers=(*PLAIN, *headers), body=(text.encode(), b"\n"), bare=True)


def moved_answer(location: str) -> Answer:
    return Answer(status=301, headers=((b"Location", location.encode("latin-1", "replace")),), bare=True)
