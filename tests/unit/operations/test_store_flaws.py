from storaged.operations.store_flaws import evidence, flaws
from tests.support.stores import Store, config, image_id, layer_id, missing


def broken() -> Store:
    """A chain whose base is lost, an image on it, an image whose manifest is lost, a list that cannot be read."""
    store = Store()
    store.layer("two", "lost")
    for above, below in (("three", "two"), ("four", "three")):
        store.layer(above, below)
    store.image("app", ("localhost/app:1",), layer="four", config=config())
    store.image("torn", ("localhost/torn:1",), config=config(), damage=(missing("torn"),))
    store.list("list", unreadable=True)
    return store


def test_each_damage_is_told_once_and_a_lost_base_without_all_that_stands_on_it() -> None:
    found = flaws(broken().snapshot())
    assert [(flaw.name, flaw.image) for flaw in found] == [
        ("ParentLayerMissing", None),
        ("ChainBroken", image_id("app")),
        ("manifest_missing", image_id("torn")),
        ("manifest_missing", image_id("list")),
    ]
    assert layer_id("two") in found[0].detail


def test_the_file_of_a_damage_and_the_command_against_unreadable_evidence_are_told() -> None:
    snapshot = broken().snapshot()
    assert [flaw.file for flaw in flaws(snapshot)[1:3]] == [None, "/g/vfs-images/torn/manifest"]
    (found,) = evidence(snapshot)
    assert (found.image, found.command) == (image_id("list"), f"storagectl rmi --force {image_id('list')}")
    assert found.file is not None
