"""The client of storaged: ``connect`` (blocking) and ``aconnect`` (anyio: trio or asyncio).

Importing this loads no anyio, attrs or cattrs; what needs them loads them when it is first used.
"""

from __future__ import annotations

from .contract.version import VERSION as __version__

TYPE_CHECKING = False  # typing is a third of the start-up time of a command
if TYPE_CHECKING:
    from typing import Any

    from .aio import AsyncClient, aconnect
    from .contract import types
    from .sync import Client, connect

__all__ = ["AsyncClient", "Client", "__version__", "aconnect", "connect", "types"]

_WHERE = {
    "AsyncClient": ".aio",
    "aconnect": ".aio",
    "Client": ".sync",
    "connect": ".sync",
    "MalformedResult": ".contract.wire",
}


def __getattr__(name: str) -> Any:
    """Names on demand: the clients, ``types``, and every error of the daemon and of the client."""
    from importlib import import_module

    if name in _WHERE:
        found = getattr(import_module(_WHERE[name], __name__), name)
    elif name == "types":
        found = import_module(".contract.types", __name__)
    elif name[:1].isupper():
        for module in (".errors", ".contract.errors"):
            found = getattr(import_module(module, __name__), name, None)
            if isinstance(found, type) and issubclass(found, Exception):
                break
        else:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    else:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    globals()[name] = found
    return found
