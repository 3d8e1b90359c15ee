"""Answers that handlers return; the connection adds the headers that all of podman's answers have.

::

    Answer     has its whole body, which is sent with its length
    Streamed   produces its body piece by piece: in chunks, or up to the end of an HTTP/1.0 connection

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
    """An answer with its whole body. ``bare``: without the headers of a handler, as a router answers."""

    status: int = 200
    headers: Headers = ()
    body: tuple[bytes, ...] = ()
    bare: bool = False

    @property
    def size(self) -> int:
        """The length of the body in bytes."""
        return sum(map(len, self.body))


@frozen(kw_only=True)
class Streamed:
    """An answer whose body comes piece by piece.

    ``pieces`` is closed when the answer ends, for whatever reason. ``bare`` as in :class:`Answer`.
    """

    status: int = 200
    reason: bytes = b""
    headers: Headers = ()
    pieces: AsyncGenerator[bytes, None]
    bare: bool = False


def json_answer(value: object, status: int = 200) -> Answer:
    """An answer with any JSON-like value."""
    return encoded_answer((_encoder.encode(value),), status)


def encoded_answer(parts: Sequence[bytes], status: int = 200) -> Answer:
    """An answer with JSON that is already encoded, in parts to be joined."""
    return Answer(status=status, headers=JSON, body=(*parts, b"\n"))


def text_answer(text: str, status: int = 200) -> Answer:
    """An answer with the text and LF."""
    return Answer(status=status, headers=TEXT, body=(text.encode("ascii", "replace"), b"\n"))


def empty_answer(status: int = 204) -> Answer:
    return Answer(status=status)


def error_answer(status: int, message: str, cause: str | None = None) -> Answer:
    """podman's error body, the same in both trees."""
    return json_answer({"cause": message if cause is None else cause, "message": message, "response": status}, status)


def answer_of(error: ApiError) -> Answer:
    return error_answer(error.status, error.message, error.cause)


def plain_answer(status: int, text: str, headers: Headers = ()) -> Answer:
    """An answer from the router or from the HTTP server itself."""
    return Answer(status=status, headers=(*PLAIN, *headers), body=(text.encode(), b"\n"), bare=True)


def moved_answer(location: str) -> Answer:
    return Answer(status=301, headers=((b"Location", location.encode("latin-1", "replace")),), bare=True)
