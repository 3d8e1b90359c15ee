"""The images of a snapshot: records with their content and relations.

Unchanged values are shared with the previous snapshot: after most changes of a store these are nearly all.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from attrs import frozen

from storaged.snapshot.digests import Membership, image_digests, shown_digest
from storaged.snapshot.model import Image, Snapshot
from storaged.snapshot.relations import Lineage
from storaged.snapshot.sizes import Sizes
from storaged.snapshot.tree import Damage, LayerTree
from storaged.store.layout.contents import ImageContent
from storaged.store.layout.records import ContainerID, ImageID, LayerID
from storaged.store.tables import ImageRow


@frozen(kw_only=True)
class Relations:
    """The relations of the shown images; the sequences are parallel to their rows."""

    tree: LayerTree
    lineage: Lineage
    sizes: Sequence[Sizes]
    lists: Membership
    containers: Mapping[ImageID, tuple[ContainerID, ...]]
    provable: bool


def same_lineage(same: Snapshot, contents: Sequence[ImageContent]) -> Lineage | None:
    """The lineage of a snapshot with the same images and layers; None if the content of an image has changed."""
    if any(image.content is not content for image, content in zip(same.images, contents, strict=True)):
        return None
    return Lineage(
        parents=tuple([image.parent for image in same.images]),
        children=tuple([image.children for image in same.images]),
        possible_children=tuple([image.possible_children for image in same.images]),
    )


def make_image(at: int, row: ImageRow, content: ImageContent, relations: Relations, kept: Image | None) -> Image:
    """``kept`` is the value of the same record in the previous snapshot; it is returned if nothing has changed."""
    record = row.record
    digests = kept.digests if kept is not None else image_digests(record)
    children = relations.lineage.children[at]
    possible_children = relations.lineage.possible_children[at]
    in_lists = relations.lists.lists_of(digests)
    # Without its own configuration, or theirs, it is unknown whether an image has children.
    judged = not (content.kin_in_doubt or possible_children)
    top = record.layer or None
    chain = relations.tree.chains.get(top) if top is not None else None
    sizes = relations.sizes[at]
    dangling = relations.provable and judged and not (record.names or children or in_lists)
    containers = relations.containers.get(record.id, ())
    damage = _image_damage(content, top, relations.tree)
    if (
        kept is not None
        and kept.store == row.store
        and kept.content is content
        and kept.chain is chain
        and (kept.size, kept.unique_size, kept.size_pending) == (sizes.size, sizes.unique, sizes.pending)
        and (kept.parent, kept.children, kept.possible_children)
        == (relations.lineage.parents[at], children, possible_children)
        and (kept.in_lists, kept.containers, kept.dangling) == (in_lists, containers, dangling)
        and kept.damage == damage
    ):
        return kept
    return Image(
        record=record,
        store=row.store,
        content=content,
        digests=digests,
        digest=shown_digest(record, content),
        parent=relations.lineage.parents[at],
        children=children,
        possible_children=possible_children,
        containers=containers,
        in_lists=in_lists,
        chain=chain,
        size=sizes.size,
        unique_size=sizes.unique,
        size_pending=sizes.pending,
        dangling=dangling,
        damage=damage,
    )


def _image_damage(content: ImageContent, top: LayerID | None, tree: LayerTree) -> Damage | None:
    if content.damage:
        return Damage(name=content.damage[0].name, detail=content.damage[0].detail)
    return tree.image_damage(top) if top is not None else None
