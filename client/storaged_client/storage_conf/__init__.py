"""Finds the store that podman would open: storage.conf and its overrides, by upstream's rules.

The clients use it to say which store they mean, the daemon to find the store it serves. It imports only a little of the
standard library, because every command runs it at its start.
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
        """The same as flags of ``storaged serve``."""
        named = (("--root", self.root), ("--runroot", self.runroot), ("--driver", self.driver))
        words = [word for name, value in named if value for word in (name, value)]
        return words + [f"--storage-opt={option}" for option in self.options]


def acting_uid(env: Mapping[str, str], uid: int) -> int:
    """The uid whose store is meant: inside podman's user namespace (``podman unshare``), root is the user."""
    if env.get("_CONTAINERS_USERNS_CONFIGURED") and env.get("_CONTAINERS_ROOTLESS_UID", "").isdigit():
        return int(env["_CONTAINERS_ROOTLESS_UID"])
    return uid
