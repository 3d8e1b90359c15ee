"""Answers of a ``Peer`` as one text each."""

from __future__ import annotations

from typing import Any

from storaged_client.jsonrpc.events import Request
from storaged_client.jsonrpc.peer import Peer


def result_text(peer: Peer, request: Request, result: bytes) -> bytes:
    """``Peer.result_parts``, joined."""
    return b"".join(peer.result_parts(request, (result,)))


def error_text(peer: Peer, request: Request, code: int, message: str, data: dict[str, Any] | None = None) -> bytes:
    """``Peer.error_parts``, joined."""
    return b"".join(peer.error_parts(request, code, message, data))
