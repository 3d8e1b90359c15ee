"""``images.list``: selects and orders images, and makes a row for each."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, cast

import msgspec
from attrs import fields
from msgspec import Struct

from storaged.operations.filters import compile_filters
from storaged.operations.filters.language import FilterContext
from storaged.operations.query_context import QueryContext
from storaged.snapshot.lookup import split_name
from storaged.snapshot.model import Image, Snapshot
from storaged_client.contract.errors import InvalidParams
from storaged_client.contract.params import ImagesList
from storaged_client.contract.types import Damage, ImageSummary, Timestamp
from storaged_client.times import instant

_FIELDS = tuple(member.name for member in fields(ImageSummary))


class Selection(Struct, frozen=True, kw_only=True):
    """The images of a listing, in order."""

    images: tuple[Image, ...]
    names: Mapping[int, tuple[str, ...]] = msgspec.field(default_factory=dict)
    """For images that answer only with some of their names (see ``filters.reference``): by ``id()`` of the image,
    because two records of one store may have the same id."""
    lasting: bool = True
    """The selection stays the same as long as nothing changes: it does not depend on the time of day."""


def select(snapshot: Snapshot, params: ImagesList, view: QueryContext, now: datetime) -> Selection:
    """Select and order the images of a listing; the caller does the paging.

    Without ``all``, intermediate images are left out, unless a filter asks for them in any spelling. ``now`` is aware:
    durations of filters count back from it, and dates without a zone are in its zone.

    Raises:
        InvalidParams: a filter or the order is wrong.
    """
    chosen = compile_filters(params.filters, FilterContext(snapshot=snapshot, view=view, now=now))
    hide = not params.all and not chosen.flags.get("intermediate", False)
    images = snapshot.listed if hide else snapshot.images
    for test in chosen.tests:
        images = tuple(image for image in images if test(image))
    names: dict[int, tuple[str, ...]] = {}
    if chosen.references is not None and chosen.references.query is not None:
        shown = ((image, chosen.references.names(image)) for image in images)
        names = {id(image): some for image, some in shown if some != image.names}
    if params.sort == "store":
        return Selection(images=images, names=names, lasting=chosen.lasting)
    order = _ORDERS.get(params.sort)
    if order is None:
        raise InvalidParams(f"sort is one of store, {', '.join(_ORDERS)}", path="$.sort")
    ordered = sorted(images, key=lambda image: order(image, names.get(id(image), image.names)))
    return Selection(images=tuple(ordered), names=names, lasting=chosen.lasting)


def check_fields(names: Sequence[str] | None) -> tuple[str, ...] | None:
    """The requested members of a row, each once; None for all.

    Raises:
        InvalidParams: a row has no such member.
    """
    if names is None:
        return None
    if len(names) > 4 * len(_FIELDS):
        raise InvalidParams(f"{len(names)} fields are too many: an image has {len(_FIELDS)}", path="$.fields")
    for at, name in enumerate(names):
        if name not in _FIELDS:
            raise InvalidParams(
                f'an image has no field "{name[:100]}"; it has {", ".join(_FIELDS)}', path=f"$.fields[{at}]"
            )
    return tuple(dict.fromkeys(names))


def sizes_pending(images: Iterable[Image]) -> int:
    """The number of images whose size is still to be measured. A size that can never be known does not count."""
    return sum([image.size_pending for image in images])


def summary(snapshot: Snapshot, image: Image) -> ImageSummary:
    """One row. A list has no labels and no platform."""
    record = image.record
    config = image.content.config if not image.is_list else None
    damage = image.damage
    return ImageSummary(
        id=image.id,
        digest=image.digest,
        digests=image.digests,
        names=image.names,
        names_history=record.names_history or (),
        created=cast("Timestamp", record.created),
        size=image.size,
        unique_size=image.unique_size,
        labels=config.labels if config is not None else None,
        architecture=config.architecture if config is not None else None,
        os=config.os if config is not None else None,
        variant=config.variant if config is not None else None,
        parent=image.parent,
        children=len(image.children),
        containers=len(image.containers),
        read_only=image.read_only,
        manifest_list=image.is_list,
        dangling=image.dangling,
        intermediate=image.intermediate,
        in_lists=image.in_lists,
        damage=Damage(name=damage.name, detail=damage.detail) if damage is not None else None,
    )


def _newest_first(image: Image, names: tuple[str, ...]) -> tuple[int, int]:
    try:
        seconds, nanoseconds = instant(image.record.created)
    except ValueError:
        return 1 << 62, 0
    return -seconds, -nanoseconds


def _repository(image: Image, names: tuple[str, ...]) -> tuple[str, str]:
    """From the newest name; ``<none>`` as podman prints it."""
    if not names:
        return "<none>", "<none>"
    repository, tag, _ = split_name(names[0])
    return repository, tag or "<none>"


def _tag(image: Image, names: tuple[str, ...]) -> str:
    return _repository(image, names)[1]


def _size(image: Image, names: tuple[str, ...]) -> tuple[bool, int]:
    return image.size is None, image.size or 0


def _id(image: Image, names: tuple[str, ...]) -> str:
    return image.id


_ORDERS: dict[str, Callable[[Image, tuple[str, ...]], Any]] = {
    "created": _newest_first,
    "id": _id,
    "repository": _repository,
    "size": _size,
    "tag": _tag,
}
"""Stable: equal images keep the order of the store."""
