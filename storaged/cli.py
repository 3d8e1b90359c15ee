"""The command ``storaged``: serve, stop, install-units, demo. Loads only what the chosen one needs."""

from __future__ import annotations

import argparse
import gc
import os
import select
import socket
import sys
import time
from collections.abc import Sequence
from contextlib import suppress

from storaged.server import peercred
from storaged_client import address
from storaged_client.channel import NotSent
from storaged_client.contract.errors import StoragedError, from_wire
from storaged_client.contract.version import PROTOCOL, VERSION
from storaged_client.errors import ClientError, DaemonUnavailable, RequestTimeout
from storaged_client.link import Link

_SECONDS = 10.0
"""For everything but the drain, whose own time is asked for."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; returns its exit status."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    if arguments[:1] == ["demo"]:
        from storaged import demo

        return demo.main(arguments[1:])
    if arguments[:1] == ["install-units"]:
        from storaged import installing

        return installing.main(arguments[1:], os.environ)
    parser = argparse.ArgumentParser(
        prog="storaged", description="A resident service for the image store that podman, buildah and CRI-O share."
    )
    parser.add_argument("--version", action="version", version=f"storaged {VERSION} (protocol {PROTOCOL})")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    serve = commands.add_parser("serve", help="be the daemon", description="Serve a store until told to stop.")
    stop = commands.add_parser("stop", help="end the daemon", description="Drain and end the daemon behind a socket.")
    stop.add_argument("--socket", metavar="PATH", help="the daemon's socket")
    commands.add_parser("install-units", help="have systemd start it on demand", add_help=False)
    commands.add_parser("demo", help="the founding question on a throwaway store", add_help=False)
    if arguments[:1] == ["stop"]:
        return stop_daemon(parser.parse_args(arguments).socket)
    # What a starting daemon makes lives as long as it, and to look for garbage meanwhile is a fifth of its start. It is
    # looked for again when the first load is done.
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
        from storaged import serving

        return serving.refuse_settings(error, os.environ)
    from storaged import serving

    return serving.run(told, os.environ, reread=lambda: settings.read_flags(given))


def stop_daemon(path: str | None, seconds: float = _SECONDS) -> int:
    """Ask the daemon behind a socket to drain, and wait until it is gone; returns the exit status.

    Gone means: the connection has ended, which it does when the last answer is sent, and so has the
    process, where the kernel vouches for its pid; only then is the store's guard free for the next daemon.
    The socket is no sign: an activated one stays, and connecting to it to see would start the daemon anew.
    0 ended, 69 no daemon, 75 not in time, 77 not permitted.
    """
    try:
        _stop(address.find(path), time.monotonic() + seconds)
    except (ClientError, StoragedError) as error:
        sys.stderr.write(f"storaged: {error}\n")
        return error.exit_status
    return 0


def _stop(path: str, deadline: float) -> None:
    channel = address.connect(path)
    link = Link(channel)
    process: int | None = None
    try:
        pid = peercred.of_socket(channel).pid
        info = _ask(link, "server.info", {"consistency": "cached"}, deadline, path)
        deadline += _drain_seconds(info)
        # An activated socket was made by the service manager; then the pid is a claim and no more.
        if info.get("pid") == pid:
            with suppress(OSError):
                process = os.pidfd_open(pid)
        _ask(link, "server.shutdown", None, deadline, path)
        _await_end(channel, deadline, path)
        if process is not None and not _readable(process, deadline):
            raise RequestTimeout(f"pid {pid} answers no more at {path} but has not ended: look at its log")
    finally:
        link.close()
        if process is not None:
            os.close(process)


def _drain_seconds(info: dict[str, object]) -> float:
    limits = info.get("limits")
    seconds = limits.get("drain_seconds") if isinstance(limits, dict) else None
    return float(seconds) if isinstance(seconds, int | float) else 10.0


def _ask(link: Link, method: str, params: dict[str, object] | None, deadline: float, path: str) -> dict[str, object]:
    try:
        pending = link.ask(method, params, deadline)
    except NotSent:
        raise DaemonUnavailable(f"the daemon at {path} is ending already") from None
    if pending.error is not None:
        raise from_wire(pending.error)
    if pending.lost:
        raise DaemonUnavailable(f"the daemon at {path} went away before it answered {method}")
    return pending.result if isinstance(pending.result, dict) else {}


def _await_end(channel: socket.socket, deadline: float, path: str) -> None:
    while True:
        if not _readable(channel.fileno(), deadline):
            raise RequestTimeout(f"the daemon at {path} is still draining")
        try:
            if not channel.recv(65536):
                return
        except OSError:
            return


def _readable(descriptor: int, deadline: float) -> bool:
    poll = select.poll()
    poll.register(descriptor, select.POLLIN)
    return bool(poll.poll(max(0.0, deadline - time.monotonic()) * 1000))
