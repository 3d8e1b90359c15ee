"""Values as Go sees them: which type they are, how ``%v`` prints them, when they are true, their JSON.

Rows are JSON-like Python values. What plain JSON cannot say has a class of its own: a struct (its fields are fixed,
so that a wrong name is an error and not an absent key), slices and maps that are nil, and times.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from .times import Duration, Time


class NoValue:
    """What a map answers for a key it does not have, and a nil interface."""

    __slots__ = ()


NO_VALUE = NoValue()


class Struct(dict[str, Any]):
    """A Go struct with its methods: the keys are all names a template may use.

    ``go_type`` is the type's name in messages; ``printed`` are the names of the real fields in their order, which is
    what ``{{.}}`` shows (default: all keys); ``encoded`` is what ``json`` makes of it (default: itself).
    """

    __slots__ = ("encoded", "go_type", "printed")

    def __init__(
        self,
        go_type: str,
        members: Mapping[str, Any],
        *,
        printed: tuple[str, ...] | None = None,
        encoded: Any = None,
    ) -> None:
        super().__init__(members)
        self.go_type = go_type
        self.printed = tuple(self) if printed is None else printed
        self.encoded = encoded


class NilSlice(list[Any]):
    """A slice that is nil: empty, and ``null`` in JSON."""

    __slots__ = ()


class NilMap(dict[str, Any]):
    """A map that is nil: empty, and ``null`` in JSON."""

    __slots__ = ()


class Unknown(str):
    """A number that nobody knows: ``-`` where it is printed, ``null`` in JSON."""

    __slots__ = ()

    def __new__(cls) -> Unknown:
        return super().__new__(cls, "-")


UNKNOWN = Unknown()


def known(number: Any) -> Any:
    """The number, or ``UNKNOWN`` for None."""
    return UNKNOWN if number is None else number


class Header(str):
    """The title of a column, where the first line of a table has it in the place of a value."""

    __slots__ = ()


_WORDS = r"[A-Z]+(?=[A-Z][a-z])|[A-Z]?[a-z0-9]+|[A-Z]+|[^\W_]+"


def title_of(field: str) -> Header:
    """The title made of a field's name, as podman makes it: ``CreatedSince`` is ``CREATED SINCE``."""
    return Header(" ".join(re.findall(_WORDS, field)).upper() or field.upper())


def type_name(value: Any) -> str:
    """The name of the Go type, for messages."""
    if isinstance(value, Struct):
        return value.go_type
    if value is None or isinstance(value, NoValue):
        return "nil"
    if isinstance(value, Duration):
        return "time.Duration"
    for kind, name in ((bool, "bool"), (int, "int"), (float, "float64"), (str, "string"), (Time, "time.Time")):
        if isinstance(value, kind):
            return name
    if isinstance(value, list | tuple):
        return "[]string" if all(isinstance(item, str) for item in value) else "[]interface {}"
    if isinstance(value, Mapping):
        strings = all(isinstance(item, str) for item in value.values())
        return "map[string]string" if strings else "map[string]interface {}"
    return type(value).__name__


def is_number(value: Any) -> bool:
    """Whether it is an integer of Go; truth values are none."""
    return isinstance(value, int) and not isinstance(value, bool)


def truth(value: Any) -> bool:
    """Whether ``if`` takes the value for true: not zero, not empty, not nil; a struct always."""
    if isinstance(value, Struct):
        return True
    return not isinstance(value, NoValue) and bool(value)


def shown(value: Any) -> str:
    """The value as ``%v`` prints it. Maps are in the order of their keys."""
    if isinstance(value, str):
        return str(value)
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, Duration):
        return str(value)
    if value is None:
        return "<nil>"
    if isinstance(value, NoValue):
        return "<no value>"
    if isinstance(value, float):
        return decimal(value)
    if isinstance(value, Struct):
        return "{" + " ".join(shown(value[name]) for name in value.printed) + "}"
    if isinstance(value, Mapping):
        return "map[" + " ".join(f"{shown(key)}:{shown(item)}" for key, item in ordered(value)) + "]"
    if isinstance(value, list | tuple):
        return "[" + " ".join(map(shown, value)) + "]"
    return str(value)


def ordered(value: Mapping[Any, Any]) -> list[tuple[Any, Any]]:
    """The members of a map by their keys, as Go goes through them for a template."""
    return sorted(value.items(), key=lambda pair: str(pair[0]))


def decimal(value: float) -> str:
    """A float as ``%v`` prints it: the shortest digits, an exponent below 1e-4 and from 1e6 on."""
    if value != value:
        return "NaN"
    if value in (float("inf"), float("-inf")):
        return "+Inf" if value > 0 else "-Inf"
    from decimal import Decimal

    exact = Decimal(repr(value))
    sign, digits, _ = exact.normalize().as_tuple()
    exponent = exact.adjusted() if value else 0
    if -4 <= exponent < 6:
        return f"{exact.normalize():f}" if value else ("-0" if sign else "0")
    text = "".join(map(str, digits))
    fraction = f".{text[1:]}" if len(text) > 1 else ""
    return f"{'-' * sign}{text[0]}{fraction}e{'-' if exponent < 0 else '+'}{abs(exponent):02d}"


def encoded(value: Any) -> str:
    """The value as podman's ``json`` function writes it: one line, maps sorted, no HTML escapes."""
    import json

    text = json.dumps(_plain(value), ensure_ascii=False, separators=(",", ":"))
    # The two separators that Go always escapes; they stand only inside strings.
    return text.replace("\u2028", "\\u2028").replace("\u2029", "\\u2029")


def _plain(value: Any) -> Any:
    if isinstance(value, Struct):
        source = value if value.encoded is None else value.encoded
        if not isinstance(source, Mapping):
            return _plain(source)
        return {key: _plain(item) for key, item in source.items()}
    if value is None or isinstance(value, NoValue | NilSlice | NilMap | Unknown):
        return None
    if isinstance(value, Time):
        return value.text
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in ordered(value)}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return value
