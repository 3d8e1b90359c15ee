"""Filters on an image's relations: ``in-list``, ``layer``, ``containers``; and on its unshared size:
``unique-size``."""

from __future__ import annotations

import operator
import re
from collections.abc import Callable
from fractions import Fraction
from typing import Final

from storaged.operations.filters.language import Asked, FilterContext, Test
from storaged.operations.name_lookup import shortened
from storaged.operations.resolving import find
from storaged.snapshot.model import Image, Snapshot
from storaged.store.layout.records import LayerID
from storaged_client.contract.errors import AmbiguousName, ImageDamaged, ImageUnknown, InvalidName, NotAManifestList

_LISTED_IDS: Final = 5
"""The maximum number of ids in the error of an ambiguous beginning."""

_COMPARISONS: Final[dict[str, Callable[[int, Fraction], bool]]] = {
    ">": operator.gt,
    "<": operator.lt,
    ">=": operator.ge,
    "<=": operator.le,
}
_SIZE: Final = re.compile(
    r"\s*([<>]=?)\s*(\d{1,18}(?:\.\d{1,18})?)\s*(?:([kmgtpe]?)(i?)b?)\s*", re.ASCII | re.IGNORECASE
)
_POWERS: Final = " kmgtpe"


def in_list(asked: Asked, query_context: FilterContext) -> Test:
    """A manifest list names it, by any of its digests.

    Raises:
        InvalidParams: the list does not exist.
    """
    name = asked.text()
    try:
        found = find(query_context.snapshot, name, manifest=True, or_list=True, view=query_context.view).image
    except (ImageUnknown, NotAManifestList, ImageDamaged, AmbiguousName, InvalidName) as error:
        raise asked.wrong(
            f'could not find local manifest list for filter "in-list"="{shortened(name)}": {error.message}'
        ) from error
    list_id = found.id
    return lambda image: list_id in image.in_lists


def layer(asked: Asked, query_context: FilterContext) -> Test:
    """Its chain contains a layer, given by its id or the beginning of it.

    Raises:
        InvalidParams: no layer, or several, have such an id.
    """
    above = _standing_on(query_context.snapshot, _layer(asked, query_context.snapshot))
    return lambda image: image.chain is not None and image.chain.layer in above


def containers(asked: Asked, query_context: FilterContext) -> Test:
    """``true``: containers of any tool use it. ``external``: all that use it, if any, belong to tools other than
    podman.

    podman asks its own database which containers are external; here the record shows the owner (``snapshot.owners``),
    so one that podman has lost but not removed still counts as podman's.

    Raises:
        InvalidParams: another value.
    """
    if asked.value == "external":
        known = query_context.snapshot.container_by_id
        return lambda image: all(known[container].owner != "podman" for container in image.containers)
    return lambda image: bool(image.containers)


def unique_size(asked: Asked, query_context: FilterContext) -> Test:
    """The size that only it uses is above, or below, a size; unknown while a size is.

    Raises:
        InvalidParams: the value is not a comparison with a size.
    """
    text = asked.text()
    found = _SIZE.fullmatch(text)
    if found is None or (found[4] and not found[3]):
        raise asked.wrong(
            f'"{shortened(text)}" does not compare a size: write unique-size>100MB, unique-size<1.5GiB or '
            "unique-size>5000 (bytes)"
        )
    sign, number, unit, binary = found.groups()
    compare = _COMPARISONS[sign]
    base = 1024 if binary else 1000
    limit = Fraction(number) * base ** (_POWERS.index(unit.lower()) if unit else 0)

    def test(image: Image) -> bool | None:
        return None if image.unique_size is None else compare(image.unique_size, limit)

    return test


def _layer(asked: Asked, snapshot: Snapshot) -> LayerID:
    text = asked.text()
    if text in snapshot.layer_by_id:
        return LayerID(text)
    fitting = [layer_id for layer_id in snapshot.layer_by_id if layer_id.startswith(text)] if text else []
    if len(fitting) == 1:
        return fitting[0]
    if fitting:
        raise asked.wrong(
            f'"{shortened(text)}" is the beginning of {len(fitting)} layer ids, give more digits: '
            f"{', '.join(sorted(fitting)[:_LISTED_IDS])}"
        )
    raise asked.wrong(f'could not find layer for filter "layer"="{shortened(text)}": layer not known')


def _standing_on(snapshot: Snapshot, base: LayerID) -> set[LayerID]:
    """The layer and all above it: the cost depends on their number, not on that of the images."""
    found: set[LayerID] = set()
    waiting = [base]
    while waiting:
        layer_id = waiting.pop()
        if layer_id not in found:
            found.add(layer_id)
            waiting.extend(snapshot.layer_by_id[layer_id].children)
    return found
