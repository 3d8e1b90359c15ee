"""A change carried out on a store that is a value, as the writer would on a disk."""

from __future__ import annotations

from msgspec import structs

from storaged.store.changes import Change, ImageEdit
from storaged.store.layout.contents import ImageContent, ManifestFacts
from storaged.store.layout.records import ImageRecord
from storaged.store.tables import ImageRow

from .stores import Store


def apply(store: Store, change: Change) -> Store:
    """The store afterwards. What the change names must be in the writable store, each thing once."""
    images = [row.record.id for row in store.images if row.store == 0]
    assert all(images.count(name) == 1 for name in change.removed)
    layers = {row.record.id for row in store.layers if row.store == 0}
    assert layers.issuperset(change.layers)
    assert len(set(change.layers)) == len(change.layers)
    assert {row.record.id for row in store.containers}.issuperset(change.containers)
    kept = [
        (row, content)
        for row, content in zip(store.images, store.contents, strict=True)
        if row.store or row.record.id not in change.removed
    ]
    edits = {edit.image: edit for edit in change.edits}
    assert len(edits) == len(change.edits)
    after = Store(
        images=[_edited(row, edits.get(row.record.id)) if row.store == 0 else row for row, _ in kept],
        contents=[content for _, content in kept],
        layers=[row for row in store.layers if row.store or row.record.id not in change.layers],
        containers=[row for row in store.containers if row.record.id not in change.containers],
        flaws=list(store.flaws),
        proven=store.proven,
    )
    for new in change.added:
        members = {name.replace("-", "_"): value for name, value in new.members.items()}
        after.images.insert(0, ImageRow(record=ImageRecord(**members), store=0, raw=b""))
        manifest = ManifestFacts(media_type=None, is_list=False, annotations={})
        after.contents.insert(0, ImageContent(manifest=manifest))
    return after


def _edited(row: ImageRow, edit: ImageEdit | None) -> ImageRow:
    if edit is None:
        return row
    members = {name.replace("-", "_"): value for name, value in edit.members.items()}
    return ImageRow(record=structs.replace(row.record, **members), store=0, raw=b"")
