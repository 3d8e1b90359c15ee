"""Generates the methods, parameters, results and types of the protocol from the method table."""

from __future__ import annotations

import ast
import inspect
import itertools
import re
import textwrap
from collections.abc import Iterator
from types import NoneType, UnionType
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

import attrs
import msgspec

from from_code.text import plain
from storaged_client.contract import params
from storaged_client.contract.methods import COMMON_ERRORS, METHODS, Method
from storaged_client.contract.types import Result
from storaged_client.contract.value import Timestamp

_WORDS: dict[Any, str] = {
    str: "string",
    Timestamp: "string",
    int: "integer",
    float: "number",
    bool: "boolean",
    NoneType: "null",
    Any: "any JSON",
}


def methods() -> str:
    """Every method: its purpose, parameters, result and errors."""
    common = ", ".join(f"`{name}`" for name in COMMON_ERRORS)
    head = f"Every method may answer {common}.\n"
    return "\n".join((head, *(text for method in METHODS.values() for text in _method(method))))


def _method(method: Method) -> Iterator[str]:
    yield f"### {method.name}\n"
    yield (
        plain(method.summary)
        + (" Mutates." if method.mutates else "")
        + (" Takes descriptors." if method.descriptors else "")
        + f" {_said(method.params)}\n"
    )
    own = list(_parameters(method.params))
    if own:
        yield "Parameters, in the order of their positions:\n"
        yield from (*own, "")
    common = {field.name for field in attrs.fields(Result)}
    results = [line for name, line in _members(method.result) if name not in common]
    if results:
        yield "Result:\n"
        yield from (*results, "")
    if method.errors:
        yield "Errors: " + ", ".join(f"`{name}`" for name in method.errors) + ".\n"


def common_parameters() -> str:
    """The parameters that every method takes by name."""
    return "\n".join(_parameters(params.Common))


def _parameters(cls: type[Any]) -> Iterator[str]:
    kinds = get_type_hints(cls)
    for field in attrs.fields(cls):
        needed = "required" if field.default is attrs.NOTHING else f"default `{_json(field.default)}`"
        yield f"* `{field.name}`: {_kind(kinds[field.name])}; {needed}"


def types() -> str:
    """Every object inside parameters and results, each once, in the order of the methods."""
    found: dict[type[Any], None] = {}

    def look(hint: Any, *, inside: bool) -> None:
        for each in get_args(hint):
            look(each, inside=True)
        if attrs.has(hint) and hint not in found:
            if inside:
                found[hint] = None
            for member in get_type_hints(hint).values():
                look(member, inside=True)

    for method in METHODS.values():
        look(method.params, inside=False)
        look(method.result, inside=False)
    return "\n".join(text for cls in found for text in _type(cls))


def _type(cls: type[Any]) -> Iterator[str]:
    yield f"### {cls.__name__}\n"
    yield f"{_said(cls)}\n"
    yield from (line for _, line in _members(cls))
    yield ""


def _members(cls: type[Any]) -> Iterator[tuple[str, str]]:
    kinds, told = get_type_hints(cls), _told(cls)
    for field in attrs.fields(cls):
        more = f". {told[field.name]}" if field.name in told else ""
        yield field.name, f"* `{field.name}`: {_kind(kinds[field.name])}{more}"


def _said(cls: type[Any]) -> str:
    """The docstring of a class, unless it only repeats the name of its method."""
    text = _markdown(cls.__doc__ or "")
    return "" if re.fullmatch(r"`[a-z.]+`\.", text) else text


def _told(cls: type[Any]) -> dict[str, str]:
    """The docstrings of the members of a class."""
    (tree,) = ast.parse(textwrap.dedent(inspect.getsource(cls))).body
    body = tree.body if isinstance(tree, ast.ClassDef) else []
    return {
        member.target.id: _markdown(below.value.value)
        for member, below in itertools.pairwise(body)
        if isinstance(member, ast.AnnAssign) and isinstance(member.target, ast.Name)
        if isinstance(below, ast.Expr) and isinstance(below.value, ast.Constant) and isinstance(below.value.value, str)
    }


def _markdown(docstring: str) -> str:
    """The text as one paragraph, with JSON's words."""
    text = re.sub(r"\s+", " ", docstring).strip().replace("``", "`")
    return re.sub(r"`None`|\bNone\b", "null", text)


def _kind(hint: Any) -> str:
    origin, inside = get_origin(hint), get_args(hint)
    if origin in (Union, UnionType):
        return " or ".join(map(_kind, sorted(inside, key=lambda each: each is NoneType)))
    if origin is Literal:
        return " or ".join(f"`{_json(word)}`" for word in inside)
    if origin is tuple:
        return f"list of {_kind(inside[0])}"
    if origin is dict:
        return f"object, its members {_kind(inside[1])}"
    if attrs.has(hint):
        return f"`{hint.__name__}`"
    return _WORDS[hint]


def _json(value: Any) -> str:
    return msgspec.json.encode(value).decode()
