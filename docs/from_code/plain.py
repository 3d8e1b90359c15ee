"""Generates the client's ``contract/plain.pyi``: the results of all methods as dictionaries, as on the wire.

``storagectl`` reads those dictionaries, because importing attrs and cattrs takes longer than a request. Type checkers
see their contents here. ``python -m from_code.plain`` in the parent folder writes the file, and a test compares it with
the code.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from types import NoneType, UnionType
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

import attrs

import storaged_client
from from_code.text import literal
from storaged_client.contract.methods import METHODS
from storaged_client.contract.types import Result
from storaged_client.contract.value import Timestamp

PATH = Path(storaged_client.__file__).with_name("contract") / "plain.pyi"

_HEAD = '''"""The results of the protocol as plain dictionaries, for type checkers only: there is no such module to run.

Made by docs/from_code/plain.py of the classes in ``contract/types``, which say what the members mean: change those. A
daemon of an earlier version may leave out a member that is not required.
"""

from typing import Any, Literal, NotRequired, Protocol, TypedDict, overload
'''

_CALLER = '''class Caller(Protocol):
    """Calls a method of the daemon. The type of what it returns is that of the method's result."""
'''

_ARGUMENTS = "params: Any = None, *, watched: bool = False, descriptors: tuple[int, ...] = ()"


def text() -> str:
    """The whole file."""
    parts = [_HEAD, *("\n".join(_dictionary(cls)) for cls in classes()), "\n".join(_caller())]
    return "\n".join(parts) + "\n"


def classes() -> list[type[Any]]:
    """Every result in the order of the methods, each after the classes inside it."""
    found: dict[type[Any], None] = {}

    def look(hint: Any) -> None:
        for each in get_args(hint):
            look(each)
        if attrs.has(hint) and hint not in found:
            for member in _members(hint).values():
                look(member)
            found[hint] = None

    for result in (Result, *(method.result for method in METHODS.values())):
        look(result)
    return list(found)


def _members(cls: type[Any]) -> dict[str, Any]:
    kinds = get_type_hints(cls)
    return {field.name: kinds[field.name] for field in attrs.fields(cls)}


def _dictionary(cls: type[Any]) -> Iterator[str]:
    base = "Result" if cls is not Result and issubclass(cls, Result) else "TypedDict"
    inherited = _members(Result) if base == "Result" else {}
    required = {field.name for field in attrs.fields(cls) if field.default is attrs.NOTHING}
    yield f"class {cls.__name__}({base}):"
    own = {name: kind for name, kind in _members(cls).items() if name not in inherited}
    for name, kind in own.items():
        spelled = _kind(kind)
        yield f"    {name}: {spelled if name in required else f'NotRequired[{spelled}]'}"
    if not own:
        yield "    ..."
    yield ""


def _caller() -> Iterator[str]:
    yield _CALLER
    overloads = [(f'Literal["{method.name}"]', method.result.__name__) for method in METHODS.values()]
    for method, result in (*overloads, ("str", "Any")):
        yield "    @overload"
        yield f"    def __call__(self, method: {method}, {_ARGUMENTS}) -> {result}: ..."


def _kind(hint: Any) -> str:
    origin, inside = get_origin(hint), get_args(hint)
    if origin in (Union, UnionType):
        return " | ".join(map(_kind, inside))
    if origin is Literal:
        return f"Literal[{', '.join(map(literal, inside))}]"
    if origin is tuple:
        return f"list[{_kind(inside[0])}]"
    if origin is dict:
        return f"dict[str, {_kind(inside[1])}]"
    if hint is Timestamp:
        return "str"
    if hint is NoneType:
        return "None"
    return "Any" if hint is Any else str(hint.__name__)


if __name__ == "__main__":
    PATH.write_text(text())
