"""The protocol's values out of JSON, by cattrs: parameters strictly, results generously.

Nothing is coerced: ``5`` is no string, ``"5"`` no number, ``true`` no integer, and a string is no list
of its letters. Unknown parameters are refused, since a misspelt one would be silently without effect;
unknown members of a result are ignored, and so are new words where a result lists the known ones,
because a minor version only adds.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from types import UnionType
from typing import Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

import attrs
from cattrs import Converter, IterableValidationNote, transform_error
from cattrs.errors import BaseValidationError, ForbiddenExtraKeysError, IterableValidationError
from cattrs.gen import make_dict_structure_fn
from cattrs.v import format_exception

from .errors import InvalidParams
from .params import Common
from .types import ImageSummary, Unchanged

T = TypeVar("T")

_FAULTS = (ValueError, TypeError, KeyError, AttributeError, BaseValidationError)
"""What cattrs and the hooks below raise for a wrong value."""
_MOST_ERRORS = 10

_WORDS = {str: "a string", int: "an integer", bool: "true or false", float: "a number", type(None): "null"}


class WrongType(ValueError):
    """A value is not of the type asked for; the text says of which it must be."""


class MalformedResult(ValueError):
    """The daemon's result does not have the shape of its method; ``errors`` as in InvalidParams."""

    def __init__(self, cls: type, errors: list[dict[str, str]]) -> None:
        super().__init__(f"no {cls.__name__}: " + "; ".join(f"{e['path']}: {e['message']}" for e in errors))
        self.errors = errors


def _exactly(wanted: type) -> Callable[[Any, Any], Any]:
    def structure(value: Any, _: Any) -> Any:
        if type(value) is not wanted:
            raise WrongType(f"must be {_WORDS[wanted]}")
        return value

    return structure


def _number(value: Any, _: Any) -> float:
    if type(value) not in (int, float):
        raise WrongType("must be a number")
    try:
        number = float(value)
    except OverflowError:
        number = math.inf
    if not math.isfinite(number):
        raise WrongType("must be a finite number")
    return number


def _is_literal(cls: Any) -> bool:
    return get_origin(cls) is Literal


def _one_of(value: Any, cls: Any) -> Any:
    known = get_args(cls)
    if not any(type(value) is type(one) and value == one for one in known):
        raise WrongType("must be one of " + ", ".join(map(str, known)))
    return value


def _a_word(value: Any, cls: Any) -> Any:
    if type(value) not in {type(one) for one in get_args(cls)}:
        raise WrongType(f"must be {_WORDS[type(get_args(cls)[0])]}")
    return value


def _is_choice(cls: Any) -> bool:
    """``str | int | None``: a union of plain types that JSON tells apart."""
    return get_origin(cls) in (Union, UnionType) and all(one in (str, int, bool, type(None)) for one in get_args(cls))


def _choose(value: Any, cls: Any) -> Any:
    if type(value) not in get_args(cls):
        raise WrongType("must be " + " or ".join(_WORDS[one] for one in get_args(cls)))
    return value


def _is_tuple(cls: Any) -> bool:
    return get_origin(cls) is tuple and get_args(cls)[1:] == (Ellipsis,)


def _is_dict(cls: Any) -> bool:
    return get_origin(cls) is dict


def _tuple_hook(cls: Any, converter: Converter) -> Callable[[Any, Any], Any]:
    item = get_args(cls)[0]
    structure = converter.get_structure_hook(item)

    def structure_tuple(value: Any, wanted: Any) -> Any:
        # cattrs would take any iterable, so that "abc" became ("a", "b", "c").
        if type(value) is not list and type(value) is not tuple:
            raise WrongType("must be an array")
        done: list[Any] = []
        errors: list[Exception] = []
        for index, one in enumerate(value):
            try:
                done.append(structure(one, item))
            except _FAULTS as error:
                # Also the hook of a class: this note is how cattrs knows the path.
                error.add_note(IterableValidationNote(f"index {index}", index, item))
                errors.append(error)
                if len(errors) == _MOST_ERRORS:  # half a million wrong names are as wrong as ten
                    break
        if errors:
            raise IterableValidationError("wrong items", errors, wanted)
        return tuple(done)

    return structure_tuple


def _dict_hook(cls: Any, converter: Converter) -> Callable[[Any, Any], Any]:
    structure = converter.gen_structure_mapping(cls)

    def structure_dict(value: Any, wanted: Any) -> Any:
        if type(value) is not dict:
            raise WrongType("must be an object")
        return structure(value, wanted)

    return structure_dict


def _make_converter(*, strict: bool) -> Converter:
    converter = Converter(detailed_validation=True, forbid_extra_keys=strict)
    for plain in (str, int, bool):
        converter.register_structure_hook(plain, _exactly(plain))
    converter.register_structure_hook(float, _number)
    converter.register_structure_hook_func(_is_literal, _one_of if strict else _a_word)
    converter.register_structure_hook_func(_is_choice, _choose)
    converter.register_structure_hook_factory(_is_dict, _dict_hook)
    converter.register_structure_hook_factory(_is_tuple, _tuple_hook)
    return converter


_params = _make_converter(strict=True)
_results = _make_converter(strict=False)

_SUMMARY = tuple(attribute.name for attribute in attrs.fields(ImageSummary))
_structure_summary: Callable[[Any, Any], ImageSummary] = make_dict_structure_fn(ImageSummary, _results)


def _image_summary(value: Any, cls: Any) -> ImageSummary:
    """With ``fields`` in the request the other members are absent: they become None."""
    if type(value) is dict and value and not all(name in value for name in _SUMMARY):
        return _some_of_summary(value)
    return _structure_summary(value, cls)


def _some_of_summary(value: dict[str, Any]) -> ImageSummary:
    absent = [name for name in _SUMMARY if name not in value]
    made = _structure_summary({**_EMPTY_SUMMARY, **value}, ImageSummary)
    for name in absent:
        object.__setattr__(made, name, None)
    return made


_EMPTY_SUMMARY: dict[str, Any] = {
    name: [] if _is_tuple(kind) else "" if kind is str else False if kind is bool else 0 if kind is int else None
    for name, kind in get_type_hints(ImageSummary).items()
}
_results.register_structure_hook(ImageSummary, _image_summary)


def _describe(error: BaseException, kind: type | None) -> str:
    if isinstance(error, WrongType):
        return str(error)
    if isinstance(error, KeyError):
        return "is required"
    if isinstance(error, ForbiddenExtraKeysError):
        return "unknown: " + ", ".join(sorted(error.extra_fields)[:_MOST_ERRORS])
    return format_exception(error, kind)


def _errors(error: BaseException) -> list[dict[str, str]]:
    found = []
    for text in transform_error(error, format_exception=_describe)[:_MOST_ERRORS]:
        message, _, path = text.rpartition(" @ ")
        found.append({"path": path, "message": message})
    return found


def _refuse(errors: list[dict[str, str]]) -> InvalidParams:
    text = "; ".join(f"{one['path'].removeprefix('$.')} {one['message']}" for one in errors)
    return InvalidParams(text, {"path": errors[0]["path"], "errors": errors})


def _names(cls: type[Any]) -> tuple[str, ...]:
    return tuple(attribute.name for attribute in attrs.fields(cls))


_COMMON = frozenset(_names(Common))


def split_common(params: dict[str, Any] | list[Any] | None) -> tuple[Common, dict[str, Any] | list[Any]]:
    """The parameters every method has, and the method's own. By position there are only the latter.

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
    names = _names(cls)
    if isinstance(params, list):
        if len(params) > len(names):
            raise _refuse([{"path": f"$[{len(names)}]", "message": f"is one too many: at most {len(names)}"}])
        params = dict(zip(names, params, strict=False))
    given = params or {}
    unknown = [name for name in given if name not in names]
    if unknown:
        raise _refuse([{"path": f"$.{name}", "message": "is unknown"} for name in unknown[:_MOST_ERRORS]])
    return _structure(cls, given)


def _structure(cls: type[T], given: dict[str, Any]) -> T:
    try:
        return _params.structure(given, cls)
    except _FAULTS as error:
        raise _refuse(_errors(error)) from None


def structure_result(cls: type[T], value: Any) -> T | Unchanged:
    """A method's result as its class; ``Unchanged`` where ``if_generation`` was current.

    Raises: MalformedResult.
    """
    if type(value) is not dict:
        raise MalformedResult(cls, [{"path": "$", "message": "must be an object"}])
    wanted: type[Any] = Unchanged if value.get("unchanged") is True else cls
    try:
        made: T | Unchanged = _results.structure(value, wanted)
    except _FAULTS as error:
        raise MalformedResult(cls, _errors(error)) from None
    return made


_DEFAULTS = Common()
