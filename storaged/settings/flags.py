"""The flags of ``storaged serve``, and what they and the settings file make together."""

from __future__ import annotations

import argparse
import os

from attrs import evolve

from storaged.settings.durations import duration
from storaged.settings.file import default_path, read_file
from storaged.settings.model import LOG_LEVELS, NOWHERE, FileSettings, GatewaySettings, Settings, SocketPath


def add_flags(parser: argparse.ArgumentParser) -> None:
    """The flags of ``storaged serve``."""
    parser.add_argument("--socket", metavar="PATH", help="where to listen")
    parser.add_argument(
        "--api-socket",
        metavar="PATH",
        help="where to answer podman's and Docker's REST API, too (default: nowhere)",
    )
    parser.add_argument(
        "--podman-socket",
        metavar="PATH",
        help="podman's own socket, to which that API passes on what is not about images, or none "
        "(default: podman's usual one)",
    )
    parser.add_argument("--root", metavar="DIR", help="the store's graphroot, instead of storage.conf's")
    parser.add_argument("--runroot", metavar="DIR", help="the store's runroot, instead of storage.conf's")
    parser.add_argument("--driver", metavar="NAME", help="the storage driver, instead of storage.conf's")
    parser.add_argument(
        "--storage-opt",
        metavar="OPTION",
        action="append",
        default=[],
        help="a storage driver option, instead of storage.conf's; may be repeated",
    )
    parser.add_argument(
        "--config",
        metavar="FILE",
        help="the daemon's own settings (default: /etc/storaged/storaged.toml for root, "
        "~/.config/storaged/storaged.toml for a user, if it is there)",
    )
    parser.add_argument("--backend", choices=("trio", "asyncio"), default="trio", help="event loop (default: trio)")
    parser.add_argument(
        "--idle-exit",
        metavar="DURATION",
        type=_duration_flag,
        help="leave when nobody was connected for so long, such as 10min (default: never)",
    )
    parser.add_argument("--read-only", action="store_true", help="refuse everything that changes the store")
    parser.add_argument("--log-level", choices=LOG_LEVELS, help="default: info")


def read_flags(arguments: argparse.Namespace) -> Settings:
    """The settings that the flags and the settings file make together: flags win. Blocking.

    The file is ``--config``'s, which must be there, or the default one, which need not. May be called again with the
    same arguments at any time: the file, and the users and groups that it names, are looked at anew.

    Raises:
        ConfigError: the file cannot be read or says what is not understood; every mistake is named with its line.
    """
    path: str | None = arguments.config
    if path is None:
        path = default_path(os.environ, os.geteuid())
        if path is not None and not os.path.lexists(path):
            path = None
    file = FileSettings() if path is None else read_file(path)
    return Settings(
        socket=arguments.socket,
        root=arguments.root,
        runroot=arguments.runroot,
        driver=arguments.driver,
        storage_options=tuple(arguments.storage_opt),
        storage_rules=file.storage_rules,
        backend=arguments.backend,
        idle_exit=file.idle_exit if arguments.idle_exit is None else arguments.idle_exit,
        read_only=arguments.read_only or file.read_only,
        log_level=arguments.log_level or file.log_level,
        compat=file.compat,
        limits=file.limits,
        access=file.access,
        gateway=_gateway(arguments, file.gateway),
        file=path,
    )


def _gateway(arguments: argparse.Namespace, file: GatewaySettings) -> GatewaySettings:
    """A relative path of a flag is one from the folder that the daemon is started in."""
    socket, podman = arguments.api_socket, arguments.podman_socket
    return evolve(
        file,
        socket=file.socket if socket is None else SocketPath(os.path.abspath(socket)),
        podman_socket=file.podman_socket
        if podman is None
        else SocketPath(podman if podman == NOWHERE else os.path.abspath(podman)),
    )


def _duration_flag(text: str) -> float:
    try:
        return duration(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from error
