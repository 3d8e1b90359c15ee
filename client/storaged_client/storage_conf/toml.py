"""Parses TOML as storage.conf uses it: a plain subset here, anything else with the standard library.

Importing ``tomllib`` takes longer than a command. The files that distributions ship need only tables, strings without
escapes, booleans, integers, arrays and inline tables of strings.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


class _NotPlain(Exception):
    """The text needs the whole grammar, or is invalid."""


class _Table(dict):  # type: ignore[type-arg]
    """A table made by a header: an inline table may not be opened again."""


def loads(text: str) -> dict[str, Any]:
    """Parse like ``tomllib.loads``.

    Raises:
        ValueError, RecursionError: as ``tomllib.loads``, whose messages name the line.
    """
    try:
        return _plain(text)
    except _NotPlain:
        import tomllib

        return tomllib.loads(text)


def _plain(text: str) -> dict[str, Any]:
    if '"""' in text or "'''" in text or not text.replace("\n", "").replace("\t", "").isprintable():
        raise _NotPlain
    root = _Table()
    table: dict[str, Any] = root
    headers: set[str] = set()
    lines = iter(text.split("\n"))
    for line in lines:
        line = line.strip(" \t")
        if not line or line[0] == "#":
            continue
        if line[0] == "[":
            name = line[1:-1]
            if line[-1] != "]" or name in headers:
                raise _NotPlain
            headers.add(name)
            table = _table(root, name)
            continue
        key, equals, value = line.partition("=")
        key, value = key.rstrip(" \t"), value.lstrip(" \t")
        if not equals or not _is_bare(key) or key in table:
            raise _NotPlain
        if value[:1] == "[":
            while value[-1:] != "]":
                more = next(lines, None)
                if more is None:
                    raise _NotPlain
                value += more.strip(" \t")
        table[key] = _value(value)
    return root


def _table(root: dict[str, Any], name: str) -> dict[str, Any]:
    table = root
    for part in name.split("."):
        if not _is_bare(part):
            raise _NotPlain
        table = table.setdefault(part, _Table())
        if type(table) is not _Table:
            raise _NotPlain
    return table


def _is_bare(key: str) -> bool:
    return key.isascii() and key.replace("-", "a").replace("_", "a").isalnum()


def _value(text: str) -> Any:
    if text in ("true", "false"):
        return text == "true"
    if text.isascii() and text.isdigit() and (text == "0" or text[0] != "0") and len(text) < 16:
        return int(text)
    if text[:1] == "[" and text[-1:] == "]":
        items = _items(text[1:-1])
        return [_string(item) for item in items]
    if text[:1] == "{" and text[-1:] == "}":
        return _inline(text[1:-1])
    return _string(text)


def _inline(text: str) -> dict[str, str]:
    made: dict[str, str] = {}
    for item in text.split(",") if text.strip(" \t") else ():
        key, _, value = item.partition("=")
        key = key.strip(" \t")
        if not _is_bare(key) or key in made:
            raise _NotPlain
        made[key] = _string(value.strip(" \t"))
    return made


def _items(text: str) -> list[str]:
    if not text.strip(" \t"):
        return []
    items = [item.strip(" \t") for item in text.split(",")]
    return items if items[-1] else items[:-1]


def _string(text: str) -> str:
    quote, inner = text[:1], text[1:-1]
    if len(text) < 2 or quote not in ("'", '"') or text[-1] != quote or quote in inner:
        raise _NotPlain
    if quote == '"' and "\\" in inner:
        raise _NotPlain
    return inner
