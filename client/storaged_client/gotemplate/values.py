"""Values as Go sees them: their type, how ``%v`` prints them, their truth, their JSON.

Rows are JSON-like Python values. What JSON cannot express has a class of its own: structs (their fields are fixed, so
a wrong name is an error rather than a missing key), nil slices, nil maps, and times.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from .times import Duration, Time


class NoValue:
    """What a map returns for a missing key, and a nil interface."""

    __slots__ = ()


NO_VALUE = NoValue()


class Struct(dict[str, Any]):
    """A Go struct with its methods: its keys are all the names a template may use.

    ``go_type`` names the type in messages. ``printed`` lists the fields that ``{{.}}`` prints, in order (default: all
    keys). ``encoded`` is what ``json`` prints (default: the struct itself).
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
    """A nil slice: empty, and ``null`` in JSON."""

    __slots__ = ()


class NilMap(dict[str, Any]):
    """A nil map: empty, and ``null`` in JSON."""

    __slots__ = ()


class Unknown(str):
    """An unknown number: printed as ``-``, ``null`` in JSON."""

    __slots__ = ()

    def __new__(cls) -> Unknown:
        return super().__new__(cls, "-")


UNKNOWN = Unknown()


def known(number: Any) -> Any:
    """Return the number, or ``UNKNOWN`` for None."""
    return UNKNOWN if number is None else number


class Header(str):
    """A column title, which stands in place of a value in the first line of a table."""

    __slots__ = ()


_WORDS = r"[A-Z]+(?=[A-Z][a-z])|[A-Z]?[a-z0-9]+|[A-Z]+|[^\W_]+"


def title_of(field: str) -> Header:
    """Derive the title from a field's name as podman does: ``CreatedSince`` becomes ``CREATED SINCE``."""
    return Header(" ".join(re.findall(_WORDS, field)).upper() or field.upper())


def type_name(value: Any) -> str:
    """Name the Go type of a value, for messages."""
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
    """Tell whether the value is an integer in Go; a bool is not."""
    return isinstance(value, int) and not isinstance(value, bool)


def truth(value: Any) -> bool:
    """Tell whether ``if`` takes the value as true: neither zero, empty nor nil. A struct is always true."""
    if isinstance(value, Struct):
        return True
    return not isinstance(value, NoValue) and bool(value)


def shown(value: Any) -> str:
    """Format the value as ``%v`` does. Maps are sorted by key."""
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
    """Return the items of a map sorted by key, as a template ranges over them."""
    return sorted(value.items(), key=lambda pair: str(pair[0]))


def decimal(value: float) -> str:
    """Format a float as ``%v`` does: the shortest digits, with an exponent below 1e-4 and from 1e6 on."""
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
    """Encode the value as podman's ``json`` function does: one line, maps sorted, no HTML escapes."""
    import json

    text = json.dumps(_plain(value), ensure_ascii=False, separators=(",", ":"))
    # Go always escapes these two separators. They only occur inside strings.
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
