"""What is JSON already of single images, for as long as those stay what they are.

A snapshot takes over the images that did not change from the one before, as the same objects. So what was encoded of
them serves on, and after a change only what it changed is encoded again. What nobody asked for longest goes first.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import Final

from storaged.snapshot.model import Image

MAX_BYTES: Final = 12 << 20
"""Bytes kept at most: two looks at each image of the largest store reported."""

_BESIDES: Final = 400
"""Bytes that an entry takes besides its text."""


class ImageTexts:
    """Of one store. Belongs to the event loop."""

    def __init__(self, room: int = MAX_BYTES) -> None:
        self._texts: OrderedDict[tuple[str, int], tuple[Image, bytes]] = OrderedDict()
        self._left = room

    def find(self, kind: str, image: Image) -> bytes | None:
        """What was kept of this very image as this kind of text."""
        key = (kind, id(image))
        found = self._texts.get(key)
        if found is None:
            return None
        self._texts.move_to_end(key)
        return found[1]

    def keep(self, kind: str, image: Image, text: bytes) -> bytes:
        """Keep a text of which the image alone decides; returns it."""
        # The entry holds the image, so no other one gets its identity.
        self._left -= len(text) + _BESIDES
        replaced = self._texts.pop((kind, id(image)), None)
        if replaced is not None:
            self._left += len(replaced[1]) + _BESIDES
        self._texts[kind, id(image)] = (image, text)
        while self._left < 0 and len(self._texts) > 1:
            _, (_, oldest) = self._texts.popitem(last=False)
            self._left += len(oldest) + _BESIDES
        return text
