"""The settings as values: of the file, and of flags and file together."""

from __future__ import annotations

from typing import Literal, NewType

from attrs import Factory, frozen

from storaged.server.quotas import Limits

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
"""In place of a path: there is none."""


@frozen(kw_only=True)
class Grants:
    """Who else may change the store, by number; the file may also give their names."""

    uids: tuple[Uid, ...] = ()
    gids: tuple[Gid, ...] = ()


@frozen(kw_only=True)
class GatewaySettings:
    """The second socket, which answers podman's and Docker's REST API."""

    socket: SocketPath | None = None
    """Where it listens; None for no gateway, unless the service manager hands a socket over."""
    podman_socket: SocketPath | None = None
    """podman's own, to which all else is passed on: None for its usual place, ``none`` for nowhere."""
    pass_uids: tuple[Uid, ...] = ()
    pass_gids: tuple[Gid, ...] = ()
    """Whose requests are passed on besides root's and those of the daemon's own user."""


@frozen(kw_only=True)
class FileSettings:
    """What a settings file says, defaults where it says nothing; ``idle_exit`` as in :class:`Settings`."""

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
    """Everything ``storaged serve`` was told. ``idle_exit`` is in seconds, None for never."""

    socket: str | None = None
    root: str | None = None
    runroot: str | None = None
    driver: str | None = None
    storage_options: tuple[str, ...] = ()
    storage_rules: StorageRules = "auto"
    """By which release of containers/storage storage.conf is read, where that makes a difference."""
    backend: Backend = "trio"
    idle_exit: float | None = None
    read_only: bool = False
    log_level: LogLevel = "info"
    compat: Compat = "none"
    limits: Limits = Factory(Limits)
    access: Grants = Factory(Grants)
    gateway: GatewaySettings = Factory(GatewaySettings)
    file: str | None = None
    """The settings file that was read; None where there is none."""
