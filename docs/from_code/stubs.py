"""Generates the client's ``managers.pyi``: the verbs of both clients for type checkers and editors.

The client makes a verb from its row at run time, which no type checker follows. Here each is written out, with the
parameters that all verbs share. ``python -m from_code.stubs`` in the parent folder writes the file, and a test compares
it with the code.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterable, Iterator
from pathlib import Path

import storaged_client
from from_code.text import literal
from storaged_client.calls import SINGLE, signature
from storaged_client.contract.methods import METHODS, Method
from storaged_client.nouns import ON_THE_CLIENT

PATH = Path(storaged_client.__file__).with_name("managers.pyi")
_WIDTH = 120

_HEAD = '''"""Made by docs/from_code/stubs.py of the method table and ``contract/params.py``: change those."""

from collections.abc import Mapping
from typing import Any, overload

from .calls import ArtifactMembers, Filters, Parts, PlatformMembers, Texts
from .contract import types as t
from .contract.params import Consistency, Scope, Sort
from .progress import Listener
from .verbs import Manager
'''


def text() -> str:
    """The whole file."""
    nouns = list(dict.fromkeys(row.noun for row in METHODS.values()))
    parts = [_HEAD]
    for noun in nouns:
        rows = [row for row in METHODS.values() if row.noun == noun]
        parts += [_class(f"{prefix}{noun.capitalize()}(Manager)", _methods(rows, prefix)) for prefix in _PREFIXES]
    own = [METHODS[f"store.{verb}"] for verb in ON_THE_CLIENT]
    for prefix in _PREFIXES:
        members = [f"    {noun}: {prefix}{noun.capitalize()}" for noun in nouns]
        parts.append(_class(f"{prefix}Nouns", [*members, *_methods(own, prefix)]))
    return "\n".join(parts)


_PREFIXES = ("", "Async")


def _class(name: str, lines: Iterable[str]) -> str:
    return "\n".join((f"class {name}:", *lines, ""))


def _methods(rows: list[Method], prefix: str) -> Iterator[str]:
    for row in rows:
        yield from _method(row, "async def" if prefix else "def")


def _method(row: Method, how: str) -> Iterator[str]:
    forms = list(_forms(row))
    for parameters, result in forms:
        if len(forms) > 1:
            yield "    @overload"
        yield from _wrapped(f"    {how} {row.verb}(", parameters, f") -> {result}:")
        yield f'        """{row.summary}"""'


def _forms(row: Method) -> Iterator[tuple[list[str], str]]:
    """Parameters and result of each overload."""
    whole = signature(row)
    kinds: list[tuple[dict[str, str], str]] = [({}, whole.return_annotation)]
    if row.name == SINGLE:
        kinds = [({"names": "str"}, "t.ImageDetails"), ({"names": "Texts"}, "t.ImageDetailsList")]
    for spelled, result in kinds:
        parameters = list(_parameters(whole, spelled))
        if "if_generation" not in whole.parameters:
            yield parameters, result
            continue
        at = next(index for index, each in enumerate(parameters) if each.startswith("if_generation"))
        for generation, answer in (("None = None", result), ("str | None", f"{result} | t.Unchanged")):
            yield [*parameters[:at], f"if_generation: {generation}", *parameters[at + 1 :]], answer


def _parameters(whole: inspect.Signature, spelled: dict[str, str]) -> Iterator[str]:
    yield "self"
    positional = True
    for one in whole.parameters.values():
        if positional and one.kind is one.KEYWORD_ONLY:
            positional = False
            yield "*"
        default = "" if one.default is one.empty else f" = {literal(one.default)}"
        yield f"{one.name}: {spelled.get(one.name, one.annotation)}{default}"


def _wrapped(head: str, parameters: list[str], tail: str) -> Iterator[str]:
    """Wrapped as ruff would."""
    joined = ", ".join(parameters)
    if len(head + joined + tail) <= _WIDTH:
        yield head + joined + tail
        return
    yield head
    yield from [f"        {joined}"] if len(joined) + 8 <= _WIDTH else [f"        {one}," for one in parameters]
    yield f"    {tail}"


if __name__ == "__main__":
    PATH.write_text(text())
