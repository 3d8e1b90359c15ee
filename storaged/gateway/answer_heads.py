"""Heads of answers, and the words for what is no HTTP."""

from __future__ import annotations

from typing import Final

import h11

from storaged.gateway.answers import Answer, plain_answer

REASONS: Final = {
    **{200: b"OK", 201: b"Created", 204: b"No Content", 301: b"Moved Permanently", 304: b"Not Modified"},
    **{400: b"Bad Request", 403: b"Forbidden", 404: b"Not Found", 405: b"Method Not Allowed", 408: b"Request Timeout"},
    **{409: b"Conflict", 413: b"Request Entity Too Large", 429: b"Too Many Requests"},
    **{431: b"Request Header Fields Too Large", 500: b"Internal Server Error", 501: b"Not Implemented"},
    **{502: b"Bad Gateway", 503: b"Service Unavailable", 505: b"HTTP Version Not Supported"},
}


def response_head(
    http: h11.Connection, status: int, reason: bytes, headers: list[tuple[bytes, bytes]], *, last: bool, old: bool
) -> bytes:
    """The head of an answer, ``last`` of its connection, ``old`` to a client of HTTP/1.0."""
    if last:
        headers.append((b"Connection", b"close"))
    event = h11.Response(status_code=status, headers=headers, reason=reason or REASONS.get(status, b""))
    head = http.send(event) or b""
    # h11 answers in its own version, whatever the version of the request.
    return b"HTTP/1.0" + head[8:] if old else head


def told(error: h11.RemoteProtocolError) -> str:
    """What is wrong, without the input that h11 quotes after a colon: it may contain a password."""
    return str(error).partition(":")[0]


def refusal(error: h11.RemoteProtocolError) -> Answer:
    """The answer to it."""
    status = error.error_status_hint
    reason = REASONS.get(status, b"Bad Request").decode()
    return plain_answer(status, f"{status} {reason}: {told(error)}")
