"""Which storage.conf files count, read and merged.

::

    $CONTAINERS_STORAGE_CONF                 alone: no other main file, no drop-in
    else the first that exists of            $XDG_CONFIG_HOME/containers/storage.conf (a user: ~/.config/…)
                                             /etc/containers/storage.conf
                                             /usr/share/containers/storage.conf
    then, each file name once, the last      /usr/share/containers/storage.conf.d/
    of these folders that has it, applied      storage.{rootful,rootless}.conf.d/   storage.rootless.conf.d/UID/
    in order of file names                   /etc/containers/…                      the same three
                                             the user's storage.conf.d/
    last                                     $CONTAINERS_STORAGE_CONF_OVERRIDE

Main files are as old as the format; drop-ins and the override are read by containers/storage 1.63 and later.
Source: container-libs ``storage/pkg/configfile/parse.go``; containers-storage.conf(5), containers-config(5).
"""

from __future__ import annotations

import os
import stat
import tomllib
from collections.abc import Mapping
from typing import Any

from msgspec import Struct

from storaged.errors import ConfigError
from storaged.store.files import Files, read_whole

_LIMIT = 1 << 20


class ConfigFile(Struct, frozen=True, kw_only=True):
    """One storage.conf as read. ``system`` main files of old bind a user in a few keys only."""

    path: str
    data: bytes
    tables: dict[str, Any]
    system: bool


def read_files(env: Mapping[str, str], uid: int, *, system_root: str, files: Files) -> tuple[ConfigFile, ...]:
    """The files that count, in the order they apply. ``uid`` 0 is root.

    Raises:
        ConfigError: one cannot be read or is no TOML; names the file, and the line where there is one.
    """
    found: list[ConfigFile] = []
    user = user_folder(env, uid)
    folders = [os.path.join(system_root, folder, "containers") for folder in ("usr/share", "etc")]
    explicit = env.get("CONTAINERS_STORAGE_CONF")
    if explicit:
        found.append(_must_exist(explicit, "CONTAINERS_STORAGE_CONF", files))
    else:
        mains = [(folder, True) for folder in reversed(folders)]
        if user is not None:
            mains.insert(0, (user, False))
        for folder, system in mains:
            main = _read(os.path.join(folder, "storage.conf"), system=system, files=files)
            if main is not None:
                found.append(main)
                break
        found += _drop_ins(folders, user, uid, files)
    override = env.get("CONTAINERS_STORAGE_CONF_OVERRIDE")
    if override:
        found.append(_must_exist(override, "CONTAINERS_STORAGE_CONF_OVERRIDE", files))
    return tuple(found)


def user_folder(env: Mapping[str, str], uid: int) -> str | None:
    """The user's own ``containers`` folder; root has one only by ``$XDG_CONFIG_HOME``."""
    if env.get("XDG_CONFIG_HOME"):
        return os.path.join(env["XDG_CONFIG_HOME"], "containers")
    if uid != 0 and env.get("HOME"):
        return os.path.join(env["HOME"], ".config", "containers")
    return None


def _drop_ins(folders: list[str], user: str | None, uid: int, files: Files) -> list[ConfigFile]:
    places: list[str] = []
    for folder in folders:
        special = os.path.join(folder, f"storage.{'rootless' if uid else 'rootful'}.conf.d")
        places += [os.path.join(folder, "storage.conf.d"), special]
        if uid:
            places.append(os.path.join(special, str(uid)))
    if user is not None:
        places.append(os.path.join(user, "storage.conf.d"))
    by_name: dict[str, str] = {}
    for place in places:
        try:
            names = files.listdir(place)
        except (FileNotFoundError, NotADirectoryError):
            continue
        except OSError as error:
            raise ConfigError(f"{place}: {error.strerror}", file=place, key=None, line=None) from None
        by_name |= {name: os.path.join(place, name) for name in names if name.endswith(".conf")}
    found: list[ConfigFile] = []
    for _, path in sorted(by_name.items()):
        drop_in = None if _is_folder(path, files) else _read(path, system=False, files=files)
        if drop_in is not None:
            found.append(drop_in)
    return found


def _is_folder(path: str, files: Files) -> bool:
    try:
        return stat.S_ISDIR(files.stat(path).st_mode)
    except OSError:
        return False


def _must_exist(path: str, variable: str, files: Files) -> ConfigFile:
    found = _read(path, system=False, files=files)
    if found is None:
        raise ConfigError(f"${variable} names {path}, which does not exist", file=path, key=variable, line=None)
    return found


def _read(path: str, *, system: bool, files: Files) -> ConfigFile | None:
    try:
        data, _ = read_whole(files, path, _LIMIT)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise ConfigError(f"{path}: {error.strerror or error}", file=path, key=None, line=None) from None
    try:
        text = data.decode("utf-8")
        tables = tomllib.loads(text)
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise ConfigError(f"{path}: line {line} is not UTF-8", file=path, key=None, line=line) from None
    except (ValueError, RecursionError) as error:
        # ValueError: besides its own error tomllib lets that of a number of thousands of digits through.
        raise ConfigError(f"{path}: {error}", file=path, key=None, line=_line(str(error))) from None
    return ConfigFile(path=path, data=data, tables=tables, system=system)


def _line(text: str) -> int | None:
    """The line out of tomllib's ``… (at line 3, column 5)``."""
    _, found, rest = text.rpartition("(at line ")
    number = rest.partition(",")[0]
    return int(number) if found and number.isdigit() else None
