"""The parameters of a request: their structure, and what is done about many of them."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import islice
from typing import Any, Final

from storaged_client.contract import wire
from storaged_client.contract.errors import InvalidParams
from storaged_client.contract.methods import Method
from storaged_client.contract.params import Common

_MANY: Final = 64
"""Members from which on a thread looks at them, and not the loop that serves everybody."""

MOST_NAMES: Final = 1000
"""Names that one image gets or loses, or that are leased, by one request."""


def structure(row: Method, params: object) -> tuple[Common, Any]:
    """The common parameters of a request, and the method's own.

    Raises:
        InvalidParams: one is wrong, or there is one too many.
    """
    if params is not None and not isinstance(params, dict | list):
        raise InvalidParams("params must be an object or an array", path="$")
    common, own = wire.split_common(params)
    return common, wire.structure_params(row.params, own)


def bulky(params: object) -> bool:
    """Whether there are many, at any of the levels that a method knows. Looks at few itself."""
    return _bulky(params, 3)


def _bulky(value: object, levels: int) -> bool:
    if not isinstance(value, dict | list):
        return False
    if len(value) > _MANY:
        return True
    inner = value.values() if isinstance(value, dict) else value
    return levels > 0 and any(_bulky(one, levels - 1) for one in islice(inner, _MANY))


def refuse_many(names: Sequence[str], path: str) -> None:
    """Bound the names of one request: each is looked up without a pause, or once for each try of a change.

    Raises:
        InvalidParams: there are too many.
    """
    if len(names) > MOST_NAMES:
        raise InvalidParams(f"{len(names)} names are too many: a request takes {MOST_NAMES}; ask again", path=path)
