"""The settings as values: those of the file, and those of flags and file together."""

from __future__ import annotations

from typing import Literal, NewType

from attrs import Factory, frozen

from storaged.server.limits import Limits

Backend = Literal["trio", "asyncio"]
LogLevel = Literal["debug", "info", "warning", "error"]
Compat = Literal["none", "podman"]
StorageRules = Literal["auto", "1.62", "1.63"]
COMPATS: tuple[Compat, ...] = ("none", "podman")
LOG_LEVELS: tuple[LogLevel, ...] = ("debug", "info", "warning", "error")

Uid = NewType("Uid", int)
Gid = NewType("Gid", int)
SocketPath = NewType("SocketPath", str)
NOWHERE = "none"
"""In place of a path: no file."""


@frozen(kw_only=True)
class Grants:
    """Who else may change the store, by number; the file may also use names."""

    uids: tuple[Uid, ...] = ()
    gids: tuple[Gid, ...] = ()


@frozen(kw_only=True)
class GatewaySettings:
    """The second socket, which serves podman's and Docker's REST API."""

    socket: SocketPath | None = None
    """The socket to listen on; None for no gateway, unless the service manager passes a socket."""
    podman_socket: SocketPath | None = None
    """podman's own socket, which gets all other requests: None for the usual one, ``none`` for no forwarding."""
    pass_uids: tuple[Uid, ...] = ()
    pass_gids: tuple[Gid, ...] = ()
    """Whose requests are forwarded, besides those of root and the daemon's own user."""


@frozen(kw_only=True)
class FileSettings:
    """The contents of a settings file, with defaults; ``idle_exit`` as in :class:`Settings`."""

    idle_exit: float | None = None
    read_only: bool = False
    log_level: LogLevel = "info"
    compat: Compat = "none"
    storage_rules: StorageRules = "auto"
    limits: Limits = Factory(Limits)
    access: Grants = Factory(Grants)
    gateway: GatewaySettings = Factory(GatewaySettings)


@frozen(kw_only=True)
class Settings:
    """All settings of ``storaged serve``. ``idle_exit`` is in seconds, None for never."""

    socket: str | None = None
    root: str | None = None
    runroot: str | None = None
    driver: str | None = None
    storage_options: tuple[str, ...] = ()
    storage_rules: StorageRules = "auto"
    """The release of containers/storage whose rules for storage.conf apply, where releases differ."""
    backend: Backend = "trio"
    idle_exit: float | None = None
    read_only: bool = False
    log_level: LogLevel = "info"
    compat: Compat = "none"
    limits: Limits = Factory(Limits)
    access: Grants = Factory(Grants)
    gateway: GatewaySettings = Factory(GatewaySettings)
    file: str | None = None
    """The settings file that was read, or None."""
