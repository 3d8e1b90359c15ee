"""What podman's service reports about itself: asked rarely and kept, because clients ask for it first and often.

podman's release is also taken from every answer that passes through.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from math import inf
from typing import Any, Final

import anyio
import h11
import msgspec
from attrs import evolve, frozen

from storaged.gateway.errors import ApiError
from storaged.gateway.identity import Identity
from storaged.gateway.podman_socket import PodmanConnection, PodmanSocket
from storaged.store.layout.decoding import bounded

VERSION: Final = "/version"
DOCKER_INFO: Final = "/info"
LIBPOD_INFO: Final = "/v4.0.0/libpod/info"
_KEPT: Final = {VERSION: 600.0, DOCKER_INFO: 5.0, LIBPOD_INFO: 5.0}
"""Seconds to keep it: a version changes only with the release, which is noticed; the info has memory and containers."""
_PATIENCE: Final = 5.0
"""Seconds to wait for an answer; podman's unit may have to be started first."""
_AGAIN: Final = 30.0
"""Seconds before a podman that did not answer is asked again."""
_LONGEST: Final = 1 << 20
_decode: Callable[[bytes], Any] = bounded(msgspec.json.decode)
_RELEASE: Final = re.compile(r"\d{1,4}\.\d{1,4}\.[0-9A-Za-z.+-]{1,32}")


@frozen(kw_only=True)
class _Fact:
    told: dict[str, Any] | None
    until: float
    number: int


class PodmanFacts:
    """The facts of one daemon. Lives on the event loop."""

    def __init__(self) -> None:
        self.identity = Identity()
        self.introduced = False
        """Whether podman has reported its release."""
        self._facts: dict[str, _Fact] = {}

    def heard(self, response: h11.Response) -> None:
        """Take the release from an answer of podman's."""
        for name, value in response.headers:
            if name == b"libpod-api-version":
                release = value.decode("ascii", "replace")
                if release != self.identity.podman and _RELEASE.fullmatch(release):
                    self.identity = evolve(self.identity, podman=release)
                    self._facts.clear()
                self.introduced = True
            elif name == b"libpod-buildah-version" and _RELEASE.fullmatch(value.decode("ascii", "replace")):
                self.identity = evolve(self.identity, buildah=value.decode("ascii"))

    def forget(self) -> None:
        """Forget everything: podman is somewhere else from now on."""
        self.identity, self.introduced = Identity(), False
        self._facts.clear()

    async def get(self, podman: PodmanSocket, what: str, number: int = 0) -> dict[str, Any] | None:
        """The answer to a GET of ``what``, or None. An answer from before ``number`` is not used.

        The value is kept: do not change it.
        """
        kept = self._facts.get(what)
        if kept is not None and kept.until > anyio.current_time() and kept.number == number:
            return kept.told
        told = await self._ask(podman, what)
        seconds = _KEPT[what] if told is not None else _AGAIN if podman.path is not None else inf
        self._facts[what] = _Fact(told=told, until=anyio.current_time() + seconds, number=number)
        return told

    async def _ask(self, podman: PodmanSocket, what: str) -> dict[str, Any] | None:
        with anyio.move_on_after(_PATIENCE):
            try:
                connection = await podman.connect()
            except ApiError:
                return None
            try:
                return await self._exchange(connection, what)
            except (h11.ProtocolError, anyio.BrokenResourceError, msgspec.DecodeError):
                return None
            finally:
                connection.close()
        return None

    async def _exchange(self, podman: PodmanConnection, what: str) -> dict[str, Any] | None:
        request = h11.Request(method="GET", target=what, headers=[("Host", "d")])
        await podman.write([*podman.put(request), *podman.put(h11.EndOfMessage())])
        body = bytearray()
        status = 0
        while True:
            event = podman.poll()
            if event is h11.NEED_DATA:
                await podman.read()
            elif isinstance(event, h11.Response):
                status = event.status_code
                self.heard(event)
            elif isinstance(event, h11.Data) and len(body) + len(event.data) <= _LONGEST:
                body += event.data
            elif isinstance(event, h11.EndOfMessage):
                break
            elif not isinstance(event, h11.InformationalResponse):
                return None
        told = _decode(bytes(body)) if status == 200 else None
        return told if isinstance(told, dict) else None
