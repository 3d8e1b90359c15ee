"""What to say where daemon and client are of different versions: who lacks what, and what to do.

A minor version of the protocol only adds, so most calls fit. Where one does not, the daemon's answer alone (an
unknown method or parameter, a member that is missing) would look like a mistake of the caller.
"""

from __future__ import annotations

import re
import shlex
from typing import Any

from . import systemd_units
from .contract.errors import InvalidParams, MethodNotFound, NotSupported
from .contract.version import PROTOCOL, VERSION

PATIENCE = 2.0
"""Seconds that a question about the version may take, which is asked behind an error only."""

QUESTION = ("server.info", {"consistency": "cached"})
"""The request whose result ``hint`` takes."""

MAY_EXPLAIN = (MethodNotFound, InvalidParams, NotSupported)
"""The answers that may have their reason in a daemon of another version."""


def replacement(socket: str) -> str:
    """The command after which the daemon behind a socket is of the version installed."""
    return systemd_units.restart_command(socket) or f"storaged stop --socket {shlex.quote(socket)}"


def hint(info: Any, address: str, *, lacks: bool = False) -> str:
    """One sentence about a daemon of another version, by its ``server.info``; empty where it is of ours.

    ``lacks``: what was asked for is not known there, beyond doubt.
    """
    if type(info) is not dict or type(info.get("version")) is not str or info["version"] == VERSION:
        return ""
    version, protocol = info["version"], info.get("protocol")
    text = f"the daemon is storaged {version} (protocol {protocol}), this client {VERSION} (protocol {PROTOCOL})"
    text += ", and that version does not have it" if lacks else ", which may be why"
    if _numbers(version) > _numbers(VERSION):
        return f"{text}; upgrade this client"
    return f"{text}; to have the daemon installed here: {replacement(str(info.get('socket') or address))}"


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(number) for number in re.findall(r"\d{1,9}", version))
