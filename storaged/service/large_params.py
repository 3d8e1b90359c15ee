"""Parameters so many that to look at each belongs into a thread, and not to the loop that serves everybody."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import islice
from typing import Final

from storaged_client.contract.errors import InvalidParams

_MANY: Final = 64
"""Members from which on it does."""

MOST_NAMES: Final = 1000
"""Names that one image gets or loses, or that are leased, by one request."""


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
    """Each of them is looked up without a pause, or once for each try of a change.

    Raises:
        InvalidParams: there are too many.
    """
    if len(names) > MOST_NAMES:
        raise InvalidParams(f"{len(names)} names are too many: a request takes {MOST_NAMES}; ask again", path=path)
