"""The base of all protocol types: they compare, hash and print by their members.

attrs would generate and compile these methods for each of the ninety classes at every import: half the cost of a class,
and a twentieth of a daemon's start. So they exist once here, and the classes omit them: ``@frozen(kw_only=True,
eq=False, repr=False)``.
"""

from __future__ import annotations

from datetime import UTC, datetime
from functools import cache
from typing import Any, Self

import attrs


class Value:
    """The base of a protocol type. Values are equal if they have the same class and equal members."""

    __slots__ = ()

    def __eq__(self, other: object) -> bool:
        if other.__class__ is not self.__class__:
            return NotImplemented
        return _members(self) == _members(other)

    def __hash__(self) -> int:
        return hash((self.__class__, *map(_hashable, _members(self))))

    def __repr__(self) -> str:
        shown = (f"{name}={member!r}" for name, member in zip(_names(self), _members(self), strict=True))
        return f"{self.__class__.__qualname__}({', '.join(shown)})"

    def to_dict(self) -> dict[str, Any]:
        """The members as in JSON: a new dict of dicts, lists, strings, numbers, booleans and None."""
        return {name: _plain(getattr(self, name)) for name in _names(self)}


def _plain(value: Any) -> Any:
    if isinstance(value, Value):
        return value.to_dict()
    if isinstance(value, Timestamp):
        return value.text
    if isinstance(value, (tuple, list)):
        return [_plain(one) for one in value]
    if isinstance(value, dict):
        return {name: _plain(one) for name, one in value.items()}
    return value


def _hashable(value: Any) -> Any:
    """A hashable stand-in that is equal if the values are equal: an object of JSON is a dict."""
    if isinstance(value, (tuple, list)):
        return tuple(map(_hashable, value))
    if isinstance(value, dict):
        return frozenset((name, _hashable(one)) for name, one in value.items())
    return value


def _members(value: Any) -> list[Any]:
    return [getattr(value, name) for name in _names(value)]


def _names(value: Any) -> tuple[str, ...]:
    return _names_of(value.__class__)


@cache
def _names_of(cls: type[Any]) -> tuple[str, ...]:
    return tuple(field.name for field in attrs.fields(cls))


class Timestamp(datetime):
    """A time of the store: an aware datetime, cut to microseconds, that keeps the store's own text.

    Compares and hashes as the datetime it is. A text that is not a time becomes the year 1, like an absent time in Go;
    ``text`` tells them apart.

    The rows that a client reads have these. The daemon's own rows hold the text itself, which is encoded as it is.
    """

    _text: str | None = None

    @classmethod
    def of(cls, text: str) -> Self:
        """The time of an RFC 3339 text."""
        try:
            made: Self | None = cls.fromisoformat(text)
        except ValueError:
            made = None
        if made is None or made.tzinfo is None:
            made = cls(1, 1, 1, tzinfo=UTC)
        made._text = text
        return made

    @property
    def text(self) -> str:
        """RFC 3339, to the nanosecond if the store has it."""
        return self.isoformat() if self._text is None else self._text

    def __reduce_ex__(self, protocol: Any) -> Any:
        return (self.of, (self._text,)) if self._text is not None else super().__reduce_ex__(protocol)
