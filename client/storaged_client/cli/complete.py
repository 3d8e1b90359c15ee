"""Names for a shell's completion: asked for at every press of a key, so at once or not at all.

``storagectl __complete images|lists PREFIX [SOCKET]`` prints a name a line. No daemon is started, nothing is
ever complained about, and the last state known is good enough. In a store of more than 10,000 images those after
the first 10,000 are not offered: a press of a key must not wait for them. Only what is cheap to import is imported.
"""

from __future__ import annotations

import json
import time

from storaged_client import discovery, stores
from storaged_client.json_limits import MESSAGE_DEPTH, REPLY_BYTES, check_nesting

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_PATIENCE = 0.5
"""Seconds; whoever waits longer than that types on."""

_MOST = 10_000
"""Images asked for: one page, in the order of the store; the next one is never fetched."""

_SAFE = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-:/@+")
"""What a reference is made of. A name with anything else (a record may hold any text) would be code to a shell."""

_IDS_FROM = 2
"""Characters typed before ids are offered, as podman has it."""


def lines(arguments: list[str]) -> list[str]:
    """The candidates; none where nobody answers, or the request is none."""
    if not 2 <= len(arguments) <= 3 or arguments[0] not in ("images", "lists"):
        return []
    kind, prefix, *socket = arguments
    try:
        rows = _ask(kind, socket[0] if socket and socket[0] else None)
        return candidates(rows, prefix)
    except (OSError, ValueError, TypeError, KeyError):
        return []


def candidates(rows: list[dict[str, Any]], prefix: str) -> list[str]:
    """Names that begin with what was typed, each once, sorted.

    A name is offered from each of its components on (``host/a/b:1`` as ``b:1``, too), and without ``:latest``; its
    full form alone where nothing was typed yet. Ids come as twelve digits, or as many as were typed.
    """
    found: set[str] = set()
    for row in rows:
        if len(prefix) >= _IDS_FROM and row["id"].startswith(prefix):
            found.add(row["id"][: max(12, len(prefix))])
        for name in row["names"]:
            if not prefix:
                found.add(name)
                continue
            parts = name.split("/")
            forms = ["/".join(parts[at:]) for at in range(len(parts))]
            forms += [form.removesuffix(":latest") for form in forms]
            found.update(form for form in forms if form.startswith(prefix))
    return sorted(text for text in found if text and text[0] != "-" and _SAFE.issuperset(text))


def _ask(kind: str, socket: str | None) -> list[dict[str, Any]]:
    params: dict[str, Any] = {"fields": ["id", "names"], "limit": _MOST, "consistency": "cached"}
    if kind == "lists":
        params["filters"] = ["manifest=true"]
    target = stores.find(socket)
    request = {"jsonrpc": "2.0", "id": 1, "method": "images.list", "params": params}
    give_up = time.monotonic() + _PATIENCE
    received: list[bytes] = []
    size = 0
    with discovery.connect(target) as sock:
        if target.stated is not None:
            params["store"] = target.stated
        sock.settimeout(_PATIENCE)
        sock.sendall(json.dumps(request).encode() + b"\n")
        while not received or b"\n" not in received[-1]:
            sock.settimeout(max(0.001, give_up - time.monotonic()))
            data = sock.recv(1 << 18)
            size += len(data)
            if not data or size > REPLY_BYTES:
                raise ConnectionError
            received.append(data)
    reply = b"".join(received)
    check_nesting(reply, MESSAGE_DEPTH)
    rows: list[dict[str, Any]] = json.loads(reply)["result"]["images"]
    return rows
