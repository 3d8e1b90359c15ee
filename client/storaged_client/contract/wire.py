"""Converts JSON to the protocol's values with cattrs: parameters strictly, results generously.

Nothing is coerced: ``5`` is not a string, ``"5"`` not a number, ``true`` not an integer, and a string is not a list of
its letters. Unknown parameters are refused, because a misspelt one would silently have no effect. Unknown members of a
result are ignored, and so are new words where a result lists the known ones, because a minor version only adds.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any, TypeVar, get_type_hints

import attrs
from cattrs import Converter, transform_error
from cattrs.errors import ForbiddenExtraKeysError
from cattrs.gen import make_dict_structure_fn
from cattrs.v import format_exception

from .converters import FAULTS, MOST_ERRORS, WrongType, is_tuple, make_converter
from .errors import InvalidParams
from .params import Common
from .types import ImageSummary, Unchanged
from .value import Timestamp

T = TypeVar("T")

_UNKNOWN = "unknown: "


class MalformedResult(ValueError):
    """The daemon's result does not match its method; ``errors`` as in InvalidParams."""

    def __init__(self, cls: type, errors: list[dict[str, str]]) -> None:
        super().__init__(f"no {cls.__name__}: " + "; ".join(f"{e['path']}: {e['message']}" for e in errors))
        self.errors = errors
        self.method = ""
        """The method of the result."""
        self.hint = ""
        """What the client adds for people if the daemon has another version."""

    def __str__(self) -> str:
        text = f"{self.method}: {self.args[0]}" if self.method else str(self.args[0])
        return f"{text}; {self.hint}" if self.hint else text


_params = make_converter(strict=True)


@cache
def _results() -> Converter:
    """Created when the first result is read: a daemon reads none."""
    converter = make_converter(strict=False)
    converter.register_structure_hook(Timestamp, _timestamp)
    converter.register_structure_hook(ImageSummary, _summary_hook(converter))
    return converter


def _timestamp(value: Any, _: Any) -> Timestamp:
    if type(value) is not str:
        raise WrongType("must be a string")
    return Timestamp.of(value)


_EMPTY = {str: "", Timestamp: "", bool: False, int: 0}


def _summary_hook(converter: Converter) -> Callable[[Any, Any], ImageSummary]:
    """With ``fields`` in the request, the other members are absent: they become None."""
    names = tuple(attribute.name for attribute in attrs.fields(ImageSummary))
    empty: dict[str, Any] = {
        name: [] if is_tuple(kind) else _EMPTY.get(kind) for name, kind in get_type_hints(ImageSummary).items()
    }
    structure: Callable[[Any, Any], ImageSummary] = make_dict_structure_fn(ImageSummary, converter)

    def structure_summary(value: Any, cls: Any) -> ImageSummary:
        if type(value) is not dict or not value:
            return structure(value, cls)
        absent = [name for name in names if name not in value]
        made = structure({**empty, **value} if absent else value, cls)
        for name in absent:
            object.__setattr__(made, name, None)
        return made

    return structure_summary


def _describe(error: BaseException, kind: type | None) -> str:
    if isinstance(error, WrongType):
        return str(error)
    if isinstance(error, KeyError):
        return "is required"
    if isinstance(error, ForbiddenExtraKeysError):
        return _UNKNOWN + ", ".join(sorted(error.extra_fields)[:MOST_ERRORS])
    return format_exception(error, kind)


def _unknown(message: str) -> list[str]:
    return message.removeprefix(_UNKNOWN).split(", ") if message.startswith(_UNKNOWN) else []


def _errors(error: BaseException) -> list[dict[str, str]]:
    found = []
    for text in transform_error(error, format_exception=_describe)[:MOST_ERRORS]:
        message, _, path = text.rpartition(" @ ")
        found += [{"path": f"{path}.{name}", "message": "is unknown"} for name in _unknown(message)] or [
            {"path": path, "message": message}
        ]
    return found


def _refuse(errors: list[dict[str, str]]) -> InvalidParams:
    text = "; ".join(f"{one['path'].removeprefix('$.')} {one['message']}" for one in errors)
    return InvalidParams(text, {"path": errors[0]["path"], "errors": errors})


@cache
def _names(cls: Any) -> tuple[str, ...]:
    return tuple(attribute.name for attribute in attrs.fields(cls))


_COMMON = frozenset(_names(Common))


def is_own(params: object) -> bool:
    """Whether these are only the method's own parameters, without any common one."""
    return not isinstance(params, dict) or _COMMON.isdisjoint(params)


def split_store(params: dict[str, Any]) -> tuple[dict[str, Any] | None, dict[str, Any]]:
    """Split off the common parameter ``store`` as it was given, None if it is null.

    Raises: InvalidParams.
    """
    given = params["store"]
    rest = {name: value for name, value in params.items() if name != "store"}
    _structure(Common, {"store": given})
    return given, rest


def split_common(params: dict[str, Any] | list[Any] | None) -> tuple[Common, dict[str, Any] | list[Any]]:
    """Split the common parameters from the method's own. Positional parameters are always the method's own.

    Raises: InvalidParams.
    """
    if params is None:
        return _DEFAULTS, {}
    if isinstance(params, list) or _COMMON.isdisjoint(params):
        return _DEFAULTS, params
    rest: dict[str, Any] = {}
    common: dict[str, Any] = {}
    for name, value in params.items():
        (common if name in _COMMON else rest)[name] = value
    made = _structure(Common, common)
    if made.timeout < 0:
        raise _refuse([{"path": "$.timeout", "message": "must not be negative"}])
    return made, rest


def structure_params(cls: type[T], params: dict[str, Any] | list[Any] | None) -> T:
    """The parameters of one method, by name or by position. Unknown ones are refused.

    Raises: InvalidParams; ``data`` has the first ``path`` and ``errors``, a list of ``{path, message}``.
    """
    kind: Any = cls
    names = _names(kind)
    if isinstance(params, list):
        if len(params) > len(names):
            raise _refuse([{"path": f"$[{len(names)}]", "message": f"is one too many: at most {len(names)}"}])
        params = dict(zip(names, params, strict=False))
    given = params or {}
    unknown = [name for name in given if name not in names]
    if unknown:
        raise _refuse([{"path": f"$.{name}", "message": "is unknown"} for name in unknown[:MOST_ERRORS]])
    return _structure(cls, given)


def _structure(cls: type[T], given: dict[str, Any]) -> T:
    try:
        return _params.structure(given, cls)
    except FAULTS as error:
        raise _refuse(_errors(error)) from None


def structure_result(cls: type[T], value: Any) -> T | Unchanged:
    """A method's result as its class; ``Unchanged`` if ``if_generation`` was current.

    Raises: MalformedResult.
    """
    if type(value) is not dict:
        raise MalformedResult(cls, [{"path": "$", "message": "must be an object"}])
    wanted: type[Any] = Unchanged if value.get("unchanged") is True else cls
    try:
        made: T | Unchanged = _results().structure(value, wanted)
    except FAULTS as error:
        raise MalformedResult(cls, _errors(error)) from None
    return made


_DEFAULTS = Common()
