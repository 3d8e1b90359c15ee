"""What the service itself is: ``_ping``."""

from __future__ import annotations

from storaged.gateway.answers import Answer
from storaged.gateway.context import Context
from storaged.gateway.request import Request


async def ping(context: Context, request: Request) -> Answer:
    """``_ping``: what clients negotiate by. Builder 1 keeps the docker CLI from BuildKit, and so from ``/session``."""
    headers = (
        (b"Builder-Version", b"1"),
        (b"Buildkit-Version", b""),
        (b"Cache-Control", b"no-cache"),
        (b"Docker-Experimental", b"true"),
        (b"Libpod-Buildah-Version", context.identity.buildah.encode()),
        (b"Ostype", b"linux"),
        (b"Pragma", b"no-cache"),
        (b"Content-Type", b"text/plain; charset=utf-8"),
    )
    return Answer(headers=headers, body=(b"OK",))
