"""Finds out from unit files whether systemd provides a socket, without asking systemd.

A unit is enabled if ``<dir>/sockets.target.wants/storaged.socket`` exists (systemd.unit(5), "Unit File Load Path";
``systemctl enable`` creates that link). The sockets of stores other than the default one are instances of
``storaged@.socket``, by the digest in their name.
"""

from __future__ import annotations

import os

UNIT = "storaged.socket"
SERVICE = "storaged.service"

_SYSTEM = (
    "/etc/systemd/system",
    "/run/systemd/system",
    "/usr/local/lib/systemd/system",
    "/usr/lib/systemd/system",
    "/lib/systemd/system",
)
_USER = (
    "/etc/systemd/user",
    "/run/systemd/user",
    "/usr/local/lib/systemd/user",
    "/usr/lib/systemd/user",
    "/lib/systemd/user",
)


def start_command(path: str) -> str | None:
    """The command that starts the enabled unit with the socket ``path``, or None."""
    manager = _manager(path)
    return manager and f"{manager} start {_unit(path)}"


def restart_command(path: str) -> str | None:
    """The command that replaces the daemon behind that socket by the installed version."""
    manager = _manager(path)
    return manager and f"{manager} restart {_service(path)}"


def log_command(path: str) -> str:
    """The command that shows the log of the service behind that socket."""
    own = _manager(path) == "systemctl --user"
    return f"journalctl {'--user ' if own else ''}-u {_service(path)}"


def _unit(path: str) -> str:
    instance = _instance(path)
    return f"storaged@{instance}.socket" if instance else UNIT


def _service(path: str) -> str:
    instance = _instance(path)
    return f"storaged@{instance}.service" if instance else SERVICE


def _instance(path: str) -> str:
    """The digest in ``store-DIGEST.sock``; empty for any other name."""
    name = os.path.basename(path)
    return name[6:-5] if name.startswith("store-") and name.endswith(".sock") and name[6:-5].isalnum() else ""


def _manager(path: str) -> str | None:
    for folders, runtime, command in (
        (_SYSTEM, "/run", "systemctl"),
        (_user_folders(), os.environ.get("XDG_RUNTIME_DIR", f"/run/user/{os.geteuid()}"), "systemctl --user"),
    ):
        for folder in folders:
            if os.path.lexists(os.path.join(folder, "sockets.target.wants", _unit(path))):
                if os.path.abspath(path) in _listens(folders, runtime, _instance(path)):
                    return command
                break
    return None


def _user_folders() -> tuple[str, ...]:
    home = os.path.expanduser("~")
    config = os.environ.get("XDG_CONFIG_HOME") or os.path.join(home, ".config")
    data = os.environ.get("XDG_DATA_HOME") or os.path.join(home, ".local", "share")
    return (os.path.join(config, "systemd", "user"), *_USER, os.path.join(data, "systemd", "user"))


def _listens(folders: tuple[str, ...], runtime: str, instance: str) -> set[str]:
    """The paths that the first unit file with that name listens on; drop-ins are not read."""
    file = "storaged@.socket" if instance else UNIT
    enabled = f"storaged@{instance}.socket" if instance else UNIT
    for folder in folders:
        for name in (file, os.path.join("sockets.target.wants", enabled)):
            try:
                with open(os.path.join(folder, name), encoding="utf-8") as unit:
                    lines = unit.read(65536).splitlines()
            except (OSError, ValueError):
                continue
            values = [line.partition("=")[2].strip() for line in lines if line.strip().startswith("ListenStream")]
            return {os.path.normpath(value.replace("%t", runtime).replace("%i", instance)) for value in values if value}
    return set()
