from __future__ import annotations

import json
from typing import Any, get_type_hints

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from storaged_client.contract import params as p
from storaged_client.contract import types as t
from storaged_client.contract import wire
from storaged_client.contract.errors import InvalidParams
from storaged_client.contract.methods import METHODS
from storaged_client.contract.params import (
    Common,
    ImageName,
    ImagesGet,
    ImagesList,
    LayersList,
    ManifestsAdd,
    ManifestsList,
    NoParams,
    PlatformChoice,
    StoreLease,
)
from storaged_client.contract.types import (
    Exists,
    ImageList,
    ImageSummary,
    ServerStats,
    Stale,
    Unchanged,
    Why,
)
from tests.unit.cli.facts import image

SUMMARY: dict[str, Any] = image(id="a" * 64, digest=None, digests=[], names=["x"], size=5, labels={"a": "b"})


def test_params_come_by_name_and_by_position() -> None:
    by_name = wire.structure_params(ImageName, {"name": "x", "manifest": True})
    assert by_name == wire.structure_params(ImageName, ["x", True]) == ImageName(name="x", manifest=True)
    assert wire.structure_params(ImageName, ["x"]) == ImageName(name="x")
    for nothing in (None, {}, []):
        assert wire.structure_params(NoParams, nothing) == NoParams()


@pytest.mark.parametrize(
    ("cls", "params", "path"),
    [
        (ImageName, {}, "$.name"),
        (ImageName, {"name": 5}, "$.name"),
        (ImageName, {"name": None}, "$.name"),
        (ImageName, {"name": "x", "manifest": 1}, "$.manifest"),
        (ImageName, {"name": "x", "manifest": "true"}, "$.manifest"),
        (ImageName, {"name": "x", "nmae": "y"}, "$.nmae"),
        (ImageName, ["x", True, 3], "$[2]"),
        (NoParams, [1], "$[0]"),
        (ImagesGet, {"names": "abc"}, "$.names"),
        (ImagesGet, {"names": {"a": 1}}, "$.names"),
        (ImagesGet, {"names": ["a", 5]}, "$.names[1]"),
        (LayersList, {"limit": "5"}, "$.limit"),
        (LayersList, {"limit": True}, "$.limit"),
        (LayersList, {"limit": 1.5}, "$.limit"),
        (LayersList, {"cursor": 5}, "$.cursor"),
        (ImagesList, {"sort": "colour"}, "$.sort"),
        (ImagesList, {"sort": []}, "$.sort"),
        (ImagesList, {"filters": "dangling=true"}, "$.filters"),
        (ImagesList, {"fields": [None]}, "$.fields[0]"),
        (ManifestsList, {"include": ["layers"]}, "$.include[0]"),
        (ManifestsAdd, {"name": "l", "platform": "arm64"}, "$.platform"),
        (ManifestsAdd, {"name": "l", "platform": ["arm64"]}, "$.platform"),
        (ManifestsAdd, {"name": "l", "platform": {"arch": "arm64"}}, "$.platform.arch"),
        (ManifestsAdd, {"name": "l", "platform": {"os_features": "a"}}, "$.platform.os_features"),
        (ManifestsAdd, {"name": "l", "annotations": ["a=b"]}, "$.annotations"),
        (ManifestsAdd, {"name": "l", "annotations": {"a": 1}}, "$.annotations['a']"),
        (ManifestsAdd, {"name": "l", "artifact": {"layers": [{"data": 1}]}}, "$.artifact.layers[0].data"),
        (ManifestsAdd, {"name": "l", "artifact": {"layers": [{"fd": "0"}]}}, "$.artifact.layers[0].fd"),
        (ManifestsAdd, {"name": "l", "artifact": {"layers": ["x"]}}, "$.artifact.layers[0]"),
        (StoreLease, {"images": ["a"], "ttl": "5"}, "$.ttl"),
    ],
)
def test_a_wrong_parameter_is_refused_with_its_path(cls: type, params: Any, path: str) -> None:
    with pytest.raises(InvalidParams) as caught:
        wire.structure_params(cls, params)
    assert caught.value.data["path"] == path
    assert caught.value.data["errors"][0]["path"] == path
    assert caught.value.data["errors"][0]["message"]
    json.dumps(caught.value.data)


def test_no_message_tells_of_our_own_classes() -> None:
    for platform in (5, "x", [], {"arch": 1}):
        with pytest.raises(InvalidParams) as caught:
            wire.structure_params(ManifestsAdd, {"name": "l", "platform": platform})
        assert "storaged_client" not in str(caught.value)
        assert "PlatformChoice" not in str(caught.value)


def test_an_object_within_the_parameters_may_be_null_or_lack_members() -> None:
    made = wire.structure_params(ManifestsAdd, {"name": "l", "platform": None, "artifact": None})
    assert made == ManifestsAdd(name="l")
    made = wire.structure_params(ManifestsAdd, {"name": "l", "platform": {"os_features": ["a"]}})
    assert made.platform == PlatformChoice(os_features=("a",))


def test_all_wrong_parameters_are_told_at_once() -> None:
    with pytest.raises(InvalidParams) as caught:
        wire.structure_params(ImagesList, {"all": 1, "limit": "x", "fields": [1]})
    assert [one["path"] for one in caught.value.data["errors"]] == ["$.all", "$.limit", "$.fields[0]"]


@pytest.mark.parametrize(
    ("cls", "params", "path"),
    [
        (p.ImagesGet, {"names": ["a", "\ud800"]}, "$.names[1]"),
        (p.ImagesTag, {"name": "a\udfff", "tags": ["b"]}, "$.name"),
        (p.ManifestsCreate, {"name": "a", "annotations": {"k": "\ud800"}}, "$.annotations['k']"),
        (p.ManifestsCreate, {"name": "a", "annotations": {"\ud800": "v"}}, "$.annotations"),
        (p.LayersTree, {"id": "\ud800"}, "$.id"),
    ],
)
def test_half_of_a_surrogate_pair_is_no_text(cls: type, params: Any, path: str) -> None:
    with pytest.raises(InvalidParams) as caught:
        wire.structure_params(cls, params)
    assert "surrogate" in caught.value.message
    assert caught.value.data["path"].startswith(path)


def test_a_whole_surrogate_pair_and_every_other_letter_is_text() -> None:
    names = json.loads('["\\ud83d\\ude00", "\u00e9", "\\u0000"]')
    assert wire.structure_params(p.ImagesGet, {"names": names}).names == tuple(names)


def test_a_result_may_have_the_name_of_a_file_in_any_bytes() -> None:
    report = {
        "done": 1,
        "total": 1,
        "resume": None,
        "unsettled": [],
        "findings": [],
        "generation": "\udcff",
        "stale": None,
    }
    assert wire.structure_result(t.CheckReport, report).generation == "\udcff"


def test_half_a_million_wrong_names_are_told_as_ten() -> None:
    with pytest.raises(InvalidParams) as caught:
        wire.structure_params(ImagesGet, {"names": [1] * 500_000})
    assert len(caught.value.data["errors"]) == 10


def test_common_parameters_are_split_off_by_name_only() -> None:
    common, rest = wire.split_common({"name": "x", "consistency": "strict", "timeout": 2, "progress_token": 7})
    assert common == Common(consistency="strict", timeout=2.0, progress_token=7)
    assert rest == {"name": "x"}
    assert wire.split_common(["strict"]) == (Common(), ["strict"])
    assert wire.split_common(None) == (Common(), {})


@pytest.mark.parametrize(
    ("params", "path"),
    [
        ({"consistency": "sloppy"}, "$.consistency"),
        ({"timeout": "1"}, "$.timeout"),
        ({"timeout": True}, "$.timeout"),
        ({"timeout": -1}, "$.timeout"),
        ({"timeout": float("inf")}, "$.timeout"),
        ({"timeout": 10**400}, "$.timeout"),
        ({"if_generation": 5}, "$.if_generation"),
        ({"progress_token": True}, "$.progress_token"),
        ({"progress_token": 1.5}, "$.progress_token"),
    ],
)
def test_a_wrong_common_parameter_is_refused_with_its_path(params: Any, path: str) -> None:
    with pytest.raises(InvalidParams) as caught:
        wire.split_common(params)
    assert caught.value.data["path"] == path


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)


@given(method=st.sampled_from(sorted(METHODS)), data=st.data())
def test_any_params_are_taken_as_they_are_or_refused(method: str, data: st.DataObject) -> None:
    cls = METHODS[method].params
    names = [one.name for one in attrs.fields(cls)] + [one.name for one in attrs.fields(Common)] + ["other"]
    params = data.draw(
        st.dictionaries(st.sampled_from(names), json_values, max_size=4) | st.lists(json_values, max_size=4)
    )
    try:
        _, rest = wire.split_common(params)
        made = wire.structure_params(cls, rest)
    except InvalidParams as error:
        assert error.data["path"].startswith("$")  # noqa: PT017
        return
    if isinstance(rest, dict):
        for name, value in rest.items():
            taken = getattr(made, name)
            assert (list(taken) if isinstance(taken, tuple) else taken) == value


def test_a_result_ignores_what_it_does_not_know() -> None:
    made = wire.structure_result(
        ImageList,
        {
            "images": [{**SUMMARY, "colour": "red"}],
            "next_cursor": None,
            "sizes_pending": 3,
            "generation": "g",
            "stale": {"age_ms": 5, "reason": "a new reason", "holder": {"pid": None}, "more": 1},
            "added": {},
        },
    )
    assert isinstance(made, ImageList)
    (image,) = made
    assert (image.names, image.labels, image.short_id) == (("x",), {"a": "b"}, "a" * 12)
    assert isinstance(made.stale, Stale)
    assert (made.stale.reason, made.stale.age_ms) == ("a new reason", 5)


def test_members_not_asked_for_are_none() -> None:
    made = wire.structure_result(ImageList, {"images": [{"id": "x", "dangling": True}], "generation": "g"})
    assert isinstance(made, ImageList)
    (image,) = made
    assert (image.id, image.dangling) == ("x", True)
    assert [getattr(image, name) for name in get_type_hints(ImageSummary) if name not in ("id", "dangling")] == [
        None
    ] * 19


def test_an_unchanged_answer_is_unchanged() -> None:
    made = wire.structure_result(ImageList, {"unchanged": True, "generation": "g", "stale": None})
    assert made == Unchanged(generation="g")


def test_numbers_of_statistics_may_be_whole() -> None:
    made = wire.structure_result(ServerStats, {"counters": {"a": 1}, "seconds": {"b": 1}, "gauges": {}})
    assert made == ServerStats(counters={"a": 1}, seconds={"b": 1.0}, gauges={})


@pytest.mark.parametrize(
    ("cls", "value"),
    [
        (Exists, []),
        (Exists, None),
        (Exists, {}),
        (Exists, {"exists": 1}),
        (Exists, {"exists": "true"}),
        (ImageList, {"images": "abc"}),
        (ImageList, {"images": [{**SUMMARY, "size": "5"}]}),
        (ImageList, {"images": [{"id": 5}]}),
        (ImageList, {"images": [[]]}),
        (ServerStats, {"counters": [], "seconds": {}, "gauges": {}}),
        (Why, {"id": "x", "dangling": True, "intermediate": True, "prunable": True, "removable": True, "reasons": [7]}),
    ],
)
def test_a_result_of_another_shape_is_refused(cls: type, value: Any) -> None:
    with pytest.raises(wire.MalformedResult):
        wire.structure_result(cls, value)
