"""Names for shell completion: called at every key press, so it answers at once or not at all.

``storagectl __complete images|lists PREFIX [SOCKET]`` prints one name per line. It starts no daemon, prints no errors,
and accepts the last known state. In a store of more than 10,000 images, only the first 10,000 are offered: a key press
must not wait for more. Only cheap modules are imported.
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
"""Seconds; a user who waits longer types on."""

_MOST = 10_000
"""The maximum number of images: one page, in the order of the store; the next one is never fetched."""

_SAFE = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-:/@+")
"""The characters of a reference. A name with any others (a record may hold any text) could be code to a shell."""

_IDS_FROM = 2
"""The number of characters typed before ids are offered, as in podman."""


def lines(arguments: list[str]) -> list[str]:
    """The candidates; none if no daemon answers, or the request is invalid."""
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

    A name is offered from each of its components on (``host/a/b:1`` also as ``b:1``), and without ``:latest``; if
    nothing was typed yet, only in its full form. Ids have twelve digits, or as many as were typed.
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
