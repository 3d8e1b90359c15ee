"""What the operator may set: flags of ``storaged serve`` over a TOML file over defaults.

::

    idle_exit = "10min"        # seconds as a number, or 30s, 10min, 1h30m
    log_level = "info"
    compat = "podman"          # rmi and untag of a manifest list mean its local instance; "none" is the default
    [limits]
    in_flight = 64             # the names of storaged.server.guard.Limits
    [access]                   # who may change the store besides root and the daemon's own user
    uids = [1000]
    gids = [10]                # a client's own group, not those it is a member of besides
"""

from __future__ import annotations

import argparse
import re
import tomllib
from typing import Any, Literal, get_args

from attrs import Factory, evolve, frozen
from cattrs import Converter, transform_error
from cattrs.errors import BaseValidationError, ForbiddenExtraKeysError
from cattrs.gen import make_dict_structure_fn
from cattrs.v import format_exception

from storaged.errors import ConfigError
from storaged.server.guard import Limits

Backend = Literal["trio", "asyncio"]
LogLevel = Literal["debug", "info", "warning", "error"]
Compat = Literal["none", "podman"]
COMPATS: tuple[Compat, ...] = ("none", "podman")
LOG_LEVELS: tuple[LogLevel, ...] = ("debug", "info", "warning", "error")

_UNITS = {
    **dict.fromkeys(("ms", "msec"), 0.001),
    **dict.fromkeys(("s", "sec", "second", "seconds", ""), 1.0),
    **dict.fromkeys(("m", "min", "minute", "minutes"), 60.0),
    **dict.fromkeys(("h", "hr", "hour", "hours"), 3600.0),
    **dict.fromkeys(("d", "day", "days"), 86400.0),
}
_PART = re.compile(r"\s*(\d+(?:\.\d+)?)\s*([a-z]*)", re.ASCII)
_LONGEST = 10 * 365 * 86400.0


@frozen(kw_only=True)
class Grants:
    """Who else may change the store, by number."""

    uids: tuple[int, ...] = ()
    gids: tuple[int, ...] = ()


@frozen(kw_only=True)
class Settings:
    """Everything ``storaged serve`` was told. ``idle_exit`` is in seconds, None for never."""

    socket: str | None = None
    root: str | None = None
    runroot: str | None = None
    driver: str | None = None
    backend: Backend = "trio"
    idle_exit: float | None = None
    read_only: bool = False
    log_level: LogLevel = "info"
    compat: Compat = "none"
    limits: Limits = Factory(Limits)
    access: Grants = Factory(Grants)


@frozen(kw_only=True)
class _File:
    idle_exit: float | None = None
    log_level: LogLevel = "info"
    compat: Compat = "none"
    limits: Limits = Factory(Limits)
    access: Grants = Factory(Grants)


def duration(text: str) -> float:
    """Seconds of ``90``, ``30s``, ``10min``, ``1h30m`` or ``1h 30min``, as systemd.time(7) writes them.

    Raises:
        ValueError: the text is none, or means no time at all.
    """
    seconds, position = 0.0, 0
    text = text.strip()
    while position < len(text):
        part = _PART.match(text, position)
        if part is None or part[2] not in _UNITS or (not part[2] and part[0] != text):
            raise ValueError(f"{text!r} is no duration: write 30s, 10min or 1h30m")
        seconds += float(part[1]) * _UNITS[part[2]]
        position = part.end()
    if not 0 < seconds <= _LONGEST:
        raise ValueError(f"{text!r} is no duration: it must be more than nothing and at most ten years")
    return seconds


def read_flags(arguments: argparse.Namespace) -> Settings:
    """The settings that the flags and the file they name make together: flags win.

    Raises:
        ConfigError: the file cannot be read or says what is not understood; every mistake is named.
    """
    file = read_file(arguments.config) if arguments.config else _File()
    settings = Settings(
        socket=arguments.socket,
        root=arguments.root,
        runroot=arguments.runroot,
        driver=arguments.driver,
        backend=arguments.backend,
        idle_exit=file.idle_exit,
        read_only=arguments.read_only,
        log_level=file.log_level,
        compat=file.compat,
        limits=file.limits,
        access=file.access,
    )
    if arguments.idle_exit is not None:
        settings = evolve(settings, idle_exit=arguments.idle_exit)
    if arguments.log_level is not None:
        settings = evolve(settings, log_level=arguments.log_level)
    return settings


def add_flags(parser: argparse.ArgumentParser) -> None:
    """The flags of ``storaged serve``."""
    parser.add_argument("--socket", metavar="PATH", help="where to listen")
    parser.add_argument("--root", metavar="DIR", help="the store's graphroot, instead of storage.conf's")
    parser.add_argument("--runroot", metavar="DIR", help="the store's runroot, instead of storage.conf's")
    parser.add_argument("--driver", metavar="NAME", help="the storage driver, instead of storage.conf's")
    parser.add_argument("--config", metavar="FILE", help="the daemon's own settings (storaged.toml)")
    parser.add_argument("--backend", choices=("trio", "asyncio"), default="trio", help="event loop (default: trio)")
    parser.add_argument(
        "--idle-exit",
        metavar="DURATION",
        type=_duration_flag,
        help="leave when nobody was connected for so long, such as 10min (default: never)",
    )
    parser.add_argument("--read-only", action="store_true", help="refuse everything that changes the store")
    parser.add_argument("--log-level", choices=LOG_LEVELS, help="default: info")


def read_file(path: str) -> _File:
    """Read and check a settings file.

    Raises:
        ConfigError: ``file`` and, for each mistake, its key and what is wrong.
    """
    try:
        with open(path, "rb") as file:
            table = tomllib.load(file)
    except OSError as error:
        raise ConfigError(f"{path}: {error.strerror}", file=path) from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: {error}", file=path) from error
    try:
        return _CONVERTER.structure(table, _File)
    except BaseValidationError as error:
        mistakes = [
            mistake.replace(" @ $.", " at ").replace(" @ $", "")
            for mistake in transform_error(error, path="$", format_exception=_say)
        ]
        raise ConfigError(f"{path}: {'; '.join(mistakes)}", file=path, mistakes=mistakes) from error


def _say(error: BaseException, kind: type | None) -> str:
    if isinstance(error, ForbiddenExtraKeysError):
        return f"unknown: {', '.join(sorted(error.extra_fields))}"
    return str(error) if isinstance(error, ValueError) else format_exception(error, kind)


def _word(value: Any, kind: Any) -> Any:
    words = get_args(kind)
    if value not in words:
        raise ValueError(f"{value!r} is none of {', '.join(words)}")
    return value


def _duration_flag(text: str) -> float:
    try:
        return duration(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from error


def _limit(value: Any, _: type) -> int:
    # TOML's true is Python's int, too, and a limit of nothing would lock everybody out.
    if type(value) is not int or value < 1:
        raise ValueError(f"{value!r} is no whole number above 0")
    return value


def _seconds(value: Any, _: Any) -> float | None:
    if type(value) in (int, float) and 0 < value <= _LONGEST:
        return float(value)
    if type(value) is str:
        return duration(value)
    raise ValueError(f"{value!r} is no duration: write a number of seconds, or text such as '10min'")


def _converter() -> Converter:
    converter = Converter(forbid_extra_keys=True, detailed_validation=True)
    converter.register_structure_hook(int, _limit)
    converter.register_structure_hook_func(lambda kind: kind == float | None, _seconds)
    converter.register_structure_hook_func(lambda kind: kind == LogLevel, _word)
    converter.register_structure_hook_func(lambda kind: kind == Compat, _word)
    for cls in (Limits, Grants, _File):
        converter.register_structure_hook(cls, make_dict_structure_fn(cls, converter, _cattrs_forbid_extra_keys=True))
    return converter


_CONVERTER = _converter()
