"""``reference``: what a value matches, how values combine, and the names that are shown."""

import pytest

from storaged.operations.filters.reference import spellings
from tests.support.stores import AMD64, Store, config, digest_of, image_id
from tests.unit.operations.asking import choose, shown

FOO = ("quay.io/ns/foo:v1", "localhost/other:1", "quay.io/ns/foo:v2")
DIGEST = "sha256:" + "1" * 64


def named() -> Store:
    store = Store()
    store.image("a", FOO, config=config())
    store.image("b", (f"registry:5000/x/y@{DIGEST}",), config=config())
    store.image("c", (), config=config())
    store.list("list", ("localhost/list:1",), instances=(("a", AMD64),))
    return store


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        (
            "quay.io/ns/foo:v1",
            {"quay.io/ns/foo:v1", "quay.io/ns/foo", "ns/foo:v1", "ns/foo", "foo:v1", "foo"},
        ),
        (
            f"registry:5000/x/y@{DIGEST}",
            {
                f"registry:5000/x/y@{DIGEST}",
                "registry:5000/x/y",
                f"x/y@{DIGEST}",
                "x/y",
                f"y@{DIGEST}",
                "y",
            },
        ),
        ("localhost:5000/z:1", {"localhost:5000/z:1", "localhost:5000/z", "z:1", "z"}),
        ("a_b/foo:1", {"a_b/foo:1", "a_b/foo", "foo:1", "foo"}),
        ("foo:1", {"foo:1", "foo"}),
        ("bare", {"bare"}),
    ],
)
def test_a_name_is_spelled_in_at_most_six_ways(name: str, expected: set[str]) -> None:
    assert set(spellings(name)) == expected


@pytest.mark.parametrize(
    "value",
    [
        "foo",
        "*foo",
        "ns/foo",
        "foo:v1",
        "*:v1",
        "quay.io/*/foo:v1",
        "quay.io/ns/*",
        "f[m-p]o",
        "quay.io[^a]ns/foo",
        "fo\\o",
        image_id("a")[:9],
        f"sha256:{image_id('a')}",
        f"quay.io/ns/foo@{digest_of('a')}",
    ],
)
def test_a_value_matches_as_in_podman(value: str) -> None:
    assert choose(named(), f"reference={value}") == ["a"]


@pytest.mark.parametrize("value", ["v*", "quay.io/*", "quay.io/ns", "", "foo:v3", "FOO", "localhost/none:1", "f?"])
def test_a_value_does_not_match_as_in_podman(value: str) -> None:
    assert choose(named(), f"reference={value}") == []
    assert choose(named(), f"reference!={value}") == ["a", "b", "c", "list"]


def test_one_of_several_values_must_match_and_no_negated_one() -> None:
    store = named()
    assert choose(store, "reference=foo", "reference=y", "reference=none") == ["a", "b"]
    assert choose(store, "reference=foo", "reference=y", "reference!=other") == ["b"]
    assert choose(store, "reference!=foo", "reference!=y") == ["c", "list"]
    assert choose(store, "reference=foo", "reference=y", "manifest=true") == []


def test_an_id_of_two_stores_matches_both_records() -> None:
    store = Store()
    store.image("a", ("quay.io/a:1",), config=config())
    store.image("a", ("quay.io/b:1",), config=config(), store=1)
    assert choose(store, f"reference={image_id('a')[:12]}") == ["a", "a"]


def test_one_full_name_is_answered_with_that_name_alone() -> None:
    store = named()
    assert shown(store, "reference=quay.io/ns/foo:v1") == {"a": ("quay.io/ns/foo:v1",)}
    assert shown(store, "reference=quay.io/ns/foo:v1", "label!=x") == {"a": ("quay.io/ns/foo:v1",)}
    asked = f"reference=quay.io/ns/foo@{digest_of('a')}"
    assert shown(store, asked) == {"a": ("quay.io/ns/foo:v1", "quay.io/ns/foo:v2")}


@pytest.mark.parametrize(
    "filters",
    [
        ("reference=foo:v1",),
        ("reference=quay.io/ns/foo",),
        ("reference=quay.io/ns/fo?:v1",),
        ("reference=quay.io/ns/foo:v1", "reference=quay.io/none:1"),
        ("reference=quay.io/ns/foo:v1", "reference!=none"),
        ("id!=x",),
    ],
)
def test_anything_else_is_answered_with_all_names(filters: tuple[str, ...]) -> None:
    assert shown(named(), *filters)["a"] == FOO


def test_a_list_matches_with_its_instance_here_which_keeps_its_names() -> None:
    assert shown(named(), "reference=localhost/list:1") == {"a": FOO, "list": ("localhost/list:1",)}


def test_stored_names_that_are_no_references_disturb_nothing() -> None:
    store = named()
    store.image("d", ("with space:1", "UPPER/x"), config=config())
    assert choose(store, "reference=foo") == ["a"]
    assert choose(store, "reference=with*") == ["d"]
    assert choose(store, "reference=x") == ["d"]


def test_a_pattern_matches_the_name_of_a_copy_that_another_record_of_its_id_hides() -> None:
    store = Store()
    store.image("a", ("localhost/own:1",), config=config())
    store.image("a", ("localhost/copy:1",), config=config(), store=1)
    assert "localhost/copy:1" not in store.snapshot().by_name
    assert choose(store, "reference=*/copy:*") == choose(store, "reference!=*/own:*") != []
