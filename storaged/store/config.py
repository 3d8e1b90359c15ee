"""Where the store is: flags, else storage.conf by upstream's rules, for root and for a user.

Source: container-libs ``storage/types/options.go`` (LoadStoreOptions) and its forerunners up to 1.62,
``storage/drivers/driver.go`` (ScanPriorDrivers), podman ``pkg/domain/infra/runtime_libpod.go``.

Where the versions differ the store itself decides who is served: of a system-wide main file a user takes
only ``driver`` and ``rootless_storage_path``, as every release up to 1.62 does; drop-ins, which only later
ones read, bind everyone whole.
"""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Iterable, Mapping
from typing import Any

from attrs import field, frozen
from msgspec import Struct

from storaged.errors import ConfigError
from storaged.store.config_files import ConfigFile, read_files
from storaged.store.files import Files
from storaged.store.tables import StoreLocation

DRIVERS = ("overlay", "btrfs", "zfs", "vfs")
"""Drivers whose state is recognised in a graphroot."""

_USER_KEYS = frozenset({"driver", "driver_priority", "rootless_storage_path"})
_VARIABLE = re.compile(r"\$(?:\{(\w+)\}|(\w+))")
_ENVIRONMENT = (
    "CONTAINERS_STORAGE_CONF",
    "CONTAINERS_STORAGE_CONF_OVERRIDE",
    "STORAGE_DRIVER",
    "STORAGE_OPTS",
    "XDG_CONFIG_HOME",
    "XDG_DATA_HOME",
    "XDG_RUNTIME_DIR",
    "HOME",
)


class _Settings(Struct, kw_only=True):
    """The merged values; None and () are "not set"."""

    driver: str | None = None
    driver_priority: tuple[str, ...] = ()
    runroot: str | None = None
    graphroot: str | None = None
    imagestore: str | None = None
    rootless_storage_path: str | None = None
    transient_store: bool = False
    additional: tuple[str, ...] = ()
    file: str | None = None


@frozen(kw_only=True)
class _Place:
    """What paths are expanded with."""

    env: Mapping[str, str] = field(repr=False)
    uid: int
    system_root: str
    files: Files


def discover(
    env: Mapping[str, str],
    uid: int,
    root: str | None = None,
    runroot: str | None = None,
    driver: str | None = None,
    *,
    system_root: str = "/",
    files: Files | None = None,
) -> StoreLocation:
    """Find the store podman would open in this environment with these flags. Creates nothing.

    With ``root`` or ``driver`` given, additional and image stores of storage.conf are ignored, as podman does.
    ``uid`` is that of the process; inside podman's user namespace the user's own is taken from the environment.

    Raises:
        ConfigError: a file cannot be used (``file``, ``key``, ``line``), or several drivers left state in the
            graphroot and none is chosen.
    """
    if env.get("_CONTAINERS_USERNS_CONFIGURED") and env.get("_CONTAINERS_ROOTLESS_UID", "").isdigit():
        uid = int(env["_CONTAINERS_ROOTLESS_UID"])
    place = _Place(env=env, uid=uid, system_root=system_root, files=files or Files())
    configured = read_files(env, uid, system_root=system_root, files=place.files)
    settings = _Settings()
    for part in configured:
        _merge(settings, part, uid)
    graphroot = _graphroot(root, settings, place)
    run = runroot if runroot is not None else settings.runroot
    given = root is not None or driver is not None
    chosen = _driver(driver or env.get("STORAGE_DRIVER") or settings.driver)
    additional = () if given else _additional(env, settings)
    image_store = None if given or settings.imagestore is None else _expand(settings.imagestore, place)
    if image_store == graphroot:
        raise ConfigError(
            f"imagestore is the graphroot {graphroot}", file=settings.file, key="storage.imagestore", line=None
        )
    return StoreLocation(
        graphroot=graphroot,
        runroot=_absolute(_expand(run, place) if run and runroot is None else run or _default_runroot(place)),
        driver=chosen or _prior_driver(graphroot, settings, place),
        additional=tuple(dict.fromkeys(_absolute(store) for store in additional)),
        image_store=image_store,
        transient=settings.transient_store,
        config_file=settings.file,
        fingerprint=_fingerprint(env, uid, (root, runroot, driver), configured),
    )


def _merge(settings: _Settings, part: ConfigFile, uid: int) -> None:
    storage = _table(part, part.tables, "storage")
    bound = part.system and uid != 0
    for name in ("driver", "runroot", "graphroot", "imagestore", "rootless_storage_path"):
        value = _value(part, storage, f"storage.{name}", str)
        if value and not (bound and name not in _USER_KEYS):
            setattr(settings, name, value)
    if "driver_priority" in storage:
        settings.driver_priority = _strings(part, storage, "storage.driver_priority", settings.driver_priority)
    settings.file = settings.file or part.path
    if bound:
        return
    transient = _value(part, storage, "storage.transient_store", bool)
    if transient is not None:
        settings.transient_store = transient
    options = _table(part, storage, "storage.options")
    if "additionalimagestores" in options:
        settings.additional = _strings(part, options, "storage.options.additionalimagestores", settings.additional)


def _additional(env: Mapping[str, str], settings: _Settings) -> tuple[str, ...]:
    """Additional image stores: ``$STORAGE_OPTS`` replaces all driver options of the files where it is set."""
    if "STORAGE_OPTS" not in env:
        return settings.additional
    stores: list[str] = []
    for option in env["STORAGE_OPTS"].split(","):
        key, _, value = option.partition("=")
        # "overlay.imagestore", "vfs.imagestore", ".imagestore", "imagestore"; and the longer name of each
        if key.strip().rpartition(".")[2] in ("imagestore", "additionalimagestore") and value:
            stores.append(value)
    return tuple(stores)


def _graphroot(root: str | None, settings: _Settings, place: _Place) -> str:
    if root is not None:
        return _absolute(root)
    if settings.graphroot is not None:
        return _absolute(_expand(settings.graphroot, place))
    if place.uid == 0:
        return os.path.join(place.system_root, "var/lib/containers/storage")
    if settings.rootless_storage_path is not None:
        return _absolute(_expand(settings.rootless_storage_path, place))
    data = place.env.get("XDG_DATA_HOME") or os.path.join(_home(place), ".local", "share")
    return os.path.join(data, "containers", "storage")


def _default_runroot(place: _Place) -> str:
    if place.uid == 0:
        return os.path.join(place.system_root, "run/containers/storage")
    runtime = place.env.get("XDG_RUNTIME_DIR")
    if not runtime:
        runtime = os.path.join(place.system_root, "run/user", str(place.uid))
        try:
            usable = place.files.stat(runtime, follow_symlinks=False).st_uid == place.uid
        except OSError:
            usable = False
        if not usable:
            runtime = os.path.join(place.env.get("TMPDIR") or "/tmp", f"storage-run-{place.uid}")
    return os.path.join(runtime, "containers")


def _home(place: _Place) -> str:
    if place.env.get("HOME"):
        return place.env["HOME"]
    raise ConfigError("neither $HOME nor a graphroot is set", file=None, key="HOME", line=None)


def _prior_driver(graphroot: str, settings: _Settings, place: _Place) -> str:
    """The driver whose state lies in the graphroot; vfs counts where it is asked for or alone, else overlay."""
    try:
        names = set(place.files.listdir(graphroot))
    except OSError:
        names = set()
    prior = [name for name in DRIVERS if name in names and name != "vfs"]
    for name in settings.driver_priority:
        if name in names or not names.intersection(DRIVERS):
            return _driver(name) or name
    if len(prior) > 1:
        raise ConfigError(
            f"{graphroot} has state of several drivers ({', '.join(prior)}); choose one with --driver",
            file=settings.file,
            key="storage.driver",
            line=None,
        )
    if prior:
        return prior[0]
    return "vfs" if "vfs-images" in names and "overlay-images" not in names else "overlay"


def _driver(name: str | None) -> str | None:
    return "overlay" if name == "overlay2" else name


def _expand(path: str, place: _Place) -> str:
    """``$UID`` and variables of the environment, then symbolic links, as upstream's expandEnvPath."""
    values = {**place.env, "UID": str(place.uid)}
    expanded = _VARIABLE.sub(lambda match: values.get(match[1] or match[2], ""), path)
    return os.path.realpath(expanded)


def _absolute(path: str) -> str:
    return os.path.abspath(path)


def _fingerprint(
    env: Mapping[str, str], uid: int, flags: tuple[str | None, ...], configured: Iterable[ConfigFile]
) -> str:
    digest = hashlib.sha256(repr((uid, flags, [env.get(name) for name in _ENVIRONMENT])).encode())
    for part in configured:
        digest.update(f"\0{part.path}\0{len(part.data)}\0".encode())
        digest.update(part.data)
    return digest.hexdigest()[:16]


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
    """A list of strings; ``{append = true}`` in it adds to what earlier files said instead of replacing it."""
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


def _wrong(part: ConfigFile, key: str, wanted: str) -> ConfigError:
    name = key.rpartition(".")[2]
    lines = part.data.decode("utf-8", "replace").splitlines()
    line = next((number for number, text in enumerate(lines, 1) if text.strip().startswith(name)), None)
    where = f"{part.path}, line {line}" if line else part.path
    return ConfigError(f"{where}: {key} must be {wanted}", file=part.path, key=key, line=line)
