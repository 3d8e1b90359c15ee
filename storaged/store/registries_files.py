"""Finds the registries.conf files that count for short names, and reads them one by one.

::

    main file   $CONTAINERS_REGISTRIES_CONF, else $REGISTRIES_CONFIG_PATH; the first that is set counts, and
                if it is empty, neither does. It must exist
                else ~/.config/containers/registries.conf, also for root; then the system's drop-ins do not count
                else /etc/containers/registries.conf
    drop-ins    /etc/containers/registries.conf.d/*.conf, then ~/.config/containers/registries.conf.d/*.conf,
                each folder in order of names; no file masks another, a folder that is a link is not read
    cache       /var/cache/containers/short-name-aliases.conf for root; for a user
                $XDG_CACHE_HOME/containers/short-name-aliases.conf, else ~/.cache/containers/…

``~`` is ``$HOME``, else the home directory in the user database; ``$XDG_CONFIG_HOME`` is not used.

These are the rules of podman up to 5.8. Tools with common 0.68 and later differ: they do not know
``$REGISTRIES_CONFIG_PATH``; ``$CONTAINERS_REGISTRIES_CONF`` switches drop-ins off, and
``$CONTAINERS_REGISTRIES_CONF_OVERRIDE`` is read last; they also search ``$XDG_CONFIG_HOME`` and /usr/share/containers;
a user's file does not hide the system's drop-ins, and of drop-ins with the same name the nearest masks the others; the
version 1 syntax is an error.

Source: image ``pkg/sysregistriesv2/system_registries_v2.go`` (newConfigWrapper, dropInConfigs) and ``shortnames.go``
(shortNameAliasesConfPath); libimage ``runtime.go:setRegistriesConfPath``; containers-registries.conf(5), .conf.d(5).
"""

from __future__ import annotations

import os
import pwd
import stat
from collections.abc import Mapping
from typing import TypeAlias

from msgspec import Struct

from storaged.errors import ConfigError
from storaged.store.files import Files, Identity, identity, read_whole
from storaged.store.registries_syntax import Kind, parse

Mark: TypeAlias = Identity | int
"""The state of a path: the file's identity, or the errno of stat."""

_LIMIT = 1 << 20


class Places(Struct, frozen=True, kw_only=True):
    """The locations of the files. ``variable`` names the variable that set the main file; None if the file need not
    exist."""

    main: str
    variable: str | None
    before: tuple[str, ...]
    """Files whose creation would change which file is the main file."""
    folders: tuple[str, ...]
    cache: str | None

    @property
    def watched(self) -> tuple[str, ...]:
        """Every path known beforehand, without the contents of ``folders``."""
        return (*self.before, self.main, *self.folders, *([self.cache] if self.cache else []))


class RegistriesFile(Struct, frozen=True, kw_only=True):
    """One file as read. ``search`` is None if the file does not set it; an alias to None removes earlier ones."""

    path: str
    data: bytes
    mark: Mark
    search: tuple[str, ...] | None = None
    aliases: Mapping[str, str | None]


def find_places(env: Mapping[str, str], uid: int, *, system_root: str, files: Files) -> Places:
    """Find this user's files; the only check is whether the user's own main file exists."""
    rootless = env.get("_CONTAINERS_ROOTLESS_UID", "")
    uid = int(rootless) if rootless.isascii() and rootless.isdigit() else uid
    home = env.get("HOME") or _home_of(uid)
    system = os.path.join(system_root, "etc/containers/registries.conf")
    user = os.path.join(home, ".config/containers/registries.conf") if home else None
    folders = (f"{system}.d", *([f"{user}.d"] if user else []))
    caches = os.path.join(system_root, "var/cache")
    if uid != 0:
        caches = env.get("XDG_CACHE_HOME") or (os.path.join(home, ".cache") if home else "")
    cache = os.path.join(caches, "containers/short-name-aliases.conf") if caches else None
    variables = ("CONTAINERS_REGISTRIES_CONF", "REGISTRIES_CONFIG_PATH")
    variable = next((name for name in variables if name in env), None)
    if variable is not None and env[variable]:
        main = os.path.abspath(env[variable])
        return Places(main=main, variable=variable, before=(), folders=folders, cache=cache)
    if user is None:
        return Places(main=system, variable=None, before=(), folders=folders, cache=cache)
    if isinstance(look(user, files), tuple):
        return Places(main=user, variable=None, before=(), folders=(f"{user}.d",), cache=cache)
    return Places(main=system, variable=None, before=(user,), folders=folders, cache=cache)


def look(path: str, files: Files) -> Mark:
    """The current state of a path. Never raises."""
    try:
        return identity(files.stat(path))
    except OSError as error:
        return error.errno or -1


def list_drop_ins(folder: str, files: Files) -> tuple[str, ...]:
    """The paths of a folder's ``*.conf`` files, in order; none if it is not a folder. Folders inside are skipped.

    Raises:
        ConfigError: it cannot be read.
    """
    found: list[str] = []
    try:
        if not stat.S_ISDIR(files.stat(folder, follow_symlinks=False).st_mode):
            return ()
        for name in sorted(files.listdir(folder), key=os.fsencode):
            path = os.path.join(folder, name)
            if name.endswith(".conf") and not _is_folder(path, files):
                found.append(path)
    except FileNotFoundError:
        return ()
    except OSError as error:
        raise ConfigError(f"{folder}: {error.strerror}", file=folder, key=None, line=None) from None
    return tuple(found)


def read_file(path: str, kind: Kind, files: Files) -> RegistriesFile | None:
    """Read and check one file; None if it is missing.

    Raises:
        ConfigError: the whole file cannot be used: ``file``, and ``key`` and ``line`` if they are known.
    """
    try:
        data, mark = read_whole(files, path, _LIMIT)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise ConfigError(f"{path}: {error.strerror or error}", file=path, key=None, line=None) from None
    said = parse(path, data, kind)
    return RegistriesFile(path=path, data=data, mark=mark, search=said.search, aliases=said.aliases)


def _is_folder(path: str, files: Files) -> bool:
    """Whether it is a folder. A link to one is not: upstream takes it for a file and fails to read it."""
    try:
        return stat.S_ISDIR(files.stat(path, follow_symlinks=False).st_mode)
    except OSError:
        return False


def _home_of(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_dir
    except KeyError:
        return ""
