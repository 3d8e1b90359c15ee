"""What podman may have changed on our behalf, until a read has seen it.

A client that has podman pull an image and lists images next must find it, on whatever connection it asks. The stamp
shows a change that is complete; beside another writer it may show the generation before it, so such a read is
``strict``: the first one after each moment at which a client can have learnt of a change.
"""

from __future__ import annotations


class PassedChanges:
    """Counts those moments. Lives on the event loop."""

    def __init__(self) -> None:
        self.number = 0
        """How many there were. A reader takes it *before* it reads."""
        self._seen = 0

    def moved(self) -> None:
        """From now on a client may know of something that podman changed."""
        self.number += 1

    @property
    def unseen(self) -> bool:
        """Whether the next read must be strict."""
        return self.number != self._seen

    def seen(self, number: int) -> None:
        """A strict read was answered that began when ``number`` was current."""
        self._seen = max(self._seen, number)
