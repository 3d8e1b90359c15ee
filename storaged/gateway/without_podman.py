"""Answers for requests that only podman can answer, if there is no podman.

``docker inspect`` and ``podman inspect`` try each kind of object until one is not 404, and dashboards list all kinds:
those get 404 and empty lists. Everything else is 501.
"""

from __future__ import annotations

import re
from typing import Final

from storaged.gateway.answers import Answer, Streamed, error_answer, json_answer
from storaged.gateway.connection import HttpConnection
from storaged.gateway.identity import Identity
from storaged.gateway.query import decoded
from storaged.gateway.request import Request

# The docker CLI does not encode the slashes of what it inspects.
_PROBED: Final = (
    (re.compile(r"/containers/(?P<name>.+)/json"), "no container with name or ID {0!r} found: no such container"),
    (
        re.compile(r"/networks/(?P<name>.+?)(?:/json)?"),
        "unable to find network with name or ID {0}: network not found",
    ),
    (re.compile(r"/volumes/(?P<name>.+?)(?:/json)?"), "no such volume {0}"),
    (re.compile(r"/pods/(?P<name>.+)/json"), "no pod with name or ID {0} found: no such pod"),
    (re.compile(r"/secrets/(?P<name>.+?)(?:/json)?"), "no secret with name or id {0!r}: no such secret"),
    (re.compile(r"/plugins/(?P<name>.+)/json"), "plugin {0} not found"),
)
_EMPTY: Final[dict[str, object]] = {
    "/containers/json": [],
    "/pods/json": [],
    "/secrets": [],
    "/secrets/json": [],
    "/plugins": [],
}


class WithoutPodman:
    """Takes the place of podman as the upstream if there is none."""

    identity = Identity()

    async def may_pass(self, request: Request) -> bool:
        """No: there is no podman."""
        return False

    async def introduce(self) -> None:
        """Does nothing: there is no podman."""

    async def version(self) -> None:
        """None: there is no podman."""

    async def info(self, request: Request) -> None:
        """None: there is no podman."""

    async def pass_on(self, connection: HttpConnection, request: Request) -> Answer | Streamed | None:
        """Never None: there is always an answer."""
        path = request.path
        if request.method == "GET":
            if path in _EMPTY:
                return json_answer(_EMPTY[path])
            if path in ("/networks", "/networks/json"):
                return json_answer([])
            if path in ("/volumes", "/volumes/json"):
                return json_answer([] if request.libpod else {"Volumes": [], "Warnings": []})
            for pattern, words in _PROBED:
                found = pattern.fullmatch(path)
                if found is not None:
                    message = words.format(decoded(found["name"])[:200])
                    return error_answer(404, message, message.rpartition(": ")[2])
        return error_answer(
            501,
            f"storaged answers for images and manifest lists only, and no podman is behind it for {request.method} "
            f"{path[:200]}: set podman_socket in storaged.toml, or use podman's own socket",
        )
