"""Heads of messages that are passed on: built from what was parsed, never copied.

Two parsers can disagree on where a message ends (request smuggling). So nothing is passed on that could be read in two
ways: we write the framing ourselves, once, and fields that belong to one connection only (RFC 9110, 7.6.1) are dropped.
The target and the values of all other fields keep their bytes.
"""

from __future__ import annotations

from typing import Final, TypeAlias

import h11

from storaged.gateway.errors import ApiError

Header: TypeAlias = tuple[bytes, bytes]
_Message: TypeAlias = h11.Request | h11.Response | h11.InformationalResponse

UPGRADES: Final = frozenset({b"tcp", b"websocket"})
"""The protocols that clients of podman ask to switch to: tcp for docker and podman, websocket for cockpit. podman
accepts any word."""

STREAMS: Final = frozenset({b"application/vnd.docker.raw-stream", b"application/vnd.docker.multiplexed-stream"})
"""Types of an answer after which the connection carries bytes both ways, if the answer has no length (podman
``attach``)."""

_CONTROL: Final = bytes([*range(9), *range(10, 32), 127])
"""What Go's server rejects in a value and h11 accepts."""

_HOP_BY_HOP: Final = frozenset(
    {
        *(b"connection", b"keep-alive", b"proxy-authenticate", b"proxy-authorization", b"proxy-connection"),
        *(b"te", b"trailer", b"transfer-encoding", b"upgrade", b"http2-settings"),
    }
)
_KEPT: Final = frozenset({b"host", b"content-length", b"expect", b"via"})
"""Fields that a client cannot have dropped by naming them in ``Connection``, because passing on depends on them."""


def for_podman(request: h11.Request, *, via: bytes) -> h11.Request:
    """The request to send to podman. ``via`` names this daemon, so that a request that comes back is recognized.

    Raises:
        ApiError: it can be read in two ways, has been here already, or asks for a proxy to another host.
    """
    if request.method == b"CONNECT":
        raise ApiError(405, "CONNECT is not supported: this is not a proxy to other hosts")
    names = [name for name, _ in request.headers]
    chunked = b"transfer-encoding" in names
    if chunked and b"content-length" in names:
        raise ApiError(400, "a request with both Content-Length and Transfer-Encoding is refused")
    if chunked and request.http_version < b"1.1":
        raise ApiError(400, "an HTTP/1.0 request with Transfer-Encoding is refused")
    if any(len(value.translate(None, _CONTROL)) != len(value) for _, value in request.headers):
        raise ApiError(400, "a header field has a control character in its value")
    if any(name == b"via" and via in value.replace(b",", b" ").split() for name, value in request.headers):
        raise ApiError(508, "the request came back to this daemon: podman_socket leads to its own socket")
    headers = _end_to_end(request)
    if b"host" not in names:
        headers.insert(0, (b"Host", b"d"))
    if chunked:
        headers.append((b"Transfer-Encoding", b"chunked"))
    upgrade = _upgrade(request)
    if upgrade is not None:
        headers += [(b"Connection", b"Upgrade"), (b"Upgrade", upgrade)]
    headers.append((b"Via", request.http_version + b" " + via))
    return h11.Request(method=request.method, target=request.target, headers=headers)


def for_client(response: h11.Response | h11.InformationalResponse) -> list[Header]:
    """The fields of an answer without a tunnel, with its length if that is known. The sender adds chunking."""
    headers = _end_to_end(response)
    if any(name == b"transfer-encoding" for name, _ in response.headers):
        headers = [(name, value) for name, value in headers if name.lower() != b"content-length"]
    return headers


def opens_tunnel(request: h11.Request, response: h11.Response) -> bool:
    """Whether this answer turns the connection into a byte stream both ways although it is not a 101."""
    if response.status_code != 200 or request.method != b"POST":
        return False
    kind = b""
    for name, value in response.headers:
        if name in (b"content-length", b"transfer-encoding"):
            return False
        if name == b"content-type":
            kind = value.lower().partition(b";")[0].strip()
    return kind in STREAMS


def tunnel_head(response: h11.Response | h11.InformationalResponse) -> bytes:
    """The head of an answer that opens a tunnel, as bytes. It has no framing, and ``Upgrade`` if podman agreed to one.

    Written by hand, because h11 would frame what follows.
    """
    lines = [b"HTTP/1.1 %d %s" % (response.status_code, bytes(response.reason))]
    lines += [name + b": " + value for name, value in _end_to_end(response)]
    if response.status_code == 101:
        lines.append(b"Connection: Upgrade")
        lines += [b"Upgrade: " + value for name, value in response.headers if name == b"upgrade"]
    return b"\r\n".join(lines) + b"\r\n\r\n"


def _end_to_end(message: _Message) -> list[Header]:
    dropped = (_named(message) | _HOP_BY_HOP) - _KEPT
    return [(raw, value) for raw, value in message.headers.raw_items() if raw.lower() not in dropped]


def _named(message: _Message) -> set[bytes]:
    """The words in ``Connection``, in lower case."""
    values = [value for name, value in message.headers if name == b"connection"]
    return {word.strip().lower() for value in values for word in value.split(b",")}


def _upgrade(request: h11.Request) -> bytes | None:
    """The one protocol that the client asks to switch to, if podman's clients use it."""
    asked = [value.strip() for name, value in request.headers if name == b"upgrade"]
    if len(asked) != 1 or asked[0].lower() not in UPGRADES or b"upgrade" not in _named(request):
        return None
    return asked[0]
