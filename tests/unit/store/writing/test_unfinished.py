"""What is left of a transaction that died: its own part, never what others need or made since."""

from __future__ import annotations

import pytest

from storaged.store.layout.records import (
    ContainerID,
    ContainerRecord,
    Digest,
    ImageID,
    ImageRecord,
    LayerID,
    LayerRecord,
)
from storaged.store.tables import ContainerRow, ImageRow, LayerRow, StoreTables
from storaged.store.writing.entries import Deletion, EditedItem, Editing
from storaged.store.writing.unfinished import rest_of, standing

GONE, STAYS = ImageID("a" * 64), ImageID("b" * 64)
BASE, MIDDLE, TOP = LayerID("1" * 64), LayerID("2" * 64), LayerID("3" * 64)
BOX = ContainerID("c" * 64)
LAYERS = (LayerRecord(id=BASE), LayerRecord(id=MIDDLE, parent=BASE), LayerRecord(id=TOP, parent=MIDDLE))
ENTRY = Deletion(images=(GONE,), layers=(TOP, MIDDLE, BASE), staging="1")


def tables(
    *,
    images: tuple[ImageRecord, ...] = (),
    layers: tuple[LayerRecord, ...] = LAYERS,
    containers: tuple[ContainerRecord, ...] = (),
    store: int = 0,
) -> StoreTables:
    return StoreTables(
        images=tuple(ImageRow(record=record, store=store, raw=b"") for record in images),
        layers=tuple(LayerRow(record=record, store=0) for record in layers),
        containers=tuple(ContainerRow(record=record, store=0) for record in containers),
    )


def test_a_deletion_whose_images_are_all_there_never_happened() -> None:
    change, orphans = rest_of(ENTRY, tables(images=(ImageRecord(id=GONE, layer=TOP),)))
    assert change.empty
    assert (orphans.layers, orphans.images, orphans.containers) == ((), (), ())


def test_layers_that_nobody_needs_go_children_first() -> None:
    change, orphans = rest_of(ENTRY, tables())
    assert change.layers == (TOP, MIDDLE, BASE)
    assert orphans.images == (GONE,)


def test_layers_that_are_recorded_no_more_may_have_left_files() -> None:
    entry = Deletion(images=(GONE,), layers=(TOP, MIDDLE, BASE), links={TOP: "A" * 26}, staging="1")
    change, orphans = rest_of(entry, tables(layers=LAYERS[:1]))
    assert change.layers == (BASE,)
    assert orphans.layers == (TOP, MIDDLE)
    assert orphans.links == {TOP: "A" * 26}


@pytest.mark.parametrize(
    "user",
    [
        tables(images=(ImageRecord(id=STAYS, layer=MIDDLE),)),
        tables(images=(ImageRecord(id=STAYS, mapped_layers=(MIDDLE,)),)),
        tables(images=(ImageRecord(id=STAYS, layer=MIDDLE),), store=1),
        tables(containers=(ContainerRecord(id=BOX, image=STAYS, layer=MIDDLE),)),
        tables(layers=(*LAYERS, LayerRecord(id=LayerID("4" * 64), parent=MIDDLE))),
    ],
    ids=["an image", "a mapped layer", "an image of an additional store", "a container", "a layer on it"],
)
def test_what_needs_a_layer_since_keeps_it_and_all_below_it(user: StoreTables) -> None:
    change, _ = rest_of(ENTRY, user)
    assert change.layers == (TOP,)


def test_a_layer_that_was_made_again_stays_with_all_below_it() -> None:
    times = dict.fromkeys(ENTRY.layers, "2026-01-01T00:00:00Z")
    again = [LayerRecord(id=layer.id, parent=layer.parent, created=times[layer.id]) for layer in LAYERS]
    again[1] = LayerRecord(id=MIDDLE, parent=BASE, created="2026-01-02T00:00:00Z")
    entry = Deletion(images=(GONE,), layers=(TOP, MIDDLE, BASE), times=times, staging="1")
    change, _ = rest_of(entry, tables(layers=tuple(again)))
    assert change.layers == (TOP,)


def test_an_image_that_lost_the_record_of_its_layer_keeps_the_files() -> None:
    _, orphans = rest_of(ENTRY, tables(images=(ImageRecord(id=STAYS, layer=TOP),), layers=()))
    assert TOP not in orphans.layers


def test_layers_alone_go_only_where_they_were_flagged() -> None:
    entry = Deletion(layers=(TOP, MIDDLE), staging="1")
    assert rest_of(entry, tables())[0].empty
    flagged = (*LAYERS[:2], LayerRecord(id=TOP, parent=MIDDLE, flags={"incomplete": True}))
    assert rest_of(entry, tables(layers=flagged))[0].layers == (TOP,)


def test_containers_go_where_all_images_went_and_stay_where_another_tool_took_one() -> None:
    other = ImageID("d" * 64)
    entry = Deletion(images=(GONE, other), containers=(BOX,), layers=(TOP,), staging="1")
    containers = (ContainerRecord(id=BOX, image=STAYS, layer=TOP),)
    change, _ = rest_of(entry, tables(containers=containers))
    assert (change.containers, change.layers) == ((BOX,), (TOP,))
    change, _ = rest_of(entry, tables(containers=containers, images=(ImageRecord(id=other),)))
    assert change.empty


def test_containers_alone_never_went_while_all_are_there() -> None:
    entry = Deletion(containers=(BOX,), layers=(TOP,), staging="1")
    change, orphans = rest_of(entry, tables(containers=(ContainerRecord(id=BOX, layer=TOP),)))
    assert change.empty
    assert orphans.containers == ()
    change, orphans = rest_of(entry, tables())
    assert change.layers == (TOP,)
    assert orphans.containers == (BOX,)


# -------------------------------------------------------------- edits

OLD, NEW, OTHER = Digest("sha256:old"), Digest("sha256:new"), Digest("sha256:other")
EDIT = Editing(
    image=STAYS,
    members={},
    items=(
        EditedItem(key="manifest", temporary="t1", digest=NEW, before=OLD),
        EditedItem(key="artifacts.json", temporary="t2", digest=NEW, before=None),
    ),
)


def record(**digests: Digest) -> ImageRecord:
    return ImageRecord(id=STAYS, big_data_digests={key.replace("_", "."): digest for key, digest in digests.items()})


@pytest.mark.parametrize(
    ("recorded", "places", "verdict"),
    [
        (None, {"manifest": NEW, "artifacts.json": NEW}, "over"),
        (record(manifest=OLD), {"manifest": OLD, "artifacts.json": None}, "over"),
        (record(manifest=NEW, artifacts_json=NEW), {"manifest": NEW, "artifacts.json": NEW}, "over"),
        (record(manifest=OLD), {"manifest": OLD, "artifacts.json": NEW}, "forward"),
        (record(manifest=OLD), {"manifest": NEW, "artifacts.json": NEW}, "forward"),
        (record(manifest=OTHER), {"manifest": NEW, "artifacts.json": NEW}, "over"),
    ],
    ids=["removed", "before", "done", "first file", "all files", "written by others"],
)
def test_an_edit_goes_on_where_a_file_is_in_its_place_and_nobody_wrote_since(
    recorded: ImageRecord | None, places: dict[str, Digest | None], verdict: str
) -> None:
    assert standing(EDIT, recorded, places) == verdict
