import pytest

from storaged.operations.filters import MOST_FILTERS, MOST_REFERENCES, SERVED, laborious
from storaged.operations.filters.language import LONGEST_PATTERN
from tests.support.stores import Store, config, digest_of, family, image_id, missing
from tests.unit.operations.asking import choose, refused


def labelled() -> Store:
    store = family()
    store.image("l", ("localhost/l:1",), config=config(labels={"a": "b", "io.x/team": "core"}))
    store.image("far", ("localhost/far:1",), config=config(labels={"a": "c"}), store=1)
    store.list("list", ("localhost/list:1",))
    return store


def chosen(*filters: object) -> set[str]:
    return set(choose(labelled(), *filters))


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
        (f"digest={digest_of('app')[:20]}", {"app"}),
        (f"digest={digest_of('empty list')}", {"list"}),
        (f"digest={digest_of('list')}", {"list"}),
        (f"digest!={digest_of('app')}", {"base", "label", "l", "far", "list"}),
        ("digest=sha256:", {"base", "app", "label", "l", "far", "list"}),
        ("label!=a!=b", {"base", "app", "label", "l", "far", "list"}),
        ("damaged=false", {"base", "app", "label", "l", "far", "list"}),
        ("damaged!=false", set()),
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
        (("dangling",), "$.filters[0]"),
        ((7,), "$.filters[0]"),
        (("dangling=true", "dangling=maybe"), "$.filters[1].value"),
        (("dangling=yes",), "$.filters[0].value"),
        (("dangling=true", "dangling!=1"), "$.filters[1]"),
        (("colour=red",), "$.filters[0].key"),
        (("=x",), "$.filters[0].key"),
        (({"key": "label"},), "$.filters[0].value"),
        (({"key": "label", "value": 5},), "$.filters[0].value"),
        (({"key": 5, "value": "x"},), "$.filters[0].key"),
        (({"key": "id", "value": "x", "negate": "no"},), "$.filters[0].negate"),
        (({"key": "id", "value": "x", "like": 1},), "$.filters[0].like"),
        (({"key": "dangling", "value": None},), "$.filters[0].value"),
        (({"key": "dangling", "value": []},), "$.filters[0].value"),
        (("label=[*",), "$.filters[0].value"),
        (("reference=[",), "$.filters[0].value"),
        (("id=", "reference=a\\"), "$.filters[1].value"),
        (("digest=abc",), "$.filters[0].value"),
        (("containers=1",), "$.filters[0].value"),
        (("containers=true", "containers=false"), "$.filters[1]"),
        (("containers=external", "containers!=external"), "$.filters[1]"),
        (({"key": "containers", "value": 1},), "$.filters[0].value"),
        (({"key": "reference", "value": 1},), "$.filters[0].value"),
        (("id>5",), "$.filters[0]"),
        (["label=\ud800"], "$.filters[0].value"),
        (["reference=\ud800*"], "$.filters[0].value"),
    ],
)
def test_a_wrong_filter_is_refused_with_its_path(filters, path) -> None:
    assert refused(labelled(), *filters).data["path"] == path


def test_an_unknown_filter_is_told_which_there_are() -> None:
    text = refused(labelled(), "colour=red").message
    assert '"colour"' in text
    assert all(key in text for key in SERVED)
    assert "did you mean" not in text


@pytest.mark.parametrize(("key", "near"), [("danglin", "dangling"), ("lable", "label"), ("inlist", "in-list")])
def test_of_an_unknown_filter_the_nearest_is_named(key, near) -> None:
    assert (
        f'"{key}": must be in the format "filter=value or filter!=value"; did you mean "{near}"? there are '
        in refused(labelled(), f"{key}=true").message
    )


@pytest.mark.parametrize(
    ("filters", "path"),
    [
        (("id!=x",) * (MOST_FILTERS + 1), "$.filters"),
        (("reference=*a",) * (MOST_FILTERS + 1), "$.filters"),
        (("reference=a",) * (MOST_REFERENCES + 1), "$.filters"),
        (("label=" + "*a" * LONGEST_PATTERN,), "$.filters[0].value"),
        (("reference=" + "*a" * LONGEST_PATTERN,), "$.filters[0].value"),
    ],
    ids=["too many", "too many patterns", "too many names", "too long a label", "too long a pattern"],
)
def test_what_would_keep_the_daemon_from_others_is_refused(filters, path) -> None:
    assert refused(labelled(), *filters).data["path"] == path


def test_as_many_filters_as_are_taken_all_hold() -> None:
    assert chosen(*("id!=x",) * (MOST_FILTERS - 1), "label=a*") == {"l", "far"}


def test_more_names_than_filters_are_taken() -> None:
    names = (f"reference=nowhere/none:{number}" for number in range(2 * MOST_FILTERS))
    assert chosen(*names, "reference=base") == {"base"}


def test_a_long_label_without_a_pattern_is_compared_as_it_stands() -> None:
    assert chosen("label!=" + "a" * 5000) == {"base", "app", "label", "l", "far", "list"}


def test_what_cannot_be_told_matches_neither_a_filter_nor_its_negation() -> None:
    store = labelled()
    store.image("torn", config=None, damage=(missing(),))
    store.list("lost", unreadable=True)
    for asked in ("label=a", "label!=a", "label=*", "label!=*"):
        assert "torn" not in choose(store, asked)
        assert "lost" not in choose(store, asked)
    assert "lost" not in choose(store, "manifest=true") + choose(store, "manifest=false")
    assert set(choose(store, "damaged=true")) == {"torn", "lost"}


@pytest.mark.parametrize(
    ("filters", "expected"),
    [
        ((), False),
        (("dangling=true", "reference=quay.io/a:1", {"key": "label", "value": "a"}), False),
        (("reference=*a",), True),
        (({"key": "label", "value": "a*"},), True),
        ((7, {"key": "id"}), False),
        (("id=a",) * 65, False),
        (("id=a",) * 101, True),
    ],
)
def test_patterns_and_many_filters_are_work_for_a_thread(filters, expected) -> None:
    assert laborious(filters, 10) is expected


def test_it_is_filters_and_images_together_that_make_work_for_a_thread() -> None:
    one = ("until!=2001-01-01",)
    assert [laborious(one * 64, images) for images in (15, 16)] == [False, True]
    assert [laborious(one, images) for images in (1000, 4000)] == [False, True]
    assert not laborious((), 40_000)
