"""One HTTP request as handlers see it, and its target taken apart.

::

    /v5.8.0/libpod/images/localhost%2Fa%3A1/json?size=false
     |      |      '-- path: matched as it is encoded; names in it are decoded once, after the match
     |      '-- tree: libpod, or compat where this element is missing
     '-- version, which no number of is refused

Source: podman ``pkg/api/server`` (``VersionedPath``), gorilla/mux with ``UseEncodedPath``.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import AsyncGenerator, Sequence
from contextlib import AbstractAsyncContextManager
from functools import cached_property
from typing import Literal, Protocol, TypeAlias

from attrs import define, field

from storaged.engine.views import Staleness
from storaged.gateway.query import Query, decoded
from storaged.service.session import Session

Tree: TypeAlias = Literal["compat", "libpod"]
RawHeaders: TypeAlias = Sequence[tuple[bytes, bytes]]

_PREFIX = re.compile(r"/v(?P<version>[0-9][0-9A-Za-z.\-]*)(?=/)")
_ABSOLUTE = re.compile(r"https?://[^/?#]*", re.IGNORECASE)
_BROKEN_ESCAPE = re.compile(r"%(?![0-9A-Fa-f]{2})")
_NUMBERS = re.compile(r"(\d+)(?:\.(\d+))?")


class Link(Protocol):
    """The connection that a request came by."""

    session: Session
    number: int
    """Counts the connections of the daemon."""
    changed: bool
    """Whether something was changed on it, or passed on that may have changed something: what is read afterwards must
    show that."""

    def body(self) -> AsyncGenerator[bytes, None]:
        """The rest of the request's body as it comes; who begins to read it has 100 (Continue) sent where that is
        expected."""
        ...

    def watched(self) -> AbstractAsyncContextManager[None]:
        """Within, the connection ends as soon as its client is gone. For what may have to wait."""
        ...

    async def whole_body(self) -> bytes | None:
        """All of the body; None where it is longer than may be held."""
        ...


@define(kw_only=True, eq=False)
class Request:
    """``target`` is as it came. ``path`` is what is left of it behind version and tree, still encoded."""

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
    """What the route's pattern found in the path, decoded."""
    strict: bool = False
    """Whether only a state of the store will do that was read after the request came."""
    stale: Staleness | None = None
    """Why what it was answered from is not the state of the files."""

    @property
    def libpod(self) -> bool:
        return self.tree == "libpod"

    @property
    def name(self) -> str:
        """What the path names."""
        return self.names.get("name", "")

    @property
    def session(self) -> Session:
        return self.link.session

    @cached_property
    def release(self) -> tuple[int, int] | None:
        """Major and minor number of the version asked for; None where the path has none, which is the newest."""
        found = _NUMBERS.match(self.version or "")
        return (int(found[1]), int(found[2] or 0)) if found is not None else None

    def below(self, major: int, minor: int) -> bool:
        """Whether an older version than this one is asked for."""
        return self.release is not None and self.release < (major, minor)

    def header(self, name: bytes) -> bytes | None:
        """The first header of this name, which is to be given in lower case."""
        return next((value for key, value in self.headers if key == name), None)

    def stream(self) -> AsyncGenerator[bytes, None]:
        """The body as it comes, of any length; to be closed by who does not read all of it."""
        return self.link.body()

    async def body(self) -> bytes | None:
        """The whole body; None where it is longer than may be held (``limits.request_bytes``)."""
        return await self.link.whole_body()


@define(kw_only=True)
class Target:
    """A request's target in its parts; ``path`` begins with a slash."""

    path: str
    query: str

    @property
    def clean(self) -> str | None:
        """Where a client is sent that spells the path otherwise than its canonical form; None where it does not."""
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
    """None where it cannot be a path: an escape is broken, or it does not begin with a slash."""
    text = target.decode("latin-1")
    found = _ABSOLUTE.match(text)
    if found is not None:
        text = text[found.end() :] or "/"
    path, _, query = text.partition("?")
    if not path.startswith("/") or _BROKEN_ESCAPE.search(path):
        return None
    return Target(path=path, query=query)


def split_path(path: str) -> tuple[str | None, Tree, str]:
    """Version, tree, and what is left of a path. Without a version only ``_ping`` is in podman's tree."""
    found = _PREFIX.match(path)
    version = found["version"] if found is not None else None
    rest = path[found.end() :] if found is not None else path
    if rest.startswith("/libpod/") and (version is not None or rest == "/libpod/_ping"):
        return version, "libpod", rest.removeprefix("/libpod")
    return version, "compat", rest


def names_of(match: re.Match[str]) -> dict[str, str]:
    """What a pattern found, decoded once."""
    return {key: decoded(value or "") for key, value in match.groupdict().items()}
