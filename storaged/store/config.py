"""Finds the store: by flags, else by storage.conf and upstream's rules, which the clients share (``storage_conf``)."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Iterable, Mapping, Sequence

from storaged.errors import ConfigError
from storaged.store.tables import StoreLocation
from storaged_client.errors import StorageConfError
from storaged_client.storage_conf import Flags, acting_uid
from storaged_client.storage_conf.files import ConfigFile
from storaged_client.storage_conf.release import Release, release
from storaged_client.storage_conf.resolve import DRIVERS as DRIVERS
from storaged_client.storage_conf.resolve import resolve

_log = logging.getLogger(__name__)

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


def discover(
    env: Mapping[str, str],
    uid: int,
    root: str | None = None,
    runroot: str | None = None,
    driver: str | None = None,
    options: Sequence[str] = (),
    *,
    rules: str | None = None,
    system_root: str = "/",
) -> StoreLocation:
    """Find the store podman would open in this environment with these flags. Creates nothing. Blocking.

    ``uid`` is that of the process; inside podman's user namespace the user's own uid is taken from the environment.
    ``rules`` are those of the settings; without them, and where it matters, podman is asked for its version.

    Raises:
        ConfigError: a file cannot be used (``file``, ``key``, ``line``), several drivers left state in the
            graphroot and none is chosen, or a user would be given the system's store or a new empty one.
    """

    def which() -> Release:
        return release(env, acting_uid(env, uid), system_root=system_root, setting=rules, ask=True)

    flags = Flags(root, runroot, driver, options)
    try:
        found = resolve(env, uid, flags, release=which, system_root=system_root)
    except StorageConfError as error:
        raise ConfigError(str(error), file=error.file, key=error.key, line=error.line) from error
    if found.notice:
        _log.warning("storage.conf and the store differ notice=%s", found.notice)
    given = (root, runroot, driver, *options)
    differ = found.release is not None and len(set(found.graphroots.values())) > 1
    return StoreLocation(
        graphroot=found.graphroot,
        runroot=found.runroot,
        driver=found.driver,
        additional=found.additional,
        image_store=found.image_store,
        transient=found.transient,
        config_file=found.config_file,
        fingerprint=_fingerprint(env, acting_uid(env, uid), given, found.files),
        alternatives=tuple(found.graphroots.items()) if differ else (),
        chosen_by=found.release.reason if found.release is not None and differ else "",
    )


def _fingerprint(
    env: Mapping[str, str], uid: int, flags: tuple[str | None, ...], configured: Iterable[ConfigFile]
) -> str:
    digest = hashlib.sha256(repr((uid, flags, [env.get(name) for name in _ENVIRONMENT])).encode())
    for part in configured:
        digest.update(f"\0{part.path}\0{len(part.data)}\0".encode())
        digest.update(part.data)
    return digest.hexdigest()[:16]
