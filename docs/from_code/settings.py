"""Generates the settings of ``storaged.toml`` from the classes that the file is read into."""

from __future__ import annotations

from collections.abc import Iterator
from types import UnionType
from typing import Any, Literal, NewType, Union, get_args, get_origin, get_type_hints

import attrs
import msgspec

from from_code.text import NotInTheCode
from storaged import settings
from storaged.settings.schema import RANGES


def facts(key: str) -> str:
    """The type and default of a setting.

    Raises:
        NotInTheCode: there is no such setting, or its type is not known here.
    """
    found = keys().get(key)
    if found is None:
        raise NotInTheCode(f"storaged.toml has no setting {key!r}")
    kind, default = found
    said = "not set" if default is None else f"`{msgspec.json.encode(default).decode()}`"
    return f"*{_kind(kind, key)}; default: {said}.*"


def keys() -> dict[str, tuple[Any, Any]]:
    """Type and default of every setting by its key, dotted if it is in a table.

    Raises:
        NotInTheCode: the file is read into something without members.
    """
    found = get_type_hints(settings.read_file)["return"]
    if not attrs.has(found):
        raise NotInTheCode("storaged.settings.read_file does not answer with an attrs class")
    return dict(_keys(found, ""))


def _keys(cls: type[Any], prefix: str) -> Iterator[tuple[str, tuple[Any, Any]]]:
    kinds = get_type_hints(cls)
    for field in attrs.fields(cls):
        kind = kinds[field.name]
        if attrs.has(kind):
            yield from _keys(kind, f"{prefix}{field.name}.")
        else:
            yield prefix + field.name, (kind, field.default)


def _kind(kind: Any, key: str) -> str:
    if get_origin(kind) is Literal:
        return " or ".join(f'`"{word}"`' for word in get_args(kind))
    if get_origin(kind) is tuple:
        return f"a list of {_members(get_args(kind)[0], key)}"
    name = key.rpartition(".")[2]
    if kind is int and name in RANGES:
        return "a whole number from {} to {}".format(*RANGES[name])
    found = _KINDS.get(kind)
    if found is None:
        raise NotInTheCode(f"the manual does not know how to say what {key!r} takes: {kind}")
    return found


def _members(kind: Any, key: str) -> str:
    if isinstance(kind, NewType):
        return "numbers or names"  # a uid or a gid
    words = {int: "numbers", str: "names"}
    members = get_args(kind) if get_origin(kind) in (Union, UnionType) else (kind,)
    if not words.keys() >= set(members):
        raise NotInTheCode(f"the manual does not know how to say what the list {key!r} holds: {kind}")
    return " or ".join(word for each, word in words.items() if each in members)


_KINDS: dict[Any, str] = {
    bool: "`true` or `false`",
    int: "a whole number above 0",
    float | None: "a duration",
    settings.SocketPath | None: "an absolute path",
    str: "a text",
    str | None: "a text",
}
