from storaged.snapshot.lookup import split_name, tails
from tests.support.stores import Store, config, digest_of, image_id


def test_names_divide_into_repository_tag_and_digest() -> None:
    assert split_name("localhost/a:1") == ("localhost/a", "1", None)
    assert split_name("host:5000/a") == ("host:5000/a", None, None)
    assert split_name("host:5000/a:1@sha256:ff") == ("host:5000/a", "1", "sha256:ff")
    assert split_name("q.io/a@sha256:ff") == ("q.io/a", None, "sha256:ff")
    assert list(tails("q.io/b/c")) == ["q.io/b/c", "b/c", "c"]


def test_the_writable_store_hides_a_read_only_image_of_the_same_id_with_its_names() -> None:
    store = Store()
    store.image("i", ("localhost/new:1",), config=config())
    store.image("i", ("localhost/old:1",), config=config(), store=1)
    snapshot = store.snapshot()
    assert len(snapshot.images) == 2
    assert snapshot.by_id[image_id("i")].store == 0
    assert "localhost/old:1" not in snapshot.by_name
    assert snapshot.sorted_ids == ((image_id("i"),),)


def test_within_a_store_the_last_record_of_an_id_and_of_a_name_is_found() -> None:
    store = Store()
    store.image("i", ("localhost/a:1",), config=config(), data=1)
    store.image("i", ("localhost/b:1",), config=config(), data=2)
    store.image("j", ("localhost/b:1",), config=config())
    snapshot = store.snapshot()
    assert len(snapshot.images) == 3
    assert snapshot.by_id[image_id("i")].names == ("localhost/b:1",)
    assert snapshot.by_name["localhost/b:1"].id == image_id("j")


def test_the_writable_store_has_a_name_before_a_read_only_one() -> None:
    store = Store()
    store.image("far", ("localhost/a:1",), config=config(), store=1)
    store.image("near", ("localhost/a:1",), config=config())
    assert store.snapshot().by_name["localhost/a:1"].id == image_id("near")


def test_digests_find_every_image_in_store_order() -> None:
    store = Store()
    store.image("a", config=config(), digests=("one", "two"))
    store.image("b", config=config(), digests=("two",))
    found = store.snapshot().by_digest
    assert [image.id for image in found[digest_of("two")]] == [image_id("a"), image_id("b")]


def test_short_names_lead_to_the_first_in_the_order_of_the_store() -> None:
    store = Store()
    store.image("a", ("quay.io/team/app:1",), config=config())
    store.image("b", ("docker.io/team/app:1",), config=config())
    found = store.snapshot().by_suffix
    assert found["app:1"][0] == found["team/app:1"][0] == "quay.io/team/app:1"
    assert found["docker.io/team/app:1"][1].id == image_id("b")
