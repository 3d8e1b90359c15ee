"""The schema of the settings file: types, ranges, conflicts. All mistakes are found at once."""

from __future__ import annotations

import grp
import json
import pwd
from collections.abc import Callable, Iterator, Mapping
from functools import cache
from types import GenericAlias
from typing import Any, get_args, get_origin

from attrs import evolve, fields
from cattrs import Converter, override
from cattrs.errors import BaseValidationError, ClassValidationError, ForbiddenExtraKeysError, IterableValidationError
from cattrs.gen import make_dict_structure_fn

from storaged.server.limits import Limits
from storaged.settings.model import (
    NOWHERE,
    Compat,
    FileSettings,
    GatewaySettings,
    Gid,
    Grants,
    LogLevel,
    SocketPath,
    StorageRules,
    Uid,
)
from storaged_client.times import LONGEST, seconds

Keys = tuple[str | int, ...]
Mistake = tuple[Keys, str]
"""The path of a key, and what is wrong with it."""

RANGES: Mapping[str, tuple[int, int]] = {
    "connections": (2, 65536),  # one is kept for the next user: with only one, nobody else could ever connect
    "request_bytes": (4096, 64 << 20),
    "reply_bytes": (1 << 20, 1 << 30),  # the longest answer that is not split into pages must fit
    "descriptors": (1, 253),  # SCM_MAX_FD of the kernel
    "batch": (1, 10_000),
    "in_flight": (1, 10_000),
    "in_flight_bytes": (4096, 1 << 30),
    "waiting_bytes": (4096, 1 << 30),
    "stall_seconds": (1, 86400),
    "text_seconds": (1, 86400),
    "drain_seconds": (1, 86400),
    "uid_connections": (1, 65536),
    "uid_in_flight": (1, 1_000_000),
    "uid_bytes": (1 << 20, 1 << 40),
    "uid_request_bytes": (4096, 1 << 40),
    "total_in_flight": (8, 10_000_000),  # an eighth is kept, which must be at least one
    "total_bytes": (1 << 20, 1 << 40),
    "total_request_bytes": (4096, 1 << 40),
    "cursors": (1, 10_000),
    "cursor_seconds": (1, 86400),
    "plans": (1, 10_000),
    "plan_seconds": (1, 7 * 86400),
    "leases": (1, 1_000_000),
    "leased_images": (1, 1_000_000_000),
    "total_cursors": (1, 100_000),
    "total_plans": (1, 100_000),
    "total_leases": (1, 10_000_000),
    "total_leased_images": (1, 10_000_000_000),
}
_RANGE = (1, 1 << 31)
"""The range of a limit that has no range of its own."""

_LAST_ID = (1 << 32) - 2
"""The highest uid and gid; the next number means none."""

_LONGEST = 60
"""The maximum number of characters of a value in a message."""

_TABLES: Mapping[str, type] = {"limits": Limits, "access": Grants, "gateway": GatewaySettings}


def structured(table: dict[str, Any]) -> tuple[FileSettings | None, list[Mistake]]:
    """The settings, or every mistake: exactly one of the two is empty."""
    if not table:  # a file of nothing but comments
        return FileSettings(), []
    mistakes = list(_contradictions(table))
    try:
        made = _converter().structure(table, FileSettings)
    except BaseValidationError as error:
        return None, [*_mistakes(error, (), FileSettings), *mistakes]
    if mistakes:
        return None, mistakes
    return evolve(made, limits=_fitting(made.limits, table.get("limits", {}))), []


# -------------------------------------------------------------------- what excludes what


def _contradictions(table: dict[str, Any]) -> Iterator[Mistake]:
    gateway = table.get("gateway")
    if isinstance(gateway, dict):
        socket, podman = gateway.get("socket"), gateway.get("podman_socket")
        if socket == NOWHERE:
            yield ("gateway", "socket"), "leave it out if you want no gateway"
        elif isinstance(socket, str) and socket == podman:
            yield ("gateway", "podman_socket"), "is the gateway's own socket, which cannot pass on to itself"
    given = table.get("limits")
    if not isinstance(given, dict):
        return
    for name, other, above, why in (
        ("uid_connections", "connections", True, "this number can never be reached"),
        ("uid_in_flight", "in_flight", False, "one connection alone may have more"),
        ("uid_bytes", "reply_bytes", False, "one reply alone may be longer"),
        ("uid_request_bytes", "request_bytes", False, "one request alone may be longer"),
        ("total_in_flight", "in_flight", False, "one connection alone may have more"),
        ("total_bytes", "reply_bytes", False, "one reply alone may be longer"),
        ("total_request_bytes", "request_bytes", False, "one request alone may be longer"),
    ):
        value, bound = given.get(name), given.get(other, getattr(Limits(), other))
        if type(value) is int and type(bound) is int and (value > bound if above else value < bound):
            relation = "more" if above else "less"
            yield ("limits", name), f"{value} is {relation} than limits.{other}, which is {bound}: {why}"


def _fitting(limits: Limits, given: Mapping[str, object]) -> Limits:
    """Adjust limits that were not given, if a given one makes their default invalid."""
    fitting: dict[str, int] = {}
    if "uid_connections" not in given:
        fitting["uid_connections"] = min(limits.uid_connections, limits.connections - 1)
    if "uid_in_flight" not in given:
        fitting["uid_in_flight"] = max(limits.uid_in_flight, limits.in_flight)
    if "uid_bytes" not in given:
        fitting["uid_bytes"] = max(limits.uid_bytes, limits.reply_bytes)
    if "uid_request_bytes" not in given:
        fitting["uid_request_bytes"] = max(limits.uid_request_bytes, limits.request_bytes)
    limits = evolve(limits, **fitting)
    totals = {
        "total_in_flight": limits.uid_in_flight,
        "total_bytes": limits.uid_bytes,
        "total_request_bytes": limits.uid_request_bytes,
        "total_cursors": limits.cursors,
        "total_plans": limits.plans,
        "total_leases": limits.leases,
        "total_leased_images": limits.leased_images,
    }
    return evolve(
        limits,
        **{name: max(getattr(limits, name), of_one) for name, of_one in totals.items() if name not in given},
    )


# -------------------------------------------------------------------- telling


def _mistakes(error: BaseException, path: Keys, kind: type) -> Iterator[Mistake]:
    if isinstance(error, ClassValidationError):
        noted, others = error.group_exceptions()
        for inner, note in noted:
            yield from _mistakes(inner, (*path, note.name), _TABLES.get(note.name, kind))
        for inner in others:
            yield from _mistakes(inner, path, kind)
    elif isinstance(error, IterableValidationError):
        for inner, item in error.group_exceptions()[0]:
            yield from _mistakes(inner, (*path, item.index), kind)
    elif isinstance(error, ForbiddenExtraKeysError):
        for name in error.extra_fields:
            yield (*path, name), f"is not a setting{_hint(name, path, kind)}"
    else:
        yield path, str(error)


def _hint(name: str, path: Keys, kind: type) -> str:
    own = _names(kind)
    elsewhere = [table for table, cls in _TABLES.items() if cls is not kind and name in _names(cls)]
    if elsewhere:
        return f": it belongs into [{elsewhere[0]}]"
    if path and name in _names(FileSettings):
        return ": it belongs above the first [table]"
    from difflib import get_close_matches  # only needed after a mistake

    close = get_close_matches(name, own, 1)
    return f": did you mean {close[0]}?" if close else f": known are {', '.join(own)}"


def _names(cls: Any) -> tuple[str, ...]:
    return tuple(attribute.name for attribute in fields(cls))


# -------------------------------------------------------------------- values


def _shown(value: object) -> str:
    """A value almost as it is in the file, shortened if it is long."""
    text = json.dumps(value, ensure_ascii=False, default=str)
    return text if len(text) <= _LONGEST else text[:_LONGEST] + "..."


def _word(value: Any, kind: Any) -> Any:
    words = get_args(kind)
    if value not in words:
        raise ValueError(f"{_shown(value)} is none of {', '.join(words)}")
    return value


def _truth(value: Any, _: Any) -> bool:
    if type(value) is not bool:
        raise ValueError(f"{_shown(value)} is neither true nor false")
    return value


def _path(value: Any, _: Any) -> str:
    if type(value) is not str or "\0" in value or not (value.startswith("/") or value == NOWHERE):
        raise ValueError(f"{_shown(value)} is not a path that begins with a slash")
    return value


def _seconds(value: Any, _: Any) -> float | None:
    if type(value) in (int, float) and 0 < value <= LONGEST:
        return float(value)
    if type(value) is str:
        return seconds(value)
    raise ValueError(f"{_shown(value)} is not a duration: write a number of seconds, or text such as '10min'")


def _within(least: int, most: int) -> Callable[[Any, Any], int]:
    def check(value: Any, _: Any) -> int:
        # TOML's true is an int in Python, too.
        if type(value) is not int or not least <= value <= most:
            raise ValueError(f"{_shown(value)} is not a whole number from {least} to {most}")
        return value

    return check


def _identity(what: str, find: Callable[[str], int]) -> Callable[[Any, Any], int]:
    def resolve(value: Any, _: Any) -> int:
        if type(value) is str:
            try:
                return find(value)
            except (KeyError, ValueError):
                raise ValueError(f"there is no {what} {_shown(value)} on this machine") from None
        if type(value) is not int or not 0 <= value <= _LAST_ID:
            raise ValueError(f"{_shown(value)} is not a {what}: write its name, or a number from 0 to {_LAST_ID}")
        return value

    return resolve


def _is_tuple(kind: Any) -> bool:
    origin: Any = get_origin(kind)
    return origin is tuple


def _listed(converter: Converter) -> Callable[[Any, Any], Any]:
    def structure(value: Any, kind: Any) -> Any:
        if type(value) is not list:
            raise ValueError(f"{_shown(value)} is not a list: write [{_shown(value)}]")
        of: Any = GenericAlias(list, get_args(kind)[:1])
        return tuple(converter.structure(value, of))

    return structure


def _tabled(converter: Converter, cls: type, **overrides: Any) -> Callable[[Any, Any], Any]:
    inner: Callable[[Any, Any], Any]
    inner = make_dict_structure_fn(cls, converter, _cattrs_forbid_extra_keys=True, **overrides)

    def structure(value: Any, kind: Any) -> Any:
        if type(value) is not dict:
            raise ValueError(f"{_shown(value)} is not a table: write it as [name] with its keys below")
        return inner(value, kind)

    return structure


@cache
def _converter() -> Converter:
    converter = Converter(forbid_extra_keys=True, detailed_validation=True)
    converter.register_structure_hook(bool, _truth)
    converter.register_structure_hook(Uid, _identity("user", lambda name: pwd.getpwnam(name).pw_uid))
    converter.register_structure_hook(Gid, _identity("group", lambda name: grp.getgrnam(name).gr_gid))
    converter.register_structure_hook_func(_is_tuple, _listed(converter))
    converter.register_structure_hook_func(lambda kind: kind == float | None, _seconds)
    converter.register_structure_hook_func(lambda kind: kind == LogLevel, _word)
    converter.register_structure_hook_func(lambda kind: kind == Compat, _word)
    converter.register_structure_hook_func(lambda kind: kind == StorageRules, _word)
    checks = {name: override(struct_hook=_within(*RANGES.get(name, _RANGE))) for name in _names(Limits)}
    converter.register_structure_hook(Limits, _tabled(converter, Limits, **checks))
    converter.register_structure_hook_func(lambda kind: kind == SocketPath | None, _path)
    for cls in (Grants, GatewaySettings, FileSettings):
        converter.register_structure_hook(cls, _tabled(converter, cls))
    return converter
