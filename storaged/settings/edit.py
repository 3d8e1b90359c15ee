"""Sets or removes one key of a settings file; every other line stays as it is."""

from __future__ import annotations

import json
import tomllib
from typing import Any

from storaged.settings.lines import key_lines


def with_key(text: str, table: str, key: str, value: str) -> str:
    """The text with ``key`` of ``table`` set.

    Raises:
        ValueError: the text is not TOML, or has the key in a form that cannot be edited by line.
    """
    document = _parsed(text)
    if document.get(table, {}).get(key) == value:
        return text
    lines, at = text.splitlines(keepends=True), key_lines(text)
    entry = f"{key} = {json.dumps(value, ensure_ascii=False)}\n"
    if (table, key) in at:
        lines[at[table, key] - 1] = entry
    elif (table,) in at:
        lines.insert(at[(table,)], entry)
    else:
        if lines and not lines[-1].endswith("\n"):
            lines[-1] += "\n"
        lines += [*(["\n"] if lines else []), f"[{table}]\n", entry]
    document[table] = {**document.get(table, {}), key: value}
    return _checked("".join(lines), document, f"write {entry.strip()} into its table [{table}]")


def without_key(text: str, table: str, key: str, value: str) -> str:
    """The text without the key, if it has this value; an empty table is removed, too.

    Raises:
        ValueError: as ``with_key``.
    """
    document = _parsed(text)
    if document.get(table, {}).get(key) != value:
        return text
    lines, at = text.splitlines(keepends=True), key_lines(text)
    del document[table][key]
    del lines[at[table, key] - 1]
    if not document[table]:
        del document[table]
        del lines[at[(table,)] - 1]
        while lines and not lines[-1].strip():
            lines.pop()
    return _checked("".join(lines), document, f"take {key} out of its table [{table}]")


def _parsed(text: str) -> dict[str, Any]:
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ValueError(f"it is not TOML: {error}") from None


def _checked(text: str, wanted: dict[str, Any], what: str) -> str:
    """Return the edited text if it says exactly what is wanted."""
    try:
        if tomllib.loads(text) == wanted:
            return text
    except tomllib.TOMLDecodeError:
        pass
    raise ValueError(f"it cannot be edited line by line: {what} yourself")
