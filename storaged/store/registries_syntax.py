"""Parses what a registries.conf, drop-in or alias cache says about short names.

::

    unqualified-search-registries = ["quay.io", "docker.io"]       hosts, each host[:port]
    [aliases]
    "name" = "registry/repository"                                 "" removes an alias of earlier files

    [registries.search]                                            version 1: only in the main file, and not
    registries = ["quay.io"]                                       together with version 2

Only what a look-up needs is checked: ``[[registry]]`` tables and ``short-name-mode`` govern pulls and are ignored.

Source: image ``pkg/sysregistriesv2/system_registries_v2.go`` (loadConfigFile, ConvertToV2, postProcessRegistries) and
``shortnames.go`` (newShortNameAliasCache).
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from typing import Any, Literal

from msgspec import Struct

from storaged.errors import ConfigError
from storaged.store.layout import references
from storaged_client.contract.errors import InvalidName

Kind = Literal["main", "drop-in", "cache"]

_COMPONENT = "[a-zA-Z0-9](?:[a-zA-Z0-9-]*[a-zA-Z0-9])?"
_HOST = re.compile(rf"{_COMPONENT}(?:\.{_COMPONENT})*(?::[0-9]+)?")
_VERSION_1 = ("search", "insecure", "block")
_VERSION_2 = (
    "registry",
    "unqualified-search-registries",
    "credential-helpers",
    "short-name-mode",
    "additional-layer-store-auth-helper",
    "aliases",
)


class Said(Struct, frozen=True, kw_only=True):
    """The parsed content. ``search`` is None if the file does not set it; an alias to None removes earlier ones."""

    search: tuple[str, ...] | None
    aliases: Mapping[str, str | None]


def parse(path: str, data: bytes, kind: Kind) -> Said:
    """Parse a file's bytes; ``path`` is for errors.

    Raises:
        ConfigError: the whole file cannot be used: ``file``, and ``key`` and ``line`` if they are known.
    """
    document = _Document(path=path, text=_decode(path, data))
    tables = document.tables()
    search = None if kind == "cache" else _search(document, tables, kind)
    return Said(search=search, aliases=_aliases(document, tables))


def _search(document: _Document, tables: Mapping[str, Any], kind: Kind) -> tuple[str, ...] | None:
    """The registries that complete a short name, in either version of the syntax."""
    key = "unqualified-search-registries"
    value = _get(tables, key)
    old = _get(tables, "registries")
    if old is not None and not isinstance(old, dict):
        raise document.wrong("registries", "must be a table")
    lists = {}
    for name in _VERSION_1:
        part = _get(old or {}, name)
        if part is not None and not isinstance(part, dict):
            raise document.wrong(f"registries.{name}", "must be a table")
        lists[name] = _get(part or {}, "registries")
    if any(found is not None for found in lists.values()):
        if kind == "drop-in":
            raise document.wrong("registries", "is of the version 1 syntax, which drop-ins may not use")
        if any(_get(tables, name) not in (None, "") for name in _VERSION_2):
            raise document.wrong("registries", "is of the version 1 syntax, which may not be mixed with version 2")
        key, value = "registries.search.registries", lists["search"]
    if value is None:
        return None
    if not isinstance(value, list) or not all(isinstance(entry, str) for entry in value):
        raise document.wrong(key, "must be an array of strings")
    return tuple(_host(document, key, entry) for entry in value)


def _host(document: _Document, key: str, entry: str) -> str:
    host = entry.rstrip("/")
    if not _HOST.fullmatch(host):
        raise document.wrong(key, f"has {entry!r}, which is not a host[:port]", near=entry)
    return host


def _aliases(document: _Document, tables: Mapping[str, Any]) -> dict[str, str | None]:
    table = _get(tables, "aliases")
    if not isinstance(table, dict):
        # Upstream's decoder ignores a value that is not a table only here.
        return {}
    found: dict[str, str | None] = {}
    for name, value in table.items():
        if not isinstance(value, str):
            raise document.wrong(f"aliases.{name}", "must be a string", near=name)
        try:
            found[name] = _alias(name, value)
        except InvalidName as error:
            raise document.wrong(f"aliases.{name}", f"is not an alias: {error.message}", near=name) from None
    return found


def _alias(name: str, value: str) -> str | None:
    """The full repository an alias stands for; None if the value is empty."""
    short = references.parse(name)
    if short.tag is not None or short.digest is not None or short.qualified:
        raise InvalidName(f"{name!r} must have neither registry nor tag nor digest", asked=name)
    if not value:
        return None
    full = references.parse(value)
    if full.tag is not None or full.digest is not None or not full.qualified:
        raise InvalidName(f"{value!r} must have a registry and neither tag nor digest", asked=value)
    return references.parse_docker(value).repository


def _get(table: Mapping[str, Any], key: str) -> Any:
    """A value by its key; if the exact key is missing, in any case of letters, like upstream's decoder."""
    if key in table:
        return table[key]
    return next((value for name, value in table.items() if name.lower() == key), None)


class _Document(Struct, frozen=True, kw_only=True):
    path: str
    text: str

    def tables(self) -> dict[str, Any]:
        try:
            return tomllib.loads(self.text)
        except (ValueError, RecursionError) as error:
            # tomllib also lets through the ValueError of a number with thousands of digits.
            line = re.search(r"\(at line (\d+)", str(error))
            number = int(line[1]) if line else None
            raise ConfigError(f"{self.path}: {error}", file=self.path, key=None, line=number) from None

    def wrong(self, key: str, what: str, near: str = "") -> ConfigError:
        """The error, with the line of the string or key ``near``, else of the last part of ``key``."""
        last = re.escape(key.rpartition(".")[2])
        line = self._line(rf"(?<![\w-]){last}(?![\w-])")
        if near:
            word = re.escape(near)
            line = self._line(rf"[\"']{word}[\"']|(?<![\w./-]){word}\s*=") or line
        where = f"{self.path}, line {line}" if line else self.path
        return ConfigError(f"{where}: {key} {what}", file=self.path, key=key, line=line)

    def _line(self, pattern: str) -> int | None:
        wanted = re.compile(pattern)
        for number, text in enumerate(self.text.splitlines(), 1):
            if wanted.search(text.partition("#")[0]):
                return number
        return None


def _decode(path: str, data: bytes) -> str:
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise ConfigError(f"{path}: line {line} is not UTF-8", file=path, key=None, line=line) from None
