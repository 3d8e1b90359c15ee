"""Finds and reads the storage.conf files that count, in the order in which they apply.

::

    $CONTAINERS_STORAGE_CONF                 alone: no other main file, no drop-in
    else the first that exists of            $XDG_CONFIG_HOME/containers/storage.conf (a user: ~/.config/…)
                                             /etc/containers/storage.conf
                                             /usr/share/containers/storage.conf
    then, each file name once, from the      /usr/share/containers/storage.conf.d/
    last of these folders that has it,         storage.{rootful,rootless}.conf.d/   storage.rootless.conf.d/UID/
    in order of file names                   /etc/containers/…                      the same three
                                             the user's storage.conf.d/
    last                                     $CONTAINERS_STORAGE_CONF_OVERRIDE

All releases read main files; containers/storage 1.63 and later also read drop-ins and the override (``late`` of a
file). Source: container-libs ``storage/pkg/configfile/parse.go``; containers-storage.conf(5), containers-config(5).
"""

from __future__ import annotations

import os
import stat

from storaged_client.errors import StorageConfError

from . import toml

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

_LIMIT = 1 << 20


class ConfigFile:
    """One storage.conf as read.

    ``system``: a main file of the system, from which the old rules give a user only a few keys. ``late``: the old rules
    do not know it.
    """

    __slots__ = ("data", "late", "path", "system", "tables")

    def __init__(self, path: str, data: bytes, tables: dict[str, Any], *, system: bool, late: bool) -> None:
        self.path = path
        self.data = data
        self.tables = tables
        self.system = system
        self.late = late


def read_files(env: Mapping[str, str], uid: int, *, system_root: str) -> tuple[ConfigFile, ...]:
    """The files that count, in the order in which they apply. ``uid`` 0 is root. Blocking.

    Raises:
        StorageConfError: one cannot be read or is not TOML; names the file, and the line if there is one.
    """
    found: list[ConfigFile] = []
    user = user_folder(env, uid)
    folders = [os.path.join(system_root, folder, "containers") for folder in ("usr/share", "etc")]
    explicit = env.get("CONTAINERS_STORAGE_CONF")
    if explicit:
        found.append(_must_exist(explicit, "CONTAINERS_STORAGE_CONF"))
    else:
        mains = [(folder, True) for folder in reversed(folders)]
        if user is not None:
            mains.insert(0, (user, False))
        for folder, system in mains:
            main = _read(os.path.join(folder, "storage.conf"), system=system)
            if main is not None:
                found.append(main)
                break
        found += _drop_ins(folders, user, uid)
    override = env.get("CONTAINERS_STORAGE_CONF_OVERRIDE")
    if override:
        found.append(_must_exist(override, "CONTAINERS_STORAGE_CONF_OVERRIDE", late=True))
    return tuple(found)


def user_folder(env: Mapping[str, str], uid: int) -> str | None:
    """The user's own ``containers`` folder; root has one only with ``$XDG_CONFIG_HOME``."""
    if env.get("XDG_CONFIG_HOME"):
        return os.path.join(env["XDG_CONFIG_HOME"], "containers")
    if uid != 0 and env.get("HOME"):
        return os.path.join(env["HOME"], ".config", "containers")
    return None


def _drop_ins(folders: list[str], user: str | None, uid: int) -> list[ConfigFile]:
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
            names = os.listdir(place)
        except (FileNotFoundError, NotADirectoryError):
            continue
        except OSError as error:
            raise StorageConfError(f"{place}: {error.strerror}", file=place) from None
        by_name |= {name: os.path.join(place, name) for name in names if name.endswith(".conf")}
    found: list[ConfigFile] = []
    for _, path in sorted(by_name.items()):
        drop_in = None if os.path.isdir(path) else _read(path, late=True)
        if drop_in is not None:
            found.append(drop_in)
    return found


def _must_exist(path: str, variable: str, *, late: bool = False) -> ConfigFile:
    found = _read(path, late=late)
    if found is None:
        raise StorageConfError(f"${variable} names {path}, which does not exist", file=path, key=variable)
    return found


def _read(path: str, *, system: bool = False, late: bool = False) -> ConfigFile | None:
    try:
        data = _bytes(path)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise StorageConfError(f"{path}: {error.strerror or error}", file=path) from None
    try:
        tables = toml.loads(data.decode("utf-8"))
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise StorageConfError(f"{path}: line {line} is not UTF-8", file=path, line=line) from None
    except (ValueError, RecursionError) as error:
        # tomllib also lets through the ValueError of a number with thousands of digits.
        raise StorageConfError(f"{path}: {error}", file=path, line=_line(str(error))) from None
    return ConfigFile(path, data, tables, system=system, late=late)


def _bytes(path: str) -> bytes:
    # Not blocking: a pipe with this name must not block a command, or the daemon's start, for ever.
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOCTTY)
    try:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            raise OSError(0, "not a regular file")
        if status.st_size > _LIMIT:
            raise OSError(0, f"larger than {_LIMIT} bytes")
        data = b""
        while more := os.read(descriptor, _LIMIT + 1 - len(data)):
            data += more
        if len(data) > _LIMIT:
            raise OSError(0, f"larger than {_LIMIT} bytes")
        return data
    finally:
        os.close(descriptor)


def _line(text: str) -> int | None:
    """The line in tomllib's ``… (at line 3, column 5)``."""
    _, found, rest = text.rpartition("(at line ")
    number = rest.partition(",")[0]
    return int(number) if found and number.isdigit() else None
