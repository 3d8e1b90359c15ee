"""Listings: selected rows of one view, and how they are encoded, in one page or many."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any

from attrs import frozen

from storaged.engine.views import View
from storaged.operations import image_list, layer_list
from storaged.service.encoding import value_array
from storaged.snapshot.model import Image, Layer


@frozen(kw_only=True)
class Listing(ABC):
    """The rows that one request selected from its view, in order."""

    method: str
    view: View
    rows: Sequence[Any]
    lasting: bool = True
    """The same question selects the same rows as long as nothing changes."""

    @abstractmethod
    def encode(self, rows: Sequence[Any]) -> list[bytes]:
        """A JSON array of some of the rows, in pieces to be joined."""

    @abstractmethod
    def members(self, rows: list[bytes]) -> list[bytes]:
        """The members of the result around the encoded rows, except ``next_cursor``."""


@frozen(kw_only=True)
class ImageListing(Listing):
    """A listing of images, each with the requested ``fields``, or all of them.

    ``names``: images that are listed with only some of their names, by ``id()`` of the image.
    """

    fields: tuple[str, ...] | None
    names: Mapping[int, tuple[str, ...]]

    def encode(self, rows: Sequence[Image]) -> list[bytes]:
        # Joined: a kept answer is sent again and again, and each of its pieces costs something each time.
        parts = self.view.rows.parts(rows, self.fields, self.names)
        return [parts[0], b"".join(parts[1:-1]), parts[-1]]

    def members(self, rows: list[bytes]) -> list[bytes]:
        return [b'"images":', *rows, b',"sizes_pending":%d' % image_list.sizes_pending(self.rows)]


@frozen(kw_only=True)
class LayerListing(Listing):
    """A listing of layers."""

    def encode(self, rows: Sequence[Layer]) -> list[bytes]:
        return value_array([layer_list.summary(layer) for layer in rows])

    def members(self, rows: list[bytes]) -> list[bytes]:
        return [b'"layers":', *rows]
