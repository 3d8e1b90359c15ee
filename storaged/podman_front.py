"""``storaged install-units --in-front-of-podman``: storaged's REST API at podman's own path, with podman behind it.

::

                               before                     after
    podman.sock                podman.socket              storaged-podman.socket, passed to storaged.service
    podman-behind.sock         -                          podman.socket, moved by a drop-in
    [gateway] podman_socket    -                          podman-behind.sock, in storaged.toml

Clients that only know podman's path (cockpit, Podman Desktop) then need no setting. ``podman.socket`` remains the name
of podman's own socket: starting or stopping it starts or stops what only podman answers. The permissions stay as
``podman.socket`` and its drop-ins set them.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from attrs import Factory, frozen

BEHIND: Final = "podman-behind.sock"
"""The name of podman's socket, in the folder of its former path."""

UNIT: Final = "storaged-podman.socket"

_PODMAN: Final = "podman.socket"
_DROP_IN: Final = "50-storaged.conf"
_OWNERSHIP: Final = ("SocketMode", "SocketUser", "SocketGroup", "DirectoryMode")
_FOLDERS: Final = {False: "systemd/system", True: "systemd/user"}


class FrontError(Exception):
    """storaged cannot be put in front of podman; the text says why and what to do."""


@frozen(kw_only=True)
class PodmanSocket:
    """The settings of ``podman.socket`` and its drop-ins, without ours: ``path`` as written, with its ``%t``."""

    path: str
    ownership: Mapping[str, str] = Factory(dict)

    @property
    def behind(self) -> str:
        """The new path of podman's socket, as a unit writes it."""
        return os.path.join(os.path.dirname(self.path), BEHIND)


def read_podman_socket(root: str, *, user: bool, configuration: str) -> PodmanSocket:
    """Read the unit as systemd would: the first file with its name, then the drop-ins by their names. Blocking.

    ``configuration`` is the folder with ``systemd/user`` in it, for a user's own units. Search path and order of
    drop-ins: systemd.unit(5), "Unit File Load Path".

    Raises:
        FrontError: there is no such unit, or it listens on no path.
    """
    folders = [os.path.join(root, folder.lstrip("/")) for folder in _search_path(user, configuration)]
    unit = next((path for folder in folders if os.path.isfile(path := os.path.join(folder, _PODMAN))), None)
    if unit is None:
        raise FrontError(f"there is no {_PODMAN} in {', '.join(folders)}: install podman's units first")
    drop_ins: dict[str, str] = {}
    for folder in reversed(folders):
        try:
            names = os.listdir(os.path.join(folder, f"{_PODMAN}.d"))
        except OSError:
            continue
        drop_ins.update((name, os.path.join(folder, f"{_PODMAN}.d", name)) for name in names if name.endswith(".conf"))
    drop_ins.pop(_DROP_IN, None)
    path, settings = "", {}
    for file in (unit, *(drop_ins[name] for name in sorted(drop_ins))):
        for key, value in _socket_section(file):
            if key == "ListenStream":
                path = value if not value or not path else path  # the first after the last empty one
            elif key in _OWNERSHIP:
                settings[key] = value
    if not path.startswith(("/", "%t/")):
        raise FrontError(f"{unit} listens on {path or 'nothing'}, which is not a path that storaged can use")
    return PodmanSocket(path=path, ownership={key: value for key, value in settings.items() if value})


def files(podman: PodmanSocket, folder: str) -> dict[str, str]:
    """The unit and the drop-ins, by their paths in the folder of units."""
    ownership = "".join(f"{key}={value}\n" for key, value in podman.ownership.items())
    return {
        os.path.join(folder, UNIT): (
            "[Unit]\n"
            "Description=Image store REST API socket in front of podman's\n"
            "# The path is podman's until its own socket has moved.\n"
            f"After={_PODMAN}\n\n"
            "[Socket]\n"
            f"ListenStream={podman.path}\n"
            "FileDescriptorName=storaged-api\n"
            "Service=storaged.service\n"
            f"{ownership}"
            "Backlog=128\n\n"
            "[Install]\n"
            "WantedBy=sockets.target\n"
        ),
        os.path.join(folder, f"{_PODMAN}.d", _DROP_IN): f"[Socket]\nListenStream=\nListenStream={podman.behind}\n",
        os.path.join(folder, "storaged.service.d", "50-podman.conf"): f"[Service]\nSockets={UNIT}\n",
    }


def resolved(path: str, runtime: str) -> str:
    """Expand ``%t``, the folder of runtime files, in a unit's path."""
    return runtime + path[2:] if path.startswith("%t/") else path


def _search_path(user: bool, configuration: str) -> Sequence[str]:
    own = [os.path.join(configuration, "systemd/user")] if user else []
    return [*own, *(f"{base}/{_FOLDERS[user]}" for base in ("/etc", "/run", "/usr/local/lib", "/usr/lib", "/lib"))]


def _socket_section(file: str) -> list[tuple[str, str]]:
    """The settings of ``[Socket]``, in order (systemd.syntax(7); podman has no multi-line values)."""
    found, inside = [], False
    for line in Path(file).read_text(encoding="utf-8", errors="replace").splitlines():
        text = line.strip()
        if text.startswith("["):
            inside = text == "[Socket]"
        elif inside and "=" in text and not text.startswith(("#", ";")):
            key, _, value = text.partition("=")
            found.append((key.strip(), value.strip()))
    return found
