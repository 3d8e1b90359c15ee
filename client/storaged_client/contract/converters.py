"""The cattrs converters of the protocol: a value has exactly the declared type, or the error says which it must have.

Nothing is coerced: ``5`` is not a string, ``"5"`` not a number, ``true`` not an integer, and a string is not a list of
its letters.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from types import UnionType
from typing import Any, Literal, Union, get_args, get_origin

import attrs
from cattrs import Converter, IterableValidationNote
from cattrs.errors import BaseValidationError, IterableValidationError
from cattrs.gen import make_dict_structure_fn

from .texts import NO_TEXT, is_text

FAULTS = (ValueError, TypeError, KeyError, AttributeError, BaseValidationError)
"""What cattrs and the hooks below raise for a wrong value."""
MOST_ERRORS = 10

_WORDS = {str: "a string", int: "an integer", bool: "true or false", float: "a number", type(None): "null"}


class WrongType(ValueError):
    """A value does not have the required type; the text names the type."""


def _exactly(wanted: type) -> Callable[[Any, Any], Any]:
    def structure(value: Any, _: Any) -> Any:
        if type(value) is not wanted:
            raise WrongType(f"must be {_WORDS[wanted]}")
        return value

    return structure


def _text(value: Any, _: Any) -> str:
    if type(value) is not str:
        raise WrongType(f"must be {_WORDS[str]}")
    if not is_text(value):
        raise WrongType(NO_TEXT)
    return value


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
    """Whether it is like ``str | int | None``: a union of plain types that JSON tells apart."""
    return get_origin(cls) in (Union, UnionType) and all(one in (str, int, bool, type(None)) for one in get_args(cls))


def _choose(value: Any, cls: Any) -> Any:
    if type(value) not in get_args(cls):
        raise WrongType("must be " + " or ".join(_WORDS[one] for one in get_args(cls)))
    return value


def _choose_text(value: Any, cls: Any) -> Any:
    if type(value) is str and not is_text(value):
        raise WrongType(NO_TEXT)
    return _choose(value, cls)


def is_tuple(cls: Any) -> bool:
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
            except FAULTS as error:
                # Also for the hook of a class: cattrs finds the path through this note.
                error.add_note(IterableValidationNote(f"index {index}", index, item))
                errors.append(error)
                if len(errors) == MOST_ERRORS:  # half a million wrong names are as wrong as ten
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


def _object_hook(cls: Any, converter: Converter) -> Callable[[Any, Any], Any]:
    structure = make_dict_structure_fn(cls, converter, _cattrs_forbid_extra_keys=converter.forbid_extra_keys)

    def structure_object(value: Any, wanted: Any) -> Any:
        if type(value) is not dict:
            raise WrongType("must be an object")
        return structure(value, wanted)

    return structure_object


def _is_optional_object(cls: Any) -> bool:
    """Whether it is like ``Class | None``."""
    kinds = [one for one in get_args(cls) if one is not type(None)]
    return get_origin(cls) in (Union, UnionType) and len(kinds) == 1 and attrs.has(kinds[0])


def _optional_hook(cls: Any, converter: Converter) -> Callable[[Any, Any], Any]:
    kind = next(one for one in get_args(cls) if one is not type(None))
    structure = converter.get_structure_hook(kind)
    return lambda value, _: None if value is None else structure(value, kind)


def make_converter(*, strict: bool) -> Converter:
    """Make a converter; a ``strict`` one refuses unknown members and words, and strings that are not text."""
    converter = Converter(detailed_validation=True, forbid_extra_keys=strict)
    for plain in (str, int, bool):
        converter.register_structure_hook(plain, _exactly(plain))
    if strict:
        converter.register_structure_hook(str, _text)
    converter.register_structure_hook(float, _number)
    converter.register_structure_hook_func(_is_literal, _one_of if strict else _a_word)
    converter.register_structure_hook_func(_is_choice, _choose_text if strict else _choose)
    converter.register_structure_hook_factory(attrs.has, _object_hook)
    converter.register_structure_hook_factory(_is_optional_object, _optional_hook)
    converter.register_structure_hook_factory(_is_dict, _dict_hook)
    converter.register_structure_hook_factory(is_tuple, _tuple_hook)
    return converter
