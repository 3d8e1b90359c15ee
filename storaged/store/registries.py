"""Resolves a short name to the repositories it may mean on this machine, in the order in which they are tried.

::

    the alias of the name       from the user's cache, else from the last file that has it; "" removes it
    localhost/NAME
    REGISTRY/NAME               for each of unqualified-search-registries, from the last file that sets them

docker.io's form of the name comes last; the look-up itself adds it. Tag and digest of the name do not matter here.
``registries_files`` finds the files that count; ``registries_syntax`` parses them.

A file that cannot be used is ignored as a whole and reported in ``Registries.broken``. podman then knows no short name
and no id prefix at all.

Source: image ``pkg/shortnames/shortnames.go`` (ResolveLocally), ``pkg/sysregistriesv2`` (updateWithConfigurationFrom,
ResolveShortNameAlias).
"""

from __future__ import annotations

import hashlib
import logging
import time
from collections.abc import Callable, Mapping

from msgspec import Struct, field

from storaged.errors import ConfigError
from storaged.store.files import Files
from storaged.store.registries_files import (
    Mark,
    Places,
    RegistriesFile,
    find_places,
    list_drop_ins,
    look,
    read_file,
)
from storaged.store.registries_syntax import Kind

_DOCKER = ("docker.io", "index.docker.io")

_log = logging.getLogger(__name__)


class Registries(Struct, frozen=True, kw_only=True):
    """The merged configuration at one moment."""

    search: tuple[str, ...] = ()
    """Hosts, as configured."""
    aliases: Mapping[str, str] = field(default_factory=dict)
    """Short name → full repository; neither has a tag."""
    files: tuple[str, ...] = ()
    """The files that were used, in the order in which they apply; the cache is last."""
    broken: tuple[ConfigError, ...] = ()
    fingerprint: str = ""
    """Changes with the bytes of any file, used or not, and with the set of files."""

    def candidates(self, name: str) -> tuple[str, ...]:
        """The repositories to try for a short name without tag and digest, in order, each once."""
        found = [f"localhost/{name}", *(_complete(registry, name) for registry in self.search)]
        alias = self.aliases.get(name)
        if alias is not None:
            found.insert(0, alias)
        return tuple(dict.fromkeys(found))


def discover(env: Mapping[str, str], uid: int, *, system_root: str = "/", files: Files | None = None) -> Registries:
    """Read what podman up to 5.8 would read in this environment. ``uid`` 0 is root. Never fails: see ``broken``."""
    files = files or Files()
    return _read(find_places(env, uid, system_root=system_root, files=files), files)[0]


class RegistriesWatch:
    """The configuration on disk, at most ``interval`` seconds old; for use in one thread.

    A check costs one stat per file and folder; the files are read again only if one of them has changed.
    """

    def __init__(
        self,
        env: Mapping[str, str],
        uid: int,
        *,
        system_root: str = "/",
        files: Files | None = None,
        clock: Callable[[], float] = time.monotonic,
        interval: float = 1.0,
    ) -> None:
        self._env, self._uid, self._system_root = dict(env), uid, system_root
        self._files = files or Files()
        self._clock, self._interval = clock, interval
        self._marks: dict[str, Mark] = {}
        self._looked: float | None = None
        self._current = Registries()

    def current(self) -> Registries:
        """The configuration now. Blocking, but only touches cached metadata unless a file has changed."""
        now = self._clock()
        if self._looked is None or now - self._looked >= self._interval:
            changed = self._looked is None or any(look(path, self._files) != mark for path, mark in self._marks.items())
            self._looked = now
            if changed:
                self._load()
        return self._current

    def candidates(self, name: str) -> tuple[str, ...]:
        """``Registries.candidates`` of the configuration now."""
        return self.current().candidates(name)

    def _load(self) -> None:
        places = find_places(self._env, self._uid, system_root=self._system_root, files=self._files)
        before = {error.message for error in self._current.broken}
        self._current, self._marks = _read(places, self._files)
        for error in self._current.broken:
            if error.message not in before:
                _log.warning("short names are resolved without an unusable file error=%s", error)


def _read(places: Places, files: Files) -> tuple[Registries, dict[str, Mark]]:
    """Read all files; every mark is taken before the bytes, so the next check notices a change made meanwhile."""
    marks = {path: look(path, files) for path in places.watched}
    broken: list[ConfigError] = []
    paths: list[tuple[str, Kind]] = [(places.main, "main")]
    for folder in places.folders:
        try:
            paths += [(path, "drop-in") for path in list_drop_ins(folder, files)]
        except ConfigError as error:
            broken.append(error)
    if places.cache is not None:
        paths.append((places.cache, "cache"))
    used: list[RegistriesFile] = []
    for path, kind in paths:
        marks.setdefault(path, look(path, files))
        try:
            part = read_file(path, kind, files)
        except ConfigError as error:
            broken.append(error)
            continue
        if part is not None:
            used.append(part)
            marks[path] = part.mark
        elif kind == "main" and places.variable is not None:
            text = f"${places.variable} names {path}, which does not exist"
            broken.append(ConfigError(text, file=path, key=places.variable, line=None))
    return _merge(used, broken), marks


def _merge(used: list[RegistriesFile], broken: list[ConfigError]) -> Registries:
    search: tuple[str, ...] = ()
    aliases: dict[str, str | None] = {}
    digest = hashlib.sha256(repr([error.message for error in broken]).encode())
    for part in used:
        if part.search is not None:
            search = part.search
        aliases |= part.aliases
        digest.update(f"\0{part.path}\0{len(part.data)}\0".encode(errors="surrogateescape"))
        digest.update(part.data)
    return Registries(
        search=search,
        aliases={name: value for name, value in aliases.items() if value is not None},
        files=tuple(part.path for part in used),
        broken=tuple(broken),
        fingerprint=digest.hexdigest()[:16],
    )


def _complete(registry: str, name: str) -> str:
    """Prefix a short name with a registry as docker reads it: a host without a dot or port is a namespace there."""
    if registry in _DOCKER:
        return f"docker.io/{name}" if "/" in name else f"docker.io/library/{name}"
    if "." in registry or ":" in registry or registry == "localhost":
        return f"{registry}/{name}"
    return f"docker.io/{registry}/{name}"
