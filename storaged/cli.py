"""The command ``storaged``: serve, stop, install-units, demo. Imports only what the chosen subcommand needs."""

from __future__ import annotations

import argparse
import gc
import os
import sys
from collections.abc import Sequence

from storaged_client.contract.version import PROTOCOL, VERSION


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; returns its exit status."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    if arguments[:1] == ["demo"]:
        from storaged import cmd_demo

        return cmd_demo.main(arguments[1:])
    if arguments[:1] == ["install-units"]:
        from storaged import cmd_install_units

        return cmd_install_units.main(arguments[1:], os.environ)
    parser = argparse.ArgumentParser(
        prog="storaged", description="A resident service for the image store that podman, buildah and CRI-O share."
    )
    parser.add_argument("--version", action="version", version=f"storaged {VERSION} (protocol {PROTOCOL})")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    serve = commands.add_parser("serve", help="run the daemon", description="Serve a store until told to stop.")
    stop = commands.add_parser(
        "stop", help="stop the daemon", description="Drain and stop the daemon of a socket or of a store."
    )
    stop.add_argument("--socket", metavar="PATH", help="the daemon's socket")
    stop.add_argument("--root", metavar="DIR", help="the graphroot of the store it serves")
    stop.add_argument("--runroot", metavar="DIR", help="the store's runroot")
    stop.add_argument("--storage-driver", "--driver", metavar="NAME", help="the store's driver")
    stop.add_argument(
        "--storage-opt", metavar="OPTION", action="append", default=[], help="a driver option of the store"
    )
    commands.add_parser("install-units", help="install systemd units that start it on demand", add_help=False)
    commands.add_parser("demo", help="try it on a throwaway store", add_help=False)
    if arguments[:1] == ["stop"]:
        from storaged import cmd_stop
        from storaged_client.storage_conf import Flags

        told = parser.parse_args(arguments)
        flags = Flags(told.root, told.runroot, told.storage_driver, told.storage_opt)
        return cmd_stop.stop_daemon(told.socket, flags)
    # Objects that a starting daemon creates live as long as the daemon, and collecting garbage meanwhile would take a
    # fifth of its start. The first load turns collection on again.
    gc.disable()
    try:
        return _serve(parser, serve, arguments)
    finally:
        gc.enable()


def _serve(parser: argparse.ArgumentParser, serve: argparse.ArgumentParser, arguments: list[str]) -> int:
    from storaged import settings
    from storaged.errors import ConfigError

    settings.add_flags(serve)
    given = parser.parse_args(arguments)
    try:
        told = settings.read_flags(given)
    except ConfigError as error:
        from storaged import cmd_serve

        return cmd_serve.refuse_settings(error, os.environ)
    from storaged import cmd_serve

    return cmd_serve.run(told, os.environ, reread=lambda: settings.read_flags(given))
