"""Parent and child images by podman's rule, found by fingerprints instead of comparing pairs.

P is a parent of C when both configurations can be read, the ids differ, P's diff ids are a prefix of
C's, and C's history is P's plus exactly one entry. Candidates for the parent of C are the images on
its top layer, then those on that layer's parent; for an image without a top layer the other images
without one that are no lists. The first in the order of the table is *the* parent; all matches
are children. (libimage ``layer_tree.go``: ``parent``, ``children``, ``areParentAndChild``.)

::

    place of P   (top layer, history_key)                              -> diff ids -> images
    place of C   (top layer, history_before_last), (its parent, same)  -> looked up there

A place nearly always has one length of diff ids; each further length costs one more look-up.
Unlike upstream, an image that cannot be read is skipped, and does not end the search.

An image whose configuration cannot be trusted may be the child of every image where its parent would be
searched: on its own layer and on that layer's parent. Upstream then fails for the whole store and prunes
nothing; here only those images are kept. Incomplete images are not among them: a container of their writer
protects the image they are made from, and their layers are kept.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from attrs import frozen

from storaged.snapshot.tree import LayerTree
from storaged.store.layout.contents import ConfigFacts, ImageContent
from storaged.store.layout.records import ImageID, LayerID
from storaged.store.tables import ImageRow

_Place = tuple[LayerID | None, bytes]
_DiffIDs = tuple[str, ...]


@frozen(kw_only=True)
class Lineage:
    """Parents and children, parallel to the images asked for; children in the order of the table."""

    parents: tuple[ImageID | None, ...]
    children: tuple[tuple[ImageID, ...], ...]
    possible_children: tuple[tuple[ImageID, ...], ...]
    """Images that may be children, since their configurations cannot be trusted; in the order of the table. Empty for
    lists, which have no children, and for images whose own configuration cannot be trusted."""


@frozen
class _Seat:
    index: int
    id: ImageID
    node: LayerID | None
    config: ConfigFacts


def relate(rows: Sequence[ImageRow], contents: Sequence[ImageContent], tree: LayerTree) -> Lineage:
    """Find every image's parents and children, in time linear in the images and the children reported."""
    seats = list(_seats(rows, contents, tree))
    places: dict[_Place, dict[_DiffIDs, list[_Seat]]] = {}
    for seat in seats:
        at = places.setdefault((seat.node, seat.config.history_key), {})
        at.setdefault(seat.config.diff_ids, []).append(seat)
    lengths = {place: tuple({len(diff_ids) for diff_ids in at}) for place, at in places.items()}
    parents: list[ImageID | None] = [None] * len(rows)
    found: dict[tuple[_Place, _DiffIDs], dict[ImageID, None]] = {}
    for seat in seats:
        before = seat.config.history_before_last
        if before is None:
            continue
        diff_ids = seat.config.diff_ids
        for node in _candidate_nodes(seat.node, tree):
            place = (node, before)
            best: _Seat | None = None
            for length in lengths.get(place, ()):
                prefix = diff_ids[:length]
                candidates = places[place].get(prefix) if len(prefix) == length else None
                if candidates is None:
                    continue
                found.setdefault((place, prefix), {})[seat.id] = None
                first = next((other for other in candidates if other.id != seat.id), None)
                if first is not None and (best is None or first.index < best.index):
                    best = first
            if best is not None and parents[seat.index] is None:
                parents[seat.index] = best.id
    shared = {key: tuple(ids) for key, ids in found.items()}
    children: list[tuple[ImageID, ...]] = [()] * len(rows)
    for seat in seats:
        key = ((seat.node, seat.config.history_key), seat.config.diff_ids)
        if key in found:
            ids = shared[key]
            children[seat.index] = tuple(i for i in ids if i != seat.id) if seat.id in found[key] else ids
    return Lineage(
        parents=tuple(parents), children=tuple(children), possible_children=_possible_children(rows, contents, tree)
    )


def _possible_children(
    rows: Sequence[ImageRow], contents: Sequence[ImageContent], tree: LayerTree
) -> tuple[tuple[ImageID, ...], ...]:
    """Images in doubt, by image; all images of a layer share one tuple, to save memory."""
    doubts: dict[LayerID | None, dict[ImageID, None]] = {}
    for row, content in zip(rows, contents, strict=True):
        if not content.kin_in_doubt:
            continue
        for node in _candidate_nodes(row.record.layer or None, tree):
            doubts.setdefault(node, {})[row.record.id] = None
    shared = {node: tuple(ids) for node, ids in doubts.items()}
    found: list[tuple[ImageID, ...]] = []
    for row, content in zip(rows, contents, strict=True):
        is_list = content.manifest is not None and content.manifest.is_list
        node = row.record.layer or None
        ids = () if is_list or content.kin_in_doubt else shared.get(node, ())
        if ids and row.record.id in doubts[node]:
            # The image of the same id in another store is in doubt, not this one.
            ids = tuple(other for other in ids if other != row.record.id)
        found.append(ids)
    return tuple(found)


def _seats(rows: Sequence[ImageRow], contents: Sequence[ImageContent], tree: LayerTree) -> Iterable[_Seat]:
    for index, (row, content) in enumerate(zip(rows, contents, strict=True)):
        if content.config is None or (content.manifest is not None and content.manifest.is_list):
            continue
        node = row.record.layer or None
        if node is None or tree.is_node(node):
            yield _Seat(index, row.record.id, node, content.config)


def _candidate_nodes(node: LayerID | None, tree: LayerTree) -> tuple[LayerID | None, ...]:
    if node is None:
        return (None,)
    parent = tree.named_parent(node)
    return (node,) if parent is None or parent == node else (node, parent)
