"""Inspection, against what podman 5.8.6 printed of the same images."""

from __future__ import annotations

import json
from typing import Any

import pytest

from storaged_client.cli import image_inspect, podman_structs
from storaged_client.contract.errors import ImageDamaged
from storaged_client.gotemplate.report import compile
from storaged_client.podman import image_shape

from .facts import APP, BASE, details, image

CREATED = "2026-11-24T08:02:27.971273445Z"
DIFF_ID = "sha256:8f2b2e2ca913633dae1c79ffcc61b31554aae3f8ee105affc1570012c4f089e4"
DIGEST = "sha256:76137ce7d948f59eb0f24550d88ceca502d52736731026f37e56e040cbd76113"


def base() -> Any:
    summary = image(
        id=BASE,
        digest=DIGEST,
        digests=[DIGEST],
        names=["localhost/base:v1"],
        names_history=["localhost/base:v1"],
        created=CREATED,
        size=1240175,
    )
    entry = {
        "created": CREATED,
        "created_by": f"/bin/sh -c #(nop) ADD file:{DIFF_ID[7:]} in /",
        "author": None,
        "comment": "hello",
        "empty_layer": False,
    }
    config = {"Labels": {"a": "b"}, "Cmd": ["/bin/sh", "-c", 'echo a "b"']}
    return details(summary, config=config, history=[entry], comment="hello", diff_ids=[DIFF_ID])


def found(value: Any, name: str = "x") -> Any:
    return {"name": name, "image": value, "digest": value["summary"]["digest"], "error": None}


def missing(name: str, error: str = "ImageUnknown", message: str = "no image is called so") -> Any:
    return {"name": name, "image": None, "error": {"code": 1001, "message": message, "data": {"name": error}}}


def test_an_image_is_printed_as_podman_prints_it() -> None:
    podman = """\
[
     {
          "Id": "2be687b74c0779345885153ec5a7f43f0be5afae486e4c3a7a93899bec9ab21e",
          "Digest": "sha256:76137ce7d948f59eb0f24550d88ceca502d52736731026f37e56e040cbd76113",
          "RepoTags": [
               "localhost/base:v1"
          ],
          "RepoDigests": [
               "localhost/base@sha256:76137ce7d948f59eb0f24550d88ceca502d52736731026f37e56e040cbd76113"
          ],
          "Parent": "",
          "Comment": "hello",
          "Created": "2026-11-24T08:02:27.971273445Z",
          "Config": {
               "Cmd": [
                    "/bin/sh",
                    "-c",
                    "echo a \\"b\\""
               ],
               "Labels": {
                    "a": "b"
               }
          },
          "Version": "",
          "Author": "",
          "Architecture": "amd64",
          "Os": "linux",
          "Size": 1240175,
          "VirtualSize": 1240175,
          "GraphDriver": {
               "Name": "vfs",
               "Data": null
          },
          "RootFS": {
               "Type": "layers",
               "Layers": [
                    "sha256:8f2b2e2ca913633dae1c79ffcc61b31554aae3f8ee105affc1570012c4f089e4"
               ]
          },
          "Labels": {
               "a": "b"
          },
          "Annotations": {},
          "ManifestType": "application/vnd.oci.image.manifest.v1+json",
          "User": "",
          "History": [
               {
                    "created": "2026-11-24T08:02:27.971273445Z",
                    "created_by": "/bin/sh -c #(nop) ADD file:8f2b2e2ca913633dae1c79ffcc61b31554aae3f8ee105affc1570012c4f089e4 in /",
                    "comment": "hello"
               }
          ],
          "NamesHistory": [
               "localhost/base:v1"
          ]
     }
]
"""  # noqa: E501
    assert image_inspect.render([found(base())]) == (podman, [])


def test_dockers_members_of_a_configuration_are_not_shown() -> None:
    config = {
        "Hostname": "h",
        "Env": ["A=b"],
        "OnBuild": [],
        "Image": "x",
        "Volumes": {"/data": {}, "/a": {}},
        "User": "daemon",
        "Cmd": None,
        "WorkingDir": "/x",
        "StopSignal": "SIGKILL",
        "ExposedPorts": {"80/tcp": {}},
    }
    shown = image_shape.describe(details(image(), config=config))
    assert list(shown["Config"]) == ["User", "ExposedPorts", "Env", "Volumes", "WorkingDir", "StopSignal"]
    assert list(shown["Config"]["Volumes"]) == ["/a", "/data"]
    assert shown["User"] == "daemon"
    assert shown["Labels"] is None


def test_a_health_check_has_the_order_of_podmans_struct_and_no_zeros() -> None:
    check = {"Retries": 3, "Timeout": 5, "Interval": 9, "StartInterval": 0, "StartPeriod": 1, "Test": ["NONE"], "X": 1}
    shown = image_shape.describe(details(image(), healthcheck=check))["Healthcheck"]
    assert list(shown.items()) == [
        ("Test", ["NONE"]),
        ("StartPeriod", 1),
        ("Interval", 9),
        ("Timeout", 5),
        ("Retries", 3),
    ]
    assert image_shape.describe(details(image(), healthcheck={}))["Healthcheck"] == {}


def test_spans_of_a_health_check_are_durations_in_a_template() -> None:
    check = {"Test": ["CMD", "true"], "Interval": 30_000_000_000, "StartPeriod": 1_000_000}
    struct = podman_structs.inspected(image_shape.describe(details(image(), healthcheck=check)))
    form = compile("{{.HealthCheck.Interval}} {{.HealthCheck.Timeout}} {{.HealthCheck}} {{json .HealthCheck}}")
    told = '{"Test":["CMD","true"],"StartPeriod":1000000,"Interval":30000000000}'
    assert form.render([struct]) == f"30s 0s {{[CMD true] 1ms 0s 30s 0s 0}} {told}\n"


def test_what_is_empty_and_what_is_not_there_differ_as_in_podmans_json() -> None:
    empty = image_shape.describe(details(image(names_history=["x"]), config={"Labels": {}}, rootfs_type="layers"))
    assert (empty["Labels"], empty["Config"], empty["History"]) == ({}, {}, [])
    assert (empty["RootFS"], empty["NamesHistory"]) == ({"Type": "layers", "Layers": []}, ["x"])
    absent = image_shape.describe(
        details(image(), config={}, created=None, rootfs_type="", absent=["history", "diff_ids"])
    )
    assert (absent["Labels"], absent["History"], absent["Created"]) == (None, None, None)
    assert (absent["RootFS"], absent["NamesHistory"]) == ({"Type": "", "Layers": None}, None)
    assert absent["GraphDriver"]["Data"] is None
    told = compile("{{.Created}} {{json .Created}} {{json .RootFS}} {{json .NamesHistory}} {{json .History}}")
    nothing = '<nil> null {"Type":"","Layers":null} null null\n'
    assert told.render([podman_structs.inspected(absent)]) == nothing


def test_times_lose_their_trailing_zeros() -> None:
    entry = {
        "created": "2024-01-02T03:04:05.100000000Z",
        "created_by": "a",
        "author": None,
        "comment": None,
        "empty_layer": False,
    }
    whole = {**entry, "created": "2024-01-02T03:04:05.000+00:00"}
    shown = image_shape.describe(details(image(), created="2024-01-02T03:04:05.120000000Z", history=[entry, whole]))
    assert shown["Created"] == "2024-01-02T03:04:05.12Z"
    assert [each["created"] for each in shown["History"]] == ["2024-01-02T03:04:05.1Z", "2024-01-02T03:04:05Z"]


def test_the_digest_is_the_one_that_the_name_means() -> None:
    lookup = {**found(details(image(digest="sha256:list"))), "digest": "sha256:own"}
    assert json.loads(image_inspect.render([lookup])[0])[0]["Digest"] == "sha256:own"


@pytest.mark.parametrize("lost", ["TopLayerMissing", "ParentLayerMissing", "LayerCycle"])
def test_an_image_that_lacks_a_layer_is_not_inspected_nor_any_other_with_it(lost: str) -> None:
    damaged = details(image(damage={"name": lost, "detail": "its top layer x is not in the store"}))
    with pytest.raises(ImageDamaged, match="its top layer x is not in the store: layer not known"):
        image_inspect.render([found(base()), found(damaged)])


def test_what_is_no_image_is_no_such_object_where_podman_looks_for_every_kind() -> None:
    wrong = missing("UPPER", "InvalidName", "'UPPER' is no image reference")
    lookups = [missing("nope"), wrong, missing("f", "AmbiguousName", "f fits 2 images")]
    _, complaints = image_inspect.sort_out(lookups, everything=True)
    assert complaints == ['no such object: "nope"', 'no such object: "UPPER"', "f fits 2 images"]


def test_a_health_check_comes_last_and_only_where_there_is_one() -> None:
    check = {"Test": ["CMD-SHELL", "true"], "Interval": 300000000000}
    assert list(image_shape.describe(details(image(), healthcheck=check)))[-1] == "Healthcheck"
    assert "Healthcheck" not in image_shape.describe(details(image()))


def test_digest_only_names_are_no_repo_tags() -> None:
    names = ["quay.io/two@sha256:1", "localhost/dock:latest", "quay.io/both:t@sha256:1"]
    shown = image_shape.describe(details(image(names=names, digests=["sha256:1"])))
    assert shown["RepoTags"] == names[1:]
    assert shown["RepoDigests"] == ["localhost/dock@sha256:1", "quay.io/both@sha256:1", "quay.io/two@sha256:1"]


def test_an_image_without_layers_and_history_is_podmans() -> None:
    shown = image_shape.describe(details(image(), manifest_type=None, absent=["history"]))
    assert (shown["RootFS"]["Layers"], shown["History"], shown["Config"]) == ([], None, {})


def test_several_names_are_one_array_and_each_unknown_one_is_told() -> None:
    text, complaints = image_inspect.render([missing("nope"), found(base()), missing("nope2")])
    assert [item["Id"] for item in json.loads(text)] == [BASE]
    assert complaints == ["nope: image not known", "nope2: image not known"]


def test_nothing_found_is_an_empty_array() -> None:
    assert image_inspect.render([missing("nope")]) == ("[]\n", ["nope: image not known"])


def test_another_error_keeps_its_text() -> None:
    text = "f fits 2 images: f9d7, fd40"
    assert image_inspect.render([missing("f", "AmbiguousName", text)])[1] == [text]


def test_damage_is_told_with_the_image() -> None:
    damage = {"name": "config_missing", "detail": "gone"}
    shown = image_shape.describe(details(image(damage=damage)))
    assert (shown["Id"], shown["Damage"]) == (APP, damage)
