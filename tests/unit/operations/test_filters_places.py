"""``in-list``, ``layer``, ``containers`` and ``unique-size``."""

import pytest

from tests.support.stores import AMD64, Store, config, digest_of, family, image_id, layer_id
from tests.unit.operations.asking import choose, refused

PODMAN = '{"image-name":"x","name":"one"}'


def listed() -> Store:
    store = family()
    store.image("a", ("localhost/a:1",), config=config(), digests=("first", "second"))
    store.list("list", ("localhost/list:1",), instances=(("app", AMD64), ("second", AMD64)))
    return store


@pytest.mark.parametrize("name", ["localhost/list:1", "list:1", image_id("list")[:10], digest_of("list")])
def test_in_list_names_the_images_of_a_list_by_any_digest(name: str) -> None:
    assert choose(listed(), f"in-list={name}") == ["app", "a"]
    assert choose(listed(), f"in-list!={name}") == ["base", "label", "list"]


@pytest.mark.parametrize(
    ("name", "words"), [("none:1", "image not known"), ("localhost/a:1", "not a manifest list"), ("", "reference")]
)
def test_a_list_that_is_none_is_refused(name: str, words: str) -> None:
    error = refused(listed(), f"in-list={name}")
    assert "could not find local manifest list" in error.message
    assert words in error.message
    assert error.data["path"] == "$.filters[0].value"


def test_layer_finds_every_image_whose_chain_contains_it() -> None:
    store = listed()
    assert choose(store, f"layer={layer_id('one')}") == ["base", "app", "label"]
    assert choose(store, f"layer={layer_id('two')}") == ["app", "label"]
    assert choose(store, f"layer={layer_id('two')[:10]}") == ["app", "label"]
    assert choose(store, f"layer!={layer_id('two')}") == ["base", "a", "list"]


def test_a_layer_that_is_none_or_several_is_refused() -> None:
    store = listed()
    for number in range(17):
        store.layer(f"more{number}")
    assert "layer not known" in refused(store, f"layer={image_id('none')}").message
    assert "layer not known" in refused(store, "layer=").message
    several = next(digit for digit in "0123456789abcdef" if sum(row.id.startswith(digit) for row in _layers(store)) > 1)
    assert "is the beginning of" in refused(store, f"layer={several}").message


def _layers(store: Store) -> list:
    return [row.record for row in store.layers]


def used() -> Store:
    store = Store()
    for name in "abcd":
        store.image(name, config=config())
    store.container("one", "a", metadata=PODMAN)
    store.container("b-working-container", "b", volatile=True)
    store.container("c-working-container", "c", volatile=True)
    store.container("two", "c", metadata=PODMAN)
    return store


@pytest.mark.parametrize(
    ("filters", "expected"),
    [
        (("containers=true",), "abc"),
        (("containers=false",), "d"),
        (("containers!=true",), "d"),
        (({"key": "containers", "value": True},), "abc"),
        (("containers=external",), "bd"),
        (("containers!=external",), "ac"),
        (("containers=external", "containers=true"), "b"),
        (("containers=true", "containers!=false"), "abc"),
    ],
)
def test_containers_are_told_by_their_owner(filters, expected: str) -> None:
    assert "".join(choose(used(), *filters)) == expected


def sized() -> Store:
    store = Store()
    for name, size in {"a": 999, "b": 1000, "c": 1024, "d": 1536 * 1024, "e": None}.items():
        store.layer(name, size=size)
        store.image(name, layer=name, config=config(), data=0)
    return store


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        ("unique-size>1000", "cd"),
        ("unique-size>1kB", "cd"),
        ("unique-size>=1k", "bcd"),
        ("unique-size<1000B", "a"),
        ("unique-size<1KiB", "ab"),
        ("unique-size<=1ki", "abc"),
        ("unique-size >1.5MB", None),
        ("unique-size> 1.5 MiB", ""),
        ("unique-size>=1.5MiB", "d"),
        ("unique-size>1.5MB", "d"),
        ("unique-size!>1000", "ab"),
        ("unique-size!=>1000", "ab"),
        ({"key": "unique-size", "value": ">1000", "negate": True}, "ab"),
    ],
)
def test_unique_size_compares_and_never_matches_what_is_not_known(asked, expected: str | None) -> None:
    if expected is None:
        assert refused(sized(), asked).data["path"] in ("$.filters[0]", "$.filters[0].key")
    else:
        assert "".join(choose(sized(), asked)) == expected


@pytest.mark.parametrize("value", ["=5", "=", ">", ">x", ">5XB", ">-5", ">5iB", ">1e9", "=>5=", f">{'9' * 400}"])
def test_what_is_no_comparison_with_a_size_is_refused(value: str) -> None:
    error = refused(sized(), f"unique-size{value}")
    assert error.data["path"] == "$.filters[0].value"
    assert "unique-size>100MB" in error.message
