"""The daemon's own condition for ``server.info``: who started it, its settings, what it could not do."""

from __future__ import annotations

import shlex
from collections.abc import Callable
from typing import Literal

from msgspec import Struct

from storaged.store.layout.paths import own_dir
from storaged.store.tables import StoreLocation
from storaged.store.writing.recovery import Recovery
from storaged.store.writing.reserve import Reserve
from storaged_client import systemd_units
from storaged_client.contract import types as t

StartedBy = Literal["systemd", "client", "other"]


def _nobody_known() -> StartedBy:
    return "other"


def _no_file() -> str | None:
    return None


class DaemonStatus(Struct, frozen=True, kw_only=True):
    """The condition of one daemon. Everything here blocks for a few system calls."""

    started_by: Callable[[], StartedBy] = _nobody_known
    settings_file: Callable[[], str | None] = _no_file
    read_only: bool = False
    """Whether the operator forbids all changes."""
    recovery: Recovery | None = None
    reserve: Reserve | None = None

    def flaws(self, location: StoreLocation, socket: str, *, writable: bool) -> tuple[t.Flaw, ...]:
        """What the daemon should have done but could not, each with the command to run next."""
        return (*self._unfinished(location, socket, writable), *self._no_reserve(location))

    def _unfinished(self, location: StoreLocation, socket: str, writable: bool) -> tuple[t.Flaw, ...]:
        if self.recovery is None:
            return ()
        restart = systemd_units.restart_command(socket) or f"storaged stop --socket {shlex.quote(socket)}"
        if not writable and self.recovery.pending():
            text = "an earlier daemon left changes unfinished; one that may change the store finishes them"
            return (t.Flaw(name="Unfinished", detail=text, file=own_dir(location.graphroot), command=restart),)
        # The next start finishes it, once the obstacle is gone.
        return tuple(
            t.Flaw(name="Unfinished", detail=f"left unfinished, the next start tries again: {why}", command=restart)
            for why in self.recovery.left
        )

    def _no_reserve(self, location: StoreLocation) -> tuple[t.Flaw, ...]:
        if self.reserve is None or self.reserve.trouble is None:
            return ()
        text = f"a removal may not be possible once the disk is full: {self.reserve.trouble}"
        root = shlex.quote(location.graphroot)
        command = f"df -h {root}; df -i {root}"
        return (t.Flaw(name="NoReserve", detail=text, file=own_dir(location.graphroot), command=command),)
