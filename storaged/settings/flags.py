"""The flags of ``storaged serve``, and the settings that they and the settings file give together."""

from __future__ import annotations

import argparse
import os

from attrs import evolve

from storaged.settings.file import default_path, read_file
from storaged.settings.model import LOG_LEVELS, NOWHERE, FileSettings, GatewaySettings, Settings, SocketPath
from storaged_client.times import seconds


def add_flags(parser: argparse.ArgumentParser) -> None:
    """Add the flags of ``storaged serve``."""
    parser.add_argument("--socket", metavar="PATH", help="socket to listen on")
    parser.add_argument(
        "--api-socket",
        metavar="PATH",
        help="socket for podman's and Docker's REST API (default: none)",
    )
    parser.add_argument(
        "--podman-socket",
        metavar="PATH",
        help="podman's own socket, which gets API requests that are not about images, or none "
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
        help="settings file (default: /etc/storaged/storaged.toml for root, "
        "~/.config/storaged/storaged.toml for a user, if it exists)",
    )
    parser.add_argument("--backend", choices=("trio", "asyncio"), default="trio", help="event loop (default: trio)")
    parser.add_argument(
        "--idle-exit",
        metavar="DURATION",
        type=_duration_flag,
        help="exit after this time without a connection, such as 10min (default: never)",
    )
    parser.add_argument("--read-only", action="store_true", help="refuse everything that changes the store")
    parser.add_argument("--log-level", choices=LOG_LEVELS, help="default: info")


def read_flags(arguments: argparse.Namespace) -> Settings:
    """Combine the flags and the settings file; flags override the file. Blocking.

    The file is that of ``--config``, which must exist, or the default one, which need not. May be called again with the
    same arguments at any time: it reads the file, and looks up the users and groups in it, again.

    Raises:
        ConfigError: the file cannot be read or has mistakes; the error names each with its line.
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
    """A relative path in a flag is relative to the folder in which the daemon is started."""
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
        return seconds(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from error
