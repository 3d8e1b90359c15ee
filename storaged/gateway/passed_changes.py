"""Counts changes that podman may have made for our clients, until a read has seen them.

A client that has podman pull an image and then lists images must find it, on whatever connection it asks. The stamp
shows a change that is complete. Beside another writer it may still show the generation before it. So the first read
after each moment at which a client can have learned of a change is ``strict``.
"""

from __future__ import annotations


class PassedChanges:
    """The count of those moments. Lives on the event loop."""

    def __init__(self) -> None:
        self.number = 0
        """How many there have been. A reader takes the number *before* it reads."""
        self._seen = 0

    def moved(self) -> None:
        """Note that from now on a client may know of something that podman changed."""
        self.number += 1

    @property
    def unseen(self) -> bool:
        """Whether the next read must be strict."""
        return self.number != self._seen

    def seen(self, number: int) -> None:
        """Note that a strict read was answered that began when ``number`` was current."""
        self._seen = max(self._seen, number)
