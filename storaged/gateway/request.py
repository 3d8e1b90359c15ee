"""One HTTP request as handlers see it, and its target split into parts.

::

    /v5.8.0/libpod/images/localhost%2Fa%3A1/json?size=false
     |      |      '-- path: matched in its encoded form; names in it are decoded once, after the match
     |      '-- tree: libpod, or compat if this element is missing
     '-- version; every number is accepted

Source: podman ``pkg/api/server`` (``VersionedPath``), gorilla/mux with ``UseEncodedPath``.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import AsyncGenerator, Sequence
from contextlib import AbstractAsyncContextManager
from functools import cached_property
from typing import Final, Literal, Protocol, TypeAlias

import h11
from attrs import define, field

from storaged.engine.views import Staleness
from storaged.gateway.query import Query, decoded
from storaged.service.session import Session

Tree: TypeAlias = Literal["compat", "libpod"]
RawHeaders: TypeAlias = Sequence[tuple[bytes, bytes]]

_PREFIX = re.compile(r"/v(?P<version>[0-9][0-9A-Za-z.\-]*)(?=/)")
_ABSOLUTE = re.compile(r"https?://[^/?#]*", re.IGNORECASE)
_BROKEN_ESCAPE = re.compile(r"%(?![0-9A-Fa-f]{2})")
_NUMBERS = re.compile(r"(\d{1,9})\d*(?:\.(\d{1,9}))?")
_END_OF_HEAD = re.compile(rb"\n\r?\n")
_MOST_FIELDS: Final = 4096
"""Lines of a head: h11 reads them in one go, and a mebibyte of short ones would hold the event loop for a second."""
_LONGEST_PATH: Final = 64 << 10
"""Characters. A name has at most 1,024, which are 3 kB if all of them are escaped."""
_MOST_ESCAPES: Final = 65_536
"""Escapes in a query; with them, a mebibyte takes half a second of the event loop to decode."""
_MOST_PAIRS: Final = 16_384
"""More than a removal can name in a head, and some 20 ms of the event loop. Go's net/url takes 10,000."""


class Link(Protocol):
    """The connection that a request came by."""

    session: Session
    number: int
    """Counts the daemon's connections."""
    changed: bool
    """Whether this connection changed something, or passed on a request that may have: later reads must show it."""

    def body(self) -> AsyncGenerator[bytes, None]:
        """The rest of the request's body as it comes; starting to read sends 100 (Continue) if the client expects
        it."""
        ...

    def watched(self) -> AbstractAsyncContextManager[None]:
        """Within, the connection ends as soon as its client is gone. For work that may have to wait."""
        ...

    async def whole_body(self) -> bytes | None:
        """The whole body; None if it is longer than the limit."""
        ...


@define(kw_only=True, eq=False)
class Request:
    """One request. ``target`` is as received; ``path`` is the rest of it after version and tree, still encoded."""

    method: str
    target: bytes
    path: str
    tree: Tree
    version: str | None
    query: Query
    headers: RawHeaders
    """Names in lower case."""
    http_version: bytes
    link: Link
    names: dict[str, str] = field(factory=dict)
    """The names that the route's pattern found in the path, decoded."""
    strict: bool = False
    """Whether the answer needs a state of the store that was read after the request came."""
    stale: Staleness | None = None
    """Why the answer comes from a state that is not that of the files."""

    @property
    def libpod(self) -> bool:
        return self.tree == "libpod"

    @property
    def name(self) -> str:
        """The name in the path."""
        return self.names.get("name", "")

    @property
    def session(self) -> Session:
        return self.link.session

    @cached_property
    def release(self) -> tuple[int, int] | None:
        """Major and minor number of the version asked for; None if the path has none, which means the newest."""
        found = _NUMBERS.match(self.version or "")
        return (int(found[1]), int(found[2] or 0)) if found is not None else None

    def below(self, major: int, minor: int) -> bool:
        """Whether the request asks for a version older than this one."""
        return self.release is not None and self.release < (major, minor)

    def header(self, name: bytes) -> bytes | None:
        """The first header of this name; give the name in lower case."""
        return next((value for key, value in self.headers if key == name), None)

    def stream(self) -> AsyncGenerator[bytes, None]:
        """The body as it comes, of any length. A caller that does not read all of it must close it."""
        return self.link.body()

    async def body(self) -> bytes | None:
        """The whole body; None if it is longer than ``limits.request_bytes``."""
        return await self.link.whole_body()


@define(kw_only=True)
class Target:
    """The parts of a request's target; ``path`` begins with a slash."""

    path: str
    query: str

    @property
    def clean(self) -> str | None:
        """The redirect target if the path is not in its canonical form, else None."""
        path = self.path
        cleaned = posixpath.normpath(path)
        if cleaned.startswith("//"):
            cleaned = cleaned[1:]
        if path.endswith("/") and cleaned != "/":
            cleaned += "/"
        if cleaned == path:
            return None
        return cleaned + (f"?{self.query}" if self.query else "")


def split_target(target: bytes) -> Target | None:
    """The parts of a target; None if it cannot be a path: an escape is broken, or it does not begin with a slash."""
    text = target.decode("latin-1")
    found = _ABSOLUTE.match(text)
    if found is not None:
        text = text[found.end() :] or "/"
    path, _, query = text.partition("?")
    if not path.startswith("/") or _BROKEN_ESCAPE.search(path):
        return None
    return Target(path=path, query=query)


def split_path(path: str) -> tuple[str | None, Tree, str]:
    """Version, tree, and the rest of a path. Without a version only ``_ping`` is in podman's tree."""
    found = _PREFIX.match(path)
    version = found["version"] if found is not None else None
    rest = path[found.end() :] if found is not None else path
    if rest.startswith("/libpod/") and (version is not None or rest == "/libpod/_ping"):
        return version, "libpod", rest.removeprefix("/libpod")
    return version, "compat", rest


def names_of(match: re.Match[str]) -> dict[str, str]:
    """The names that a pattern found, decoded once."""
    return {key: decoded(value or "") for key, value in match.groupdict().items()}


def request_of(head: h11.Request, link: Link) -> Request | None:
    """The request that begins so; None if two readers could understand it differently, or decoding it takes too
    long."""
    target = split_target(head.target)
    if target is None or _ambiguous(head) or _laborious(target):
        return None
    version, tree, path = split_path(target.path)
    return Request(
        method=head.method.decode("ascii"),
        target=head.target,
        path=path,
        tree=tree,
        version=version,
        query=Query(target.query, libpod=tree == "libpod"),
        headers=list(head.headers),
        http_version=head.http_version,
        link=link,
    )


def check_fields(data: bytes) -> None:
    """Check the head at the start of ``data``, complete or not.

    Raises:
        h11.RemoteProtocolError: it has more lines than are read.
    """
    if data.count(b"\n") <= _MOST_FIELDS:
        return
    end = _END_OF_HEAD.search(data)
    if data.count(b"\n", 0, end.start() if end is not None else None) > _MOST_FIELDS:
        raise h11.RemoteProtocolError("too many header fields", error_status_hint=431)


def _laborious(target: Target) -> bool:
    """Whether decoding it would hold the event loop for long."""
    path, query = target.path, target.query
    return len(path) > _LONGEST_PATH or query.count("&") >= _MOST_PAIRS or query.count("%") > _MOST_ESCAPES


def _ambiguous(head: h11.Request) -> bool:
    """Whether two readers could disagree on where the request ends."""
    names = [name for name, _ in head.headers]
    return b"transfer-encoding" in names and (b"content-length" in names or head.http_version < b"1.1")
