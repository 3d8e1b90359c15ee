"""``storagectl --version``: the client's version, and the daemon's if one listens. Starts no daemon.

Under the name ``podman`` it is podman's line, which tools parse (see ``podman_version``).
"""

from __future__ import annotations

import os
import sys

from storaged_client.contract.version import PROTOCOL, VERSION

from . import exits, output
from .flags import Flag, seconds
from .invocation import Invocation

ARGUMENTS = ""
FLAGS: tuple[Flag, ...] = ()


def run(invocation: Invocation) -> int:
    if os.path.basename(sys.argv[0]) == "podman":
        from .podman_version import line

        output.emit(line())
        return exits.DONE
    output.emit(f"storagectl version {VERSION} (protocol {PROTOCOL})\n{_daemon(invocation)}\n")
    return exits.DONE


def _daemon(invocation: Invocation) -> str:
    timeout = seconds(invocation.options.text("timeout")) or 2.0
    try:
        with invocation.connect(spawn=False, timeout=timeout) as client:
            info = client.call("server.info", timeout=timeout)
    except exits.expected() as error:
        return f"storaged: no answer ({error})"
    line = f"storaged version {info['version']} (protocol {info['protocol']}), pid {info['pid']}"
    if info["version"] == VERSION:
        return line
    from storaged_client.version_mismatch import replacement

    return f"{line}; to have version {VERSION}: {replacement(info['socket'])}"
