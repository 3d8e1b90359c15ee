"""What Go's decoder accepts and what it does not."""

from __future__ import annotations

import pytest

from storaged.store.checking.schema import valid_digest, wrong_digests, wrong_time, wrong_types


@pytest.mark.parametrize(
    ("digest", "valid"),
    [
        ("sha256:" + "a" * 64, True),
        ("sha512:" + "0" * 128, True),
        ("sha256:" + "A" * 64, False),
        ("sha256:" + "a" * 63, False),
        ("md5:" + "a" * 32, False),
        ("a" * 64, False),
        ("", False),
        ("sha256:" + "a" * 63 + "\n", False),
    ],
)
def test_a_digest_is_valid_as_for_go(digest: str, valid: bool) -> None:
    assert valid_digest(digest) is valid


@pytest.mark.parametrize(
    "members",
    [
        {"id": 5},
        {"ID": 5},
        {"names": "one"},
        {"names": [None, 1]},
        {"big-data-sizes": {"a": "1"}},
        {"big-data-sizes": {"a": 1 << 63}},
        {"big-data-digests": ["a"]},
        {"flags": []},
        {"created": 5},
        {"mapped-layers": {}},
    ],
)
def test_a_type_that_go_refuses_is_told(members: dict[str, object]) -> None:
    assert len(list(wrong_types("images", members))) == 1


@pytest.mark.parametrize(
    "members",
    [
        {"id": None, "names": None, "names-history": [None], "big-data-sizes": None, "created": None},
        {"flags": {"any": [1, {"thing": True}]}, "unknown": 5, "big-data-sizes": {"a": None, "b": 0}},
        {"uidmap": 5, "parent": 5},
    ],
)
def test_null_and_unknown_members_are_nothing_to_go(members: dict[str, object]) -> None:
    assert list(wrong_types("images", members)) == []


def test_id_maps_and_id_sets_have_types_of_their_own() -> None:
    maps = [{"container_id": 0, "host_id": 1000, "size": 1}]
    assert list(wrong_types("layers", {"uidmap": maps, "gidmap": None, "uidset": [0, 4294967295]})) == []
    assert len(list(wrong_types("layers", {"uidmap": [{"size": "1"}], "uidset": [-1], "compression": True}))) == 3


@pytest.mark.parametrize("time", ["", "2024-01-01", "2024-13-01T00:00:00Z", "2024-01-01T00:00:00", "now"])
def test_a_time_that_go_refuses_is_told(time: str) -> None:
    assert wrong_time({"created": time}) is not None


@pytest.mark.parametrize("time", ["0001-01-01T00:00:00Z", "2024-02-29T23:59:59.123456789+02:00"])
def test_a_time_that_go_takes_is_none_to_tell(time: str) -> None:
    assert wrong_time({"created": time}) is None


def test_only_digests_that_are_searched_by_break_the_whole_store() -> None:
    image = {"digest": "x", "big-data-digests": {"manifest-1": "y", "sha256:1": "z"}}
    names = ["image_digest_invalid", "image_digest_invalid", "digest_invalid"]
    assert [name for name, _ in wrong_digests("images", image)] == names
    layer = {"diff-digest": "x", "toc-digest": ""}
    assert [name for name, _ in wrong_digests("layers", layer)] == ["digest_invalid"]
