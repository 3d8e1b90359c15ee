"""Finds and reads the settings file; reports every mistake in it with its line."""

from __future__ import annotations

import os
import re
import stat
import tomllib
from collections.abc import Iterable, Mapping

from storaged.errors import ConfigError
from storaged.settings import schema
from storaged.settings.lines import key_lines, line_of
from storaged.settings.model import FileSettings

_LARGEST = 64 << 10
"""The maximum size in bytes; a larger file was probably named by mistake."""

_POSITION = re.compile(r" \(at (?:line (\d+), column (\d+)|end of document)\)$")
"""The position at the end of tomllib's messages."""


def default_path(environ: Mapping[str, str], euid: int) -> str | None:
    """The settings file if no flag names one; None for a user without a home. The file need not exist."""
    if euid == 0:
        return "/etc/storaged/storaged.toml"
    folder = environ.get("XDG_CONFIG_HOME", "")
    if not os.path.isabs(folder):
        # XDG base directory specification: a relative path is invalid and must be ignored.
        folder = os.path.join(environ.get("HOME") or os.path.expanduser("~"), ".config")
    return os.path.join(folder, "storaged", "storaged.toml") if os.path.isabs(folder) else None


def read_file(path: str) -> FileSettings:
    """Read and check a settings file. Blocking; looks up names of users and groups.

    Raises:
        ConfigError: ``file`` and ``mistakes``, each as ``LINE: KEY: reason``, in the order of the file.
    """
    text = _read(path)
    try:
        settings, mistakes = schema.structured(tomllib.loads(text))
        lines = key_lines(text) if settings is None else {}
    except tomllib.TOMLDecodeError as error:
        raise _syntax(path, text, str(error)) from None
    except RecursionError:
        raise _wrong(path, [(None, "is nested too deeply")]) from None
    except ValueError as error:
        # tomllib lets through Python's error about a number with thousands of digits.
        raise _wrong(path, [(None, str(error))]) from None
    if settings is None:
        raise _wrong(path, [(line_of(lines, keys), f"{_dotted(keys)}: {reason}") for keys, reason in mistakes])
    return settings


def _read(path: str) -> str:
    try:
        with open(path, "rb") as file:
            status = os.fstat(file.fileno())
            if stat.S_ISREG(status.st_mode):
                if status.st_mode & stat.S_IWOTH:
                    text = f"anyone may write it, and so decide who may change the store: chmod o-w {path}"
                    raise _wrong(path, [(None, text)])
                if status.st_uid not in (0, os.geteuid()):
                    text = f"uid {status.st_uid} owns it, and so decides who may change the store: "
                    raise _wrong(path, [(None, f"{text}chown {os.geteuid()} {path}")])
            data = file.read(_LARGEST + 1)
    except OSError as error:
        raise _wrong(path, [(None, error.strerror or str(error))]) from error
    if len(data) > _LARGEST:
        raise _wrong(path, [(None, f"is longer than {_LARGEST} bytes, which no settings file is")])
    try:
        return data.decode()
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise _wrong(path, [(line, f"is not UTF-8: {error.reason}")]) from None


def _syntax(path: str, text: str, said: str) -> ConfigError:
    position = _POSITION.search(said)
    reason = _POSITION.sub("", said)
    if position is None:
        return _wrong(path, [(None, reason)])
    if position[1] is None:
        return _wrong(path, [(text.rstrip("\n").count("\n") + 1, f"{reason}, and the file ends")])
    return _wrong(path, [(int(position[1]), f"{reason}, at column {position[2]}")])


def _wrong(path: str, mistakes: Iterable[tuple[int | None, str]]) -> ConfigError:
    ordered = sorted(mistakes, key=lambda mistake: mistake[0] or 0)
    text = "\n".join(f"{path}: {reason}" if line is None else f"{path}:{line}: {reason}" for line, reason in ordered)
    told = [reason if line is None else f"{line}: {reason}" for line, reason in ordered]
    return ConfigError(text, file=path, mistakes=told)


def _dotted(keys: tuple[str | int, ...]) -> str:
    text = ""
    for key in keys:
        text += f"[{key}]" if isinstance(key, int) else f".{key}" if text else key
    return text
