"""Explains errors caused by different versions of daemon and client: which one lacks what, and what to do.

A minor version of the protocol only adds, so most calls work. If one does not, the daemon's answer alone (an unknown
method or parameter, a missing member) would look like a mistake of the caller.
"""

from __future__ import annotations

import re
import shlex
from typing import Any

from . import systemd_units
from .contract.errors import InvalidParams, MethodNotFound, NotSupported
from .contract.version import PROTOCOL, VERSION

PATIENCE = 2.0
"""Seconds for the request for the version, which is only made after an error."""

QUESTION = ("server.info", {"consistency": "cached"})
"""The request whose result ``hint`` takes."""

MAY_EXPLAIN = (MethodNotFound, InvalidParams, NotSupported)
"""The answers that a daemon of another version may explain."""


def replacement(socket: str) -> str:
    """The command that replaces the daemon behind a socket by the installed version."""
    return systemd_units.restart_command(socket) or f"storaged stop --socket {shlex.quote(socket)}"


def hint(info: Any, address: str, *, lacks: bool = False) -> str:
    """One sentence about a daemon of another version, from its ``server.info``; empty if it has ours.

    ``lacks``: the daemon certainly does not know what was requested.
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
