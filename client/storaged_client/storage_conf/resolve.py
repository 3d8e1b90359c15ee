"""Finds the store that podman would open: flags, else environment, else storage.conf, for root and for users.

Up to containers/storage 1.62, a user takes only ``driver`` and ``rootless_storage_path`` from a system-wide file, and
drop-ins are not read. From 1.63 on, every file applies to everyone. If both rules give the same result, as they mostly
do, the installed release does not matter; otherwise ``release`` decides.

Source: container-libs ``storage/types/options.go`` (LoadStoreOptions) and its predecessors up to 1.62,
``storage/drivers/driver.go`` (ScanPriorDrivers), podman ``pkg/domain/infra/runtime_libpod.go``.
"""

from __future__ import annotations

import os

from storaged_client.errors import StorageConfError

from . import Flags, acting_uid
from .driver import DRIVERS as DRIVERS
from .driver import choose
from .files import ConfigFile, read_files
from .release import NEW, OLD, Release

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from typing import Any

_USER_KEYS = frozenset({"driver", "rootless_storage_path"})
_PATHS = ("driver", "runroot", "graphroot", "imagestore", "rootless_storage_path")


class Resolved:
    """The location of a store, and which parts of it were chosen rather than defaulted. Paths are absolute.

    ``graphroots`` are both results if the release of the tools decides, else the only one.
    """

    __slots__ = (
        "additional",
        "additional_chosen",
        "config_file",
        "driver",
        "driver_chosen",
        "files",
        "graphroot",
        "graphroots",
        "image_store",
        "notice",
        "release",
        "runroot",
        "runroot_chosen",
        "transient",
    )

    def __init__(self) -> None:
        self.graphroot = ""
        self.runroot = ""
        self.driver = "overlay"
        self.notice = ""
        """A notice about the driver, which podman gives, too."""
        self.additional: tuple[str, ...] = ()
        self.image_store: str | None = None
        self.transient = False
        self.config_file: str | None = None
        self.files: tuple[ConfigFile, ...] = ()
        self.runroot_chosen = self.driver_chosen = self.additional_chosen = False
        self.release: Release | None = None
        """What decided between two results; None if there is one."""
        self.graphroots: dict[str, str] = {}

    def statement(self) -> dict[str, Any]:
        """The common parameter ``store``. The daemon decides what nobody chose: without a setting, podman takes the run
        root from its database and the driver from what exists."""
        stated: dict[str, Any] = {"graphroot": os.path.realpath(self.graphroot)}
        if self.runroot_chosen:
            stated["runroot"] = os.path.realpath(self.runroot)
        if self.driver_chosen:
            stated["driver"] = self.driver
        if self.additional_chosen:
            stated["additional_stores"] = [os.path.realpath(path) for path in self.additional]
        return stated


class _Settings:
    """The merged values; None and () are "not set"."""

    __slots__ = (*_PATHS, "additional", "driver_priority", "file", "transient_store")

    def __init__(self) -> None:
        self.driver: str | None = None
        self.runroot: str | None = None
        self.graphroot: str | None = None
        self.imagestore: str | None = None
        self.rootless_storage_path: str | None = None
        self.driver_priority: tuple[str, ...] = ()
        self.transient_store = False
        self.additional: tuple[str, ...] = ()
        self.file: str | None = None

    def values(self) -> tuple[Any, ...]:
        """Everything that matters for the result, without the files it comes from."""
        return (*(getattr(self, name) for name in _PATHS), self.driver_priority, self.transient_store, self.additional)


class _Place:
    """The values used to expand paths."""

    __slots__ = ("env", "system_root", "uid")

    def __init__(self, env: Mapping[str, str], uid: int, system_root: str) -> None:
        self.env = env
        self.uid = uid
        self.system_root = system_root


def resolve(
    env: Mapping[str, str],
    uid: int,
    flags: Flags,
    *,
    release: Callable[[], Release],
    system_root: str = "/",
) -> Resolved:
    """Find the store podman would open in this environment with these flags. Creates nothing. Blocking.

    With ``--root`` or ``--storage-driver``, additional and image stores of storage.conf are ignored, as in podman.
    ``uid`` is that of the process. ``release`` is called only if the result depends on it.

    Raises:
        StorageConfError: a file cannot be used, several drivers left state in the graphroot and none is chosen, or
            a user would be given the system's store or a new empty one beside their own.
    """
    uid = acting_uid(env, uid)
    place = _Place(env, uid, system_root)
    configured = read_files(env, uid, system_root=system_root)
    old, new = _merged(configured, uid, OLD), _merged(configured, uid, NEW)
    if old.values() == new.values():
        found = _located(new, flags, place)
        found.files = configured
        found.graphroots = {NEW: found.graphroot}
        return found
    chosen = release()
    found = _located(new if chosen.rules == NEW else old, flags, place)
    found.files = configured
    found.release = chosen
    found.graphroots = {OLD: _graphroot(flags.root, old, place), NEW: _graphroot(flags.root, new, place)}
    if uid != 0 and found.graphroots[OLD] != found.graphroots[NEW]:
        _refuse_surprise(found, chosen)
    return found


def _merged(configured: tuple[ConfigFile, ...], uid: int, rules: str) -> _Settings:
    settings = _Settings()
    for part in configured:
        if not (part.late and rules == OLD):
            _merge(settings, part, bound=part.system and uid != 0 and rules == OLD)
    return settings


def _located(settings: _Settings, flags: Flags, place: _Place) -> Resolved:
    found = Resolved()
    found.graphroot = _graphroot(flags.root, settings, place)
    run = flags.runroot if flags.runroot is not None else settings.runroot
    found.runroot = flags.runroot or (os.path.abspath(_expand(run, place)) if run else _default_runroot(place))
    # A run root from a file belongs to the graphroot in that file, not to one given by a flag.
    found.runroot_chosen = flags.runroot is not None or (run is not None and flags.root is None)
    given = flags.root is not None or flags.driver is not None
    configured = place.env.get("STORAGE_DRIVER") or settings.driver
    found.driver_chosen = bool(flags.driver or configured)
    found.driver, found.notice = choose(
        found.graphroot, flags.driver, configured, settings.driver_priority, settings.file
    )
    additional = () if given and not flags.options else _additional(flags, place.env, settings)
    found.additional = tuple(dict.fromkeys(os.path.abspath(store) for store in additional))
    found.additional_chosen = bool(flags.options) or "STORAGE_OPTS" in place.env
    if not given and settings.imagestore is not None:
        found.image_store = _expand(settings.imagestore, place)
    found.transient = settings.transient_store
    found.config_file = settings.file
    if found.image_store == found.graphroot:
        raise StorageConfError(
            f"imagestore is the graphroot {found.graphroot}", file=settings.file, key="storage.imagestore"
        )
    return found


def _refuse_surprise(found: Resolved, chosen: Release) -> None:
    """With two results for a user, refuse the system's store, and a new store while the other exists.

    Raises:
        StorageConfError: the result would be one of these.
    """
    both = "; ".join(f"by the rules of containers/storage {rules}: {path}" for rules, path in found.graphroots.items())
    both = f"{both}; {chosen.reason}"
    mend = "move what is for root alone to storage.rootful.conf.d/, or name a store with --root"
    if chosen.rules == NEW and _is_anothers(found.graphroot):
        text = f"{found.config_file} points users at {found.graphroot}, which is not this user's ({both}): {mend}"
        raise StorageConfError(text, file=found.config_file, key="storage.graphroot")
    others = [path for path in found.graphroots.values() if path != found.graphroot and _is_ours(path)]
    if others and not os.path.lexists(found.graphroot) and not chosen.set_by_user:
        other = OLD if chosen.rules == NEW else NEW
        raise StorageConfError(
            f"this user's store is {others[0]}, but {found.graphroot} would be made and used ({both}): to have the one "
            f'that is there write storage_rules = "{other}" into {chosen.settings_file}, or {mend}',
            file=found.config_file,
            key="storage.graphroot",
        )


def _is_ours(path: str) -> bool:
    try:
        return os.stat(path).st_uid == os.geteuid()
    except OSError:
        return False


def _is_anothers(path: str) -> bool:
    """Whether a graphroot belongs to another user, or could not be created by this one."""
    while True:
        try:
            return os.stat(path).st_uid != os.geteuid() and not os.access(path, os.W_OK)
        except FileNotFoundError:
            path = os.path.dirname(path)
        except OSError:
            return True


def _merge(settings: _Settings, part: ConfigFile, *, bound: bool) -> None:
    storage = _table(part, part.tables, "storage")
    for name in _PATHS:
        value = _value(part, storage, f"storage.{name}", str)
        if value and not (bound and name not in _USER_KEYS):
            setattr(settings, name, value)
    if "driver_priority" in storage:
        settings.driver_priority = _strings(part, storage, "storage.driver_priority", settings.driver_priority)
    settings.file = settings.file or part.path
    transient = _value(part, storage, "storage.transient_store", bool)
    options = _table(part, storage, "storage.options")
    if bound:
        return
    if transient is not None:
        settings.transient_store = transient
    if "additionalimagestores" in options:
        settings.additional = _strings(part, options, "storage.options.additionalimagestores", settings.additional)


def _additional(flags: Flags, env: Mapping[str, str], settings: _Settings) -> tuple[str, ...]:
    """Additional image stores: ``--storage-opt``, else ``$STORAGE_OPTS``, replaces all driver options of the files."""
    if flags.options:
        given: Sequence[str] = flags.options
    elif "STORAGE_OPTS" in env:
        given = env["STORAGE_OPTS"].split(",")
    else:
        return settings.additional
    stores: list[str] = []
    for option in given:
        key, _, value = option.partition("=")
        # "overlay.imagestore", "vfs.imagestore", ".imagestore", "imagestore"; and the longer name of each
        if key.strip().rpartition(".")[2] in ("imagestore", "additionalimagestore") and value:
            stores.append(value)
    return tuple(stores)


def _graphroot(root: str | None, settings: _Settings, place: _Place) -> str:
    if root is not None:
        return os.path.abspath(root)
    if settings.graphroot is not None:
        return os.path.abspath(_expand(settings.graphroot, place))
    if place.uid == 0:
        return os.path.join(place.system_root, "var/lib/containers/storage")
    if settings.rootless_storage_path is not None:
        return os.path.abspath(_expand(settings.rootless_storage_path, place))
    data = place.env.get("XDG_DATA_HOME") or os.path.join(_home(place), ".local", "share")
    return os.path.join(data, "containers", "storage")


def _default_runroot(place: _Place) -> str:
    if place.uid == 0:
        return os.path.join(place.system_root, "run/containers/storage")
    runtime = place.env.get("XDG_RUNTIME_DIR")
    if not runtime:
        runtime = os.path.join(place.system_root, "run/user", str(place.uid))
        try:
            usable = os.lstat(runtime).st_uid in (place.uid, os.geteuid())
        except OSError:
            usable = False
        if not usable:
            runtime = os.path.join(place.env.get("TMPDIR") or "/tmp", f"storage-run-{place.uid}")
    return os.path.join(runtime, "containers")


def _home(place: _Place) -> str:
    if place.env.get("HOME"):
        return place.env["HOME"]
    raise StorageConfError("neither $HOME nor a graphroot is set", key="HOME")


def _expand(path: str, place: _Place) -> str:
    """Expand ``$UID`` and environment variables, then symbolic links, like upstream's expandEnvPath."""
    if "$" in path:
        import re

        values = {**place.env, "UID": str(place.uid)}
        path = re.sub(r"\$(?:\{(\w+)\}|(\w+))", lambda match: values.get(match[1] or match[2], ""), path)
    return os.path.realpath(path)


def _table(part: ConfigFile, tables: Mapping[str, Any], key: str) -> dict[str, Any]:
    value = tables.get(key.rpartition(".")[2], {})
    if not isinstance(value, dict):
        raise _wrong(part, key, "a table")
    return value


def _value(part: ConfigFile, table: Mapping[str, Any], key: str, kind: type) -> Any:
    value = table.get(key.rpartition(".")[2])
    if value is not None and not isinstance(value, kind):
        raise _wrong(part, key, "a string" if kind is str else "true or false")
    if isinstance(value, str) and "\0" in value:
        raise _wrong(part, key, "without NUL characters, which no path can hold")
    return value


def _strings(part: ConfigFile, table: Mapping[str, Any], key: str, before: tuple[str, ...]) -> tuple[str, ...]:
    """A list of strings; ``{append = true}`` in it adds to earlier files instead of replacing them."""
    values = table[key.rpartition(".")[2]]
    if not isinstance(values, list):
        raise _wrong(part, key, "an array of strings")
    strings = [value for value in values if isinstance(value, str)]
    modes = [value["append"] for value in values if isinstance(value, dict) and set(value) == {"append"}]
    if len(strings) + len(modes) != len(values) or not all(isinstance(mode, bool) for mode in modes):
        raise _wrong(part, key, "an array of strings")
    if any("\0" in text for text in strings):
        raise _wrong(part, key, "without NUL characters, which no path can hold")
    return (*(before if modes and modes[-1] else ()), *(text for text in strings if text))


def _wrong(part: ConfigFile, key: str, wanted: str) -> StorageConfError:
    name = key.rpartition(".")[2]
    lines = part.data.decode("utf-8", "replace").splitlines()
    line = next((number for number, text in enumerate(lines, 1) if text.strip().startswith(name)), None)
    where = f"{part.path}, line {line}" if line else part.path
    return StorageConfError(f"{where}: {key} must be {wanted}", file=part.path, key=key, line=line)
