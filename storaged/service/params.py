"""Converting the parameters of a request, and limits for large ones."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import islice
from typing import Any, Final

from storaged_client.contract import wire
from storaged_client.contract.errors import InvalidParams
from storaged_client.contract.methods import Method
from storaged_client.contract.params import Common

_MANY: Final = 64
"""Number of members above which a thread converts them, and not the event loop."""

MOST_NAMES: Final = 1000
"""Most names that one request gives to an image, takes from it, or leases."""


def structure(row: Method, params: object) -> tuple[Common, Any]:
    """Convert the parameters of a request: the common ones, and the method's own.

    Raises:
        InvalidParams: one is wrong or unknown.
    """
    if params is not None and not isinstance(params, dict | list):
        raise InvalidParams("params must be an object or an array", path="$")
    common, own = wire.split_common(params)
    return common, wire.structure_params(row.params, own)


def bulky(params: object) -> bool:
    """Whether there are many, at any level that a method has. Checks only a few itself."""
    return _bulky(params, 3)


def _bulky(value: object, levels: int) -> bool:
    if not isinstance(value, dict | list):
        return False
    if len(value) > _MANY:
        return True
    inner = value.values() if isinstance(value, dict) else value
    return levels > 0 and any(_bulky(one, levels - 1) for one in islice(inner, _MANY))


def refuse_many(names: Sequence[str], path: str) -> None:
    """Limit the names of one request: all are looked up without a pause, at each attempt of a change.

    Raises:
        InvalidParams: there are too many.
    """
    if len(names) > MOST_NAMES:
        raise InvalidParams(f"{len(names)} names are too many: a request takes {MOST_NAMES}; ask again", path=path)
