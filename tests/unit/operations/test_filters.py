import pytest

from storaged.errors import InvalidParams
from storaged.operations.filters import LONGEST_PATTERN, MOST_FILTERS, NOT_YET_SERVED, compile_filters
from storaged.operations.listing import select
from storaged_client.contract.params import ImagesList
from tests.unit.snapshot.stores import Store, config, family, image_id


def labelled() -> Store:
    store = family()
    store.image("l", ("localhost/l:1",), config=config(labels={"a": "b", "io.x/team": "core"}))
    store.image("far", ("localhost/far:1",), config=config(labels={"a": "c"}), store=1)
    store.list("list", ("localhost/list:1",))
    return store


def chosen(*filters: object) -> set[str]:
    known = {image_id(name): name for name in ("base", "app", "label", "l", "far", "list")}
    params = ImagesList(filters=filters, all=True)
    return {known[image.id] for image in select(labelled().snapshot(), params)}


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("dangling=true", {"label"}),
        ("dangling!=T", {"base", "app", "l", "far", "list"}),
        ("intermediate=1", {"app"}),
        ("manifest=true", {"list"}),
        ("readonly=True", {"far"}),
        ({"key": "readonly", "value": True}, {"far"}),
        ({"key": "manifest", "value": "0", "negate": True}, {"list"}),
        ("label=a", {"l", "far"}),
        ("label=a=", {"l", "far"}),
        ("label=a=b", {"l"}),
        ("label=a=b=c", set()),
        ("label!=a", {"base", "app", "label", "list"}),
        ("label=x/t*m", {"l"}),
        ("label=tea*=core", {"l"}),
        ("label=tea*=cor", set()),
        ("label=zz*", set()),
        (f"id={image_id('app')[:6]}", {"app"}),
        (f"id=sha256:{image_id('app')}", {"app"}),
        (f"id!={image_id('app')}", {"base", "label", "l", "far", "list"}),
    ],
)
def test_a_filter_chooses_as_podman_does(given, expected) -> None:
    assert chosen(given) == expected


def test_all_filters_must_hold() -> None:
    assert chosen("label=a", "label=a=c", "readonly=true") == {"far"}
    assert chosen("id=0", "id=1") == set()


def test_a_key_repeated_with_one_meaning_is_fine() -> None:
    assert chosen("dangling=true", "dangling=1", "dangling!=false") == {"label"}


@pytest.mark.parametrize(
    ("filters", "path"),
    [
        (("dangling",), "filters[0]"),
        ((7,), "filters[0]"),
        (("dangling=true", "dangling=maybe"), "filters[1].value"),
        (("dangling=yes",), "filters[0].value"),
        (("dangling=true", "dangling!=1"), "filters[1]"),
        (("colour=red",), "filters[0].key"),
        (("=x",), "filters[0].key"),
        (({"key": "label"},), "filters[0].value"),
        (({"key": "label", "value": 5},), "filters[0].value"),
        (({"key": 5, "value": "x"},), "filters[0].key"),
        (({"key": "id", "value": "x", "negate": "no"},), "filters[0].negate"),
        (({"key": "id", "value": "x", "like": 1},), "filters[0].like"),
        (({"key": "dangling", "value": None},), "filters[0].value"),
        (({"key": "dangling", "value": []},), "filters[0].value"),
        (("label=[*",), "filters[0].value"),
    ],
)
def test_a_wrong_filter_is_refused_with_its_path(filters, path) -> None:
    with pytest.raises(InvalidParams) as caught:
        compile_filters(filters)
    assert caught.value.evidence["path"] == path


@pytest.mark.parametrize("key", NOT_YET_SERVED)
def test_filters_of_podman_that_are_not_served_are_named(key) -> None:
    with pytest.raises(InvalidParams, match=f'"{key}" is not served yet'):
        compile_filters([f"{key}=x"])


@pytest.mark.parametrize(
    ("filters", "path"),
    [
        (("id!=x",) * (MOST_FILTERS + 1), "filters"),
        (("label=" + "*a" * LONGEST_PATTERN,), "filters[0].value"),
    ],
    ids=["too many", "too long a pattern"],
)
def test_what_would_keep_the_loop_from_others_is_refused(filters, path) -> None:
    with pytest.raises(InvalidParams) as caught:
        compile_filters(filters)
    assert caught.value.evidence["path"] == path


def test_as_many_filters_as_are_taken_all_hold() -> None:
    assert chosen(*("id!=x",) * (MOST_FILTERS - 1), "label=a*") == {"l", "far"}


def test_a_long_label_without_a_pattern_is_compared_as_it_stands() -> None:
    assert chosen("label!=" + "a" * 5000) == {"base", "app", "label", "l", "far", "list"}
