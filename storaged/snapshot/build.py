"""Builds a snapshot from tables and contents: every relation is computed once, in linear time.

The order: the layer forest, the records to show, their relations (lineage, lists, containers, sizes), the images, the
indexes over them.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from storaged.snapshot.digests import membership
from storaged.snapshot.evidence import find_evidence
from storaged.snapshot.growth import grow
from storaged.snapshot.images import Relations, make_image, same_lineage
from storaged.snapshot.layers import group, make_layers
from storaged.snapshot.lookup import index
from storaged.snapshot.model import Container, Snapshot
from storaged.snapshot.owners import guess_owner
from storaged.snapshot.relations import relate
from storaged.snapshot.remeasure import remeasure, uses_of
from storaged.snapshot.sizes import NOTHING_MEASURED, KnownSizes, Sizes, Uses, measure, top_layers
from storaged.snapshot.tree import LayerTree, StoreFlaw, build_tree
from storaged.store.layout.contents import ImageContent
from storaged.store.layout.records import ImageID
from storaged.store.tables import ContainerRow, RecordFlaw, StoreTables


def build(
    tables: StoreTables,
    contents: Sequence[ImageContent],
    *,
    generation: str,
    previous: Snapshot | None,
    base: Snapshot | None = None,
    known_sizes: KnownSizes = NOTHING_MEASURED,
) -> Snapshot:
    """Build the snapshot of one state of the tables; ``contents`` is parallel to ``tables.images``.

    ``previous`` has what was last known of lists that cannot be read now. Values that are equal again are shared with
    ``base``, by default ``previous``; it may be of a state that never was. ``known_sizes`` are those of layers whose
    records have none.

    Raises:
        ValueError: ``contents`` is not parallel to the images.
    """
    shown = [at for at, content in enumerate(contents) if not content.half_made]
    half_made = [row.record.id for row, content in zip(tables.images, contents, strict=True) if content.half_made]
    rows = [tables.images[at] for at in shown]
    seen = [contents[at] for at in shown]
    evidence = tuple(find_evidence(rows, seen, tables.flaws))
    base = base or previous
    before = base.forest if base is not None else None
    growth = grow(before, tables.layers) if before is not None else None
    tree = growth.after if growth is not None else build_tree(tables.layers, before)
    containers = tuple(_containers(tables.containers))
    uses = uses_of(tables.images, contents, containers)
    same = base if base is not None and _same(base, tree, known_sizes, uses) else None
    if same is None:
        measured = None
        if growth is not None and base is not None:
            measured = remeasure(base, growth, tables.images, uses, known_sizes)
        if measured is None:
            users = [container.record.layer for container in containers if container.record.layer]
            measured = measure(tables.images, tree, users, known_sizes)
        sizes = [measured[at] for at in shown]
    else:
        sizes = [Sizes(image.size, image.unique_size, image.size_pending) for image in same.images]
    lists = membership(rows, seen, tables.flaws, previous.last_lists if previous is not None else {})
    lineage = same_lineage(same, seen) if same is not None else None
    relations = Relations(
        tree=tree,
        lineage=lineage or relate(rows, seen, tree),
        sizes=sizes,
        lists=lists,
        containers=group((c.record.image, c.id) for c in containers),
        provable=tables.proven and not evidence,
    )
    # A record with the same bytes is the same object after the next decoding, and lives as long.
    kept = {id(image.record): image for image in base.images} if base is not None else {}
    images = tuple(
        make_image(at, row, content, relations, kept.get(id(row.record)))
        for at, (row, content) in enumerate(zip(rows, seen, strict=True))
    )
    if same is None:
        layers, layer_by_id = make_layers(tree, rows, containers, known_sizes, base, growth)
    else:
        layers, layer_by_id = same.layers, same.layer_by_id
    indexes = index(images)
    return Snapshot(
        generation=generation,
        proven=tables.proven,
        images=images,
        half_made=tuple(dict.fromkeys(half_made)),
        half_made_names={
            name: row.record
            for row, content in zip(tables.images, contents, strict=True)
            if content.half_made and row.store == 0
            for name in row.record.names or ()
        },
        half_made_layers=frozenset(
            layer
            for row, content in zip(tables.images, contents, strict=True)
            if content.half_made
            for layer in top_layers(row.record)
        ),
        layers=layers,
        containers=containers,
        lists=tuple(image for image in images if image.is_list),
        evidence=evidence,
        flaws=(*_record_flaws(tables.flaws), *tree.flaws),
        by_id=indexes.by_id,
        by_name=indexes.by_name,
        by_digest=indexes.by_digest,
        sorted_ids=indexes.sorted_ids,
        by_suffix=indexes.by_suffix,
        layer_by_id=layer_by_id,
        container_by_id={container.id: container for container in containers},
        referenced=lists.referenced,
        last_lists=lists.last_lists,
        known_sizes=known_sizes,
        forest=tree,
        uses=uses,
    )


def _same(previous: Snapshot, tree: LayerTree, sizes: KnownSizes, uses: Uses) -> bool:
    return previous.forest is tree and previous.known_sizes is sizes and previous.uses == uses


def _containers(rows: Iterable[ContainerRow]) -> Iterator[Container]:
    for row in rows:
        owner = guess_owner(row.record, volatile=row.volatile)
        yield Container(record=row.record, store=row.store, volatile=row.volatile, owner=owner)


def _record_flaws(flaws: Iterable[RecordFlaw]) -> Iterator[StoreFlaw]:
    for flaw in flaws:
        yield StoreFlaw(
            name="RecordUndecodable",
            detail=f"record {flaw.index} of the table of {flaw.table}: {flaw.detail}",
            file=flaw.file,
            image=ImageID(flaw.id) if flaw.id is not None and flaw.table == "images" else None,
        )
