"""``managers.pyi`` of the client: the verbs of both clients as type checkers and editors see them.

A verb is bound to a manager at run time, where no type checker follows. Here each is written out, with what all verbs
have in common: ``python -m from_code.stubs`` in this folder's parent writes the file, and a test holds it to the code.
"""

from __future__ import annotations

import inspect
import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import get_overloads

from storaged_client import managers
from storaged_client.verbs import Manager, Verb

PATH = Path(managers.__file__).with_suffix(".pyi")
_WIDTH = 120

_HEAD = '''"""Made by docs/from_code/stubs.py of calls.py and change_calls.py: change those."""

from collections.abc import Mapping
from typing import Any, overload

from .calls import Consistency, Filters, Parts, Scope, Sort, Texts
from .change_calls import ArtifactMembers, PlatformMembers
from .contract import types as t
from .progress import Listener
from .verbs import Manager
'''


def text() -> str:
    """The whole file."""
    nouns = [cls for cls in Manager.__subclasses__() if cls.__module__ == managers.__name__]
    shown: dict[str, Mapping[str, object]] = {f"{cls.__name__}(Manager)": vars(cls) for cls in nouns}
    # The stub that type checkers see of the module is what is being written here.
    shown["ClientVerbs"] = {name: vars(managers.Store)[name] for name in vars(managers)["ON_THE_CLIENT"]}
    return "\n".join(
        (_HEAD, *(_class(name, members, how) for name, members in shown.items() for how in ("def", "async def")))
    )


def _class(name: str, members: Mapping[str, object], how: str) -> str:
    verbs = {name: verb for name, verb in members.items() if isinstance(verb, Verb)}
    methods = (line for name, verb in verbs.items() for line in _methods(name, verb, how))
    return "\n".join((f"class {'Async' if how != 'def' else ''}{name}:", *methods, ""))


def _methods(name: str, verb: Verb, how: str) -> Iterator[str]:
    summary = (verb.__doc__ or "").partition("\n")[0]
    forms = [
        (function, generation)
        for function in get_overloads(verb.build) or [verb.build]
        for generation in (("None = None", "str | None") if verb.reads else ("",))
    ]
    for function, generation in forms:
        signature = inspect.signature(function)
        parameters = ["self"]
        for one in signature.parameters.values():
            if one.kind is one.KEYWORD_ONLY and "*" not in parameters:
                parameters.append("*")
            default = "" if one.default is one.empty else f" = {_literal(one.default)}"
            parameters.append(f"{one.name}: {one.annotation}{default}")
        result = re.sub(r"^Call\[(.*)\]$", r"\1", signature.return_annotation)
        if generation:
            parameters.append(f"if_generation: {generation}")
            result += " | t.Unchanged" if generation == "str | None" else ""
        if verb.tells:
            parameters.append("progress: Listener | None = None")
        if len(forms) > 1:
            yield "    @overload"
        yield from _wrapped(f"    {how} {name}(", parameters, f") -> {result}:")
        yield f'        """{summary}"""'


def _literal(value: object) -> str:
    return json.dumps(value) if isinstance(value, str) else repr(value)


def _wrapped(head: str, parameters: list[str], tail: str) -> Iterator[str]:
    """As ruff would have it."""
    joined = ", ".join(parameters)
    if len(head + joined + tail) <= _WIDTH:
        yield head + joined + tail
        return
    yield head
    yield from [f"        {joined}"] if len(joined) + 8 <= _WIDTH else [f"        {one}," for one in parameters]
    yield f"    {tail}"


if __name__ == "__main__":
    PATH.write_text(text())
