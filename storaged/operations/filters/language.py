"""Splits one filter into key, value and negation.

::

    key=value    key!=value    unique-size>value    {"key": ..., "value": ..., "negate": ...}

The first ``=`` separates; a ``!`` before it negates, so a value may contain ``!=`` (podman separates there). In an
object, the sign of a comparison begins the value: ``{"key": "unique-size", "value": ">100MB"}``.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import datetime

from msgspec import Struct

from storaged.operations.name_lookup import shortened
from storaged.operations.query_context import QueryContext
from storaged.snapshot.model import Image, Snapshot
from storaged_client.contract.errors import InvalidParams
from storaged_client.contract.params import Filter
from storaged_client.contract.texts import NO_TEXT, is_text

Test = Callable[[Image], bool | None]
"""Whether an image matches. None: unknown (an invalid time, unreadable labels). It then matches neither the filter nor
its negation: what cannot be judged is never selected for removal."""

LONGEST_PATTERN = 1024
"""The maximum number of characters of a pattern; names have at most as many, and a label's key seldom a hundred."""

_COMPARED = re.compile(r"(unique-size!?)([<>].*)", re.DOTALL)

_BOOLEANS = {
    **dict.fromkeys(("1", "t", "T", "TRUE", "true", "True"), True),
    **dict.fromkeys(("0", "f", "F", "FALSE", "false", "False"), False),
}
"""Go's ``strconv.ParseBool``."""


class Asked(Struct, frozen=True, kw_only=True):
    """A filter as given; ``path`` is its place in the request."""

    path: str
    key: str
    value: object
    negate: bool

    def wrong(self, text: str, member: str = ".value") -> InvalidParams:
        return InvalidParams(text, path=self.path + member)

    def text(self) -> str:
        """The value, which must be a string.

        Raises:
            InvalidParams: it is not a string, or not text.
        """
        if not isinstance(self.value, str):
            raise self.wrong(f'the value of filter "{self.key}" is a string')
        if not is_text(self.value):
            raise self.wrong(f'the value of filter "{self.key}" {NO_TEXT}')
        return self.value

    def boolean(self) -> bool:
        """The value as a boolean.

        Raises:
            InvalidParams: it is not one.
        """
        if isinstance(self.value, bool):
            return self.value
        found: bool | None = _BOOLEANS.get(self.value) if isinstance(self.value, str) else None
        if found is None:
            raise self.wrong(f'filter "{self.key}" takes true or false, not {shortened(repr(self.value))}')
        return found


def malformed(given: str) -> str:
    """podman's words for a filter without a value and for an unknown one."""
    return f'invalid image filter "{shortened(given)}": must be in the format "filter=value or filter!=value"'


class FilterContext(Struct, frozen=True, kw_only=True):
    """What filters are compiled against."""

    snapshot: Snapshot
    view: QueryContext
    now: datetime
    """Aware: dates without a zone are in its zone, as podman uses its own."""


def divide(given: Filter, path: str) -> Asked:
    """Split one filter; whether the key is known is checked elsewhere.

    Raises:
        InvalidParams: it is malformed.
    """
    if isinstance(given, str):
        compared = _COMPARED.fullmatch(given)
        if compared is not None:
            key, value = compared.groups()
        else:
            key, equals, value = given.partition("=")
            if not equals:
                raise InvalidParams(malformed(given), path=path)
        return Asked(path=path, key=key.removesuffix("!"), value=value, negate=key.endswith("!"))
    if not isinstance(given, Mapping):
        raise InvalidParams("a filter is a string (key=value) or an object (key, value, negate)", path=path)
    return _from_object(given, path)


def _from_object(given: Mapping[object, object], path: str) -> Asked:
    for name in given:
        if name not in ("key", "value", "negate"):
            member = shortened(str(name))
            raise InvalidParams(f'a filter has key, value and negate, not "{member}"', path=f"{path}.{member}")
    key, negate = given.get("key"), given.get("negate", False)
    if not isinstance(key, str) or not key:
        raise InvalidParams("a filter needs a key, as a string", path=f"{path}.key")
    if "value" not in given:
        raise InvalidParams(f'filter "{shortened(key)}" needs a value', path=f"{path}.value")
    if not isinstance(negate, bool):
        raise InvalidParams("negate is true or false", path=f"{path}.negate")
    return Asked(path=path, key=key, value=given["value"], negate=negate)
