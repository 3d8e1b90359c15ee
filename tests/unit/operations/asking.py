"""A listing asked of a store that is a value."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from storaged.operations.image_list import Selection, select
from storaged.operations.query_context import QueryContext
from storaged_client.contract.errors import InvalidParams
from storaged_client.contract.params import ImagesList
from tests.support.stores import HERE, Store, image_id

NOW = datetime(2026, 6, 1, 12, 0, 0, 500000, tzinfo=UTC)

NAMES = ("base", "app", "label", "l", "far", "list", "torn", "lost", *"abcdefgh")
_KNOWN = {image_id(name): name for name in NAMES}


def listed(
    store: Store, *filters: object, now: datetime = NOW, view: QueryContext = HERE, **params: object
) -> Selection:
    """The selection of all images, intermediate ones too."""
    return select(store.snapshot(), ImagesList(filters=filters, **{"all": True, **params}), view, now)


def choose(store: Store, *filters: object, now: datetime = NOW, **params: object) -> list[str]:
    """The same by the names that the store was made with, in order."""
    return [_KNOWN[image.id] for image in listed(store, *filters, now=now, **params).images]


def shown(store: Store, *filters: object, **params: object) -> dict[str, tuple[str, ...]]:
    """The names with which each image answers."""
    selection = listed(store, *filters, **params)
    return {_KNOWN[image.id]: selection.names.get(id(image), image.names) for image in selection.images}


def refused(store: Store, *filters: object) -> InvalidParams:
    """The error."""
    with pytest.raises(InvalidParams) as caught:
        listed(store, *filters)
    return caught.value
