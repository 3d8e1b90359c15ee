"""Whether the current snapshot shows every change of our own.

Between a commit whose result could not be taken over and the next load it does not: what it shows may be gone, and
whoever promises to keep something of it must wait.
"""

from __future__ import annotations

import anyio

from storaged.engine.reloads import RETRY, Reloads


class PendingReadback:
    """Belongs to the event loop."""

    def __init__(self, reloads: Reloads) -> None:
        self._reloads = reloads
        self._needed: int | None = None
        """The load that shows the last change of our own, where none has yet."""

    @property
    def lasts(self) -> bool:
        """Whether something of ours is not read back yet."""
        if self._needed is not None and self._reloads.satisfies(self._needed):
            self._needed = None
        return self._needed is not None

    def begin(self) -> None:
        """A change of our own was written and is not read back yet. Returns at once."""
        self._needed = self._reloads.started + 1
        self._reloads.want()

    async def over(self) -> None:
        """Wait until it is."""
        while self.lasts:
            await self._reloads.round()
            if self.lasts:
                await anyio.sleep(RETRY[1])
