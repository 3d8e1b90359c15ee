"""Where the store is that podman would open: storage.conf and what overrides it, by upstream's rules.

Shared by the clients, which say by it which store they mean, and the daemon, which serves it. Standard library only,
and of that as little as goes: a command asks this each time it starts.
"""

from __future__ import annotations

import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


class Flags:
    """podman's ``--root``, ``--runroot``, ``--storage-driver`` and ``--storage-opt``; None and () are "not given"."""

    __slots__ = ("driver", "options", "root", "runroot")

    def __init__(
        self,
        root: str | None = None,
        runroot: str | None = None,
        driver: str | None = None,
        options: Sequence[str] = (),
    ) -> None:
        self.root = os.path.abspath(root) if root else None
        self.runroot = os.path.abspath(runroot) if runroot else None
        self.driver = driver or None
        self.options = tuple(options)

    def __bool__(self) -> bool:
        return bool(self.root or self.runroot or self.driver or self.options)

    def words(self) -> list[str]:
        """As flags of ``storaged serve``."""
        named = (("--root", self.root), ("--runroot", self.runroot), ("--driver", self.driver))
        words = [word for name, value in named if value for word in (name, value)]
        return words + [f"--storage-opt={option}" for option in self.options]


def acting_uid(env: Mapping[str, str], uid: int) -> int:
    """Whose store it is about: inside podman's user namespace (``podman unshare``) root is the user's."""
    if env.get("_CONTAINERS_USERNS_CONFIGURED") and env.get("_CONTAINERS_ROOTLESS_UID", "").isdigit():
        return int(env["_CONTAINERS_ROOTLESS_UID"])
    return uid
