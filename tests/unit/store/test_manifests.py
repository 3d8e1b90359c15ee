from __future__ import annotations

import contextlib
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from storaged.store.layout.manifests import (
    DOCKER_LIST,
    OCI_INDEX,
    Undecodable,
    is_signed_schema1,
    parse_config,
    parse_manifest,
)

D1 = "sha256:" + "1" * 64


def raw(value: object) -> bytes:
    return json.dumps(value).encode()


def config(**members: Any) -> bytes:
    return raw({"architecture": "amd64", "os": "linux", **members})


@pytest.mark.parametrize("media_type", [DOCKER_LIST, OCI_INDEX, None])
def test_lists_are_known_with_and_without_their_media_type(media_type: str | None) -> None:
    members: dict[str, Any] = {
        "schemaVersion": 2,
        "manifests": [{"digest": D1, "size": 5, "platform": {"os": "linux"}}],
    }
    if media_type:
        members["mediaType"] = media_type
    facts = parse_manifest(raw(members))
    assert facts.is_list
    assert facts.instances[0].digest == D1
    assert facts.instances[0].platform is not None
    assert facts.instances[0].platform.os == "linux"
    assert facts.raw == raw(members)


def test_an_empty_list_as_podman_creates_it_is_a_list() -> None:
    facts = parse_manifest(raw({"schemaVersion": 2, "mediaType": DOCKER_LIST, "manifests": None}))
    assert facts.is_list
    assert facts.instances == ()


def test_an_image_manifest_names_its_configuration_and_keeps_no_bytes() -> None:
    facts = parse_manifest(raw({"schemaVersion": 2, "config": {"digest": D1, "mediaType": "c"}, "layers": []}))
    assert not facts.is_list
    assert (facts.config_digest, facts.config_media_type, facts.raw) == (D1, "c", None)


def test_an_image_manifest_with_a_stray_manifests_member_stays_an_image() -> None:
    media = "application/vnd.oci.image.manifest.v1+json"
    assert not parse_manifest(raw({"mediaType": media, "config": {}, "manifests": []})).is_list


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\0" * 300,
        b"{",
        b"[]",
        b"null",
        b"{}",
        b'{"schemaVersion":2}',
        raw({"mediaType": 5, "manifests": []}),
        raw({"mediaType": OCI_INDEX, "manifests": {}}),
        raw({"mediaType": OCI_INDEX, "manifests": [None]}),
        raw({"mediaType": OCI_INDEX, "manifests": [{"digest": 5}]}),
        raw({"mediaType": OCI_INDEX, "manifests": [{"size": 5}]}),
        raw({"mediaType": OCI_INDEX, "manifests": [{"digest": D1, "size": "5"}]}),
        raw({"mediaType": OCI_INDEX, "manifests": [{"digest": D1, "platform": []}]}),
        raw({"mediaType": OCI_INDEX, "annotations": {"a": 5}}),
        raw({"config": []}),
        b'{"a":' * 100_000,
    ],
)
def test_what_is_no_manifest_is_undecodable(data: bytes) -> None:
    with pytest.raises(Undecodable):
        parse_manifest(data)


def test_history_keys_tell_parent_and_child() -> None:
    step = {"created": "2024-01-01T00:00:00Z", "created_by": "a"}
    same_instant = {
        "created": "2024-01-01T02:00:00.000000000+02:00",
        "created_by": "a",
        "comment": "",
        "empty_layer": False,
    }
    parent = parse_config(config(history=[step]))
    child = parse_config(config(history=[same_instant, {"created_by": "b"}]))
    assert child.history_before_last == parent.history_key
    assert parse_config(config(history=None)).history_key == parent.history_before_last
    assert parse_config(config()).history_before_last is None


@pytest.mark.parametrize(
    "other",
    [
        {"created": "2024-01-01T00:00:00.000000001Z", "created_by": "a"},
        {"created_by": "a"},
        {"created": "2024-01-01T00:00:00Z", "created_by": "b"},
        {"created": "2024-01-01T00:00:00Z", "created_by": "a", "author": "x"},
        {"created": "2024-01-01T00:00:00Z", "created_by": "a", "comment": "x"},
        {"created": "2024-01-01T00:00:00Z", "created_by": "a", "empty_layer": True},
        None,
    ],
)
def test_any_difference_podman_sees_changes_the_history_key(other: object) -> None:
    step = {"created": "2024-01-01T00:00:00Z", "created_by": "a"}
    assert parse_config(config(history=[other])).history_key != parse_config(config(history=[step])).history_key


def test_a_boundary_between_two_texts_is_not_lost() -> None:
    one = parse_config(config(history=[{"created_by": "ab", "author": "c"}]))
    two = parse_config(config(history=[{"created_by": "a", "author": "bc"}]))
    assert one.history_key != two.history_key


def test_labels_null_and_absent_differ_from_empty() -> None:
    assert parse_config(config()).labels is None
    assert parse_config(config(config=None)).labels is None
    assert parse_config(config(config={"Labels": None})).labels is None
    assert parse_config(config(config={"Labels": {}})).labels == {}
    assert parse_config(config(config={"Labels": {"a": "b"}}, rootfs={"diff_ids": [D1]})).diff_ids == (D1,)


@pytest.mark.parametrize(
    "data",
    [
        b"x",
        b"[]",
        config(history={}),
        config(history=["x"]),
        config(history=[{"created": "yesterday"}]),
        config(history=[{"created": 5}]),
        config(history=[{"empty_layer": "true"}]),
        config(rootfs=[]),
        config(rootfs={"diff_ids": [1]}),
        config(config={"Labels": {"a": 1}}),
        raw({"architecture": 5}),
    ],
)
def test_what_is_no_configuration_is_undecodable(data: bytes) -> None:
    with pytest.raises(Undecodable):
        parse_config(data)


def test_signed_schema_1_is_recognised() -> None:
    assert is_signed_schema1(raw({"schemaVersion": 1, "signatures": []}))
    assert not is_signed_schema1(raw({"schemaVersion": 2, "signatures": []}))
    assert not is_signed_schema1(b"\0")


MEMBERS = ["mediaType", "manifests", "config", "history", "rootfs", "digest", "Labels", "created"]
VALUES = st.recursive(
    st.none() | st.booleans() | st.text(max_size=5),
    lambda inner: st.dictionaries(st.sampled_from(MEMBERS), inner | st.lists(inner, max_size=2)),
    max_leaves=6,
)


@given(st.binary(max_size=80) | VALUES.map(lambda value: json.dumps(value).encode()))
def test_hostile_bytes_are_facts_or_undecodable(data: bytes) -> None:
    for parse in (parse_manifest, parse_config):
        with contextlib.suppress(Undecodable):
            parse(data)
