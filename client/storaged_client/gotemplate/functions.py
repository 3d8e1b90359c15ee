"""Template functions: those of Go's ``text/template``, and podman's."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from . import printf, values
from .errors import Refusal
from .values import NO_VALUE, NilMap, NilSlice, NoValue, Struct, shown, type_name

LAZY = frozenset(("and", "or"))
"""They stop at the first argument that decides, so the evaluation handles them itself."""


def exists(name: str) -> bool:
    return name in _FUNCTIONS or name in LAZY


def call(name: str, operands: list[Any]) -> Any:
    """Call a function.

    Raises:
        Refusal: too few or too many operands, or one of a wrong type.
    """
    function, kinds, open_ended = _FUNCTIONS[name]
    few, many = len(operands) < len(kinds), len(operands) > len(kinds) and not open_ended
    if few or many:
        least = "at least " if open_ended else ""
        raise Refusal(f"wrong number of args for {name}: want {least}{len(kinds)} got {len(operands)}", calling=False)
    for kind, value in zip(kinds, operands, strict=False):
        if not _FITS[kind](value):
            raise Refusal(f"wrong type for value; expected {kind}; got {type_name(value)}", calling=False)
    return function(*operands)


def _strings(value: Any) -> bool:
    return isinstance(value, list | tuple) and all(isinstance(item, str) for item in value)


_FITS: dict[str, Callable[[Any], bool]] = {
    "any": lambda value: True,
    "string": lambda value: isinstance(value, str),
    "int": values.is_number,
    "[]string": _strings,
}


def _length(value: Any) -> int:
    if isinstance(value, str):
        return len(_bytes(value))
    if isinstance(value, list | tuple) or (isinstance(value, Mapping) and not isinstance(value, Struct)):
        return len(value)
    raise Refusal(f"len of type {type_name(value)}")


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")


def _cut(text: str, start: int, end: int) -> str:
    return _bytes(text)[start:end].decode("utf-8", "replace")


def _index(value: Any, *keys: Any) -> Any:
    for key in keys:
        if value is None or isinstance(value, NoValue):
            raise Refusal("index of untyped nil")
        if isinstance(value, Mapping) and not isinstance(value, Struct):
            if not isinstance(key, str):
                raise Refusal(f"value has type {type_name(key)}; should be string")
            value = value[key] if key in value else _zero(value)
        elif isinstance(value, str):
            value = _bytes(value)[_position(key, _length(value) - 1)]
        elif isinstance(value, list | tuple):
            value = value[_position(key, len(value) - 1)]
        else:
            raise Refusal(f"can't index item of type {type_name(value)}")
    return value


def _position(key: Any, last: int) -> int:
    if not values.is_number(key):
        raise Refusal(f"cannot index slice/array with type {type_name(key)}")
    if not 0 <= key <= last:
        raise Refusal(f"index out of range: {key}")
    return int(key)


def _zero(value: Mapping[str, Any]) -> Any:
    """Return what a Go map of such values yields for a missing key."""
    sample = next(iter(value.values()), "")
    for kind, zero in ((str, ""), (bool, False), (int, 0), (list, NilSlice()), (dict, NilMap())):
        if isinstance(sample, kind):
            return zero
    return NO_VALUE


def _slice(value: Any, *bounds: Any) -> Any:
    if not isinstance(value, str | list | tuple):
        raise Refusal(f"can't slice item of type {type_name(value)}")
    if len(bounds) > (2 if isinstance(value, str) else 3):
        raise Refusal(f"too many slice indexes: {len(bounds)}")
    length = _length(value)
    start, end, *_ = [*(_position(bound, length) for bound in bounds), *[0, length][len(bounds) :], length]
    if start > end:
        raise Refusal(f"invalid slice index: {start} > {end}")
    return _cut(value, start, end) if isinstance(value, str) else list(value[start:end])


def _kind(value: Any) -> str:
    for kind, name in ((bool, "bool"), (int, "int"), (float, "float64"), (str, "string")):
        if isinstance(value, kind):
            return name
    return ""


def _equal(first: Any, *others: Any) -> bool:
    if not others:
        raise Refusal("missing argument for comparison")
    for value in (first, *others):
        if isinstance(value, list | tuple | Mapping) and not isinstance(value, Struct):
            raise Refusal(f"non-comparable type {shown(value)}: {type_name(value)}")
    nothing = (type(None), NoValue)
    for other in others:
        if isinstance(first, nothing) or isinstance(other, nothing):
            if isinstance(first, nothing) and isinstance(other, nothing):
                return True
            continue
        if _kind(first) != _kind(other):
            raise Refusal(f"incompatible types for comparison: {type_name(first)} and {type_name(other)}")
        if shown(first) == shown(other):
            return True
    return False


def _less(first: Any, second: Any) -> bool:
    kind = _kind(first)
    if kind != _kind(second):
        raise Refusal(f"incompatible types for comparison: {type_name(first)} and {type_name(second)}")
    if kind in ("", "bool"):
        raise Refusal(f"invalid type for comparison: {type_name(first)}")
    return bool(_bytes(first) < _bytes(second) if kind == "string" else first < second)


def _title(text: str) -> str:
    # Go's strings.Title capitalizes after anything but letters, digits and underscores, and leaves the rest alone.
    result = ""
    for index, character in enumerate(text):
        before = text[index - 1] if index else " "
        starts = before.isspace() or (before.isascii() and not (before.isalnum() or before == "_"))
        result += character.title() if starts else character
    return result


def _split(text: str, separator: str) -> list[str]:
    return text.split(separator) if separator else list(text)


def _truncate(text: str, length: int) -> str:
    if length < 0:
        raise Refusal(f"slice bounds out of range [:{length}]")
    return _cut(text, 0, length)


def _pad(text: str, before: int, after: int) -> str:
    if not 0 <= before + after <= 1_000_000 or min(before, after) < 0:
        raise Refusal("negative or huge repeat count")
    return f"{' ' * before}{text}{' ' * after}" if text else text


_HTML = str.maketrans({"<": "&lt;", ">": "&gt;", "&": "&amp;", "'": "&#39;", '"': "&#34;", "\0": "\ufffd"})
_JS = {"\\": "\\\\", "'": "\\'", '"': '\\"'}


def _js(*operands: Any) -> str:
    return "".join(
        _JS.get(c) or (f"\\u{ord(c):04X}" if c in "<>&=" or ord(c) < 32 or not c.isprintable() else c)
        for c in printf.sprint(*operands)
    )


def _query(*operands: Any) -> str:
    from urllib.parse import quote_plus

    return quote_plus(printf.sprint(*operands), safe="")


def _not_called(value: Any, *_: Any) -> Any:
    raise Refusal(f"non-function of type {type_name(value)}")


_FUNCTIONS: dict[str, tuple[Callable[..., Any], tuple[str, ...], bool]] = {
    "call": (_not_called, ("any",), True),
    "eq": (_equal, ("any",), True),
    "ge": (lambda a, b: not _less(a, b), ("any", "any"), False),
    "gt": (lambda a, b: _less(b, a), ("any", "any"), False),
    "html": (lambda *operands: printf.sprint(*operands).translate(_HTML), (), True),
    "index": (_index, ("any",), True),
    "join": (lambda items, separator: separator.join(items), ("[]string", "string"), False),
    "js": (_js, (), True),
    "json": (values.encoded, ("any",), False),
    "le": (lambda a, b: not _less(b, a), ("any", "any"), False),
    "len": (_length, ("any",), False),
    "lower": (str.lower, ("string",), False),
    "lt": (_less, ("any", "any"), False),
    "ne": (lambda a, b: not _equal(a, b), ("any", "any"), False),
    "not": (lambda value: not values.truth(value), ("any",), False),
    "pad": (_pad, ("string", "int", "int"), False),
    "print": (printf.sprint, (), True),
    "printf": (printf.sprintf, ("string",), True),
    "println": (printf.sprintln, (), True),
    "slice": (_slice, ("any",), True),
    "split": (_split, ("string", "string"), False),
    "title": (_title, ("string",), False),
    "truncate": (_truncate, ("string", "int"), False),
    "upper": (str.upper, ("string",), False),
    "urlquery": (_query, (), True),
}
"""Name → function, the kinds of its first operands, whether more may follow."""
