"""Inspection, against what podman 5.8.6 printed of the same images."""

from __future__ import annotations

import json
from typing import Any

from storaged_client.cli import image_inspect

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
    return {"name": name, "image": value, "error": None}


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
    shown = image_inspect.describe(details(image(), config=config))
    assert list(shown["Config"]) == ["User", "ExposedPorts", "Env", "Volumes", "WorkingDir", "StopSignal"]
    assert list(shown["Config"]["Volumes"]) == ["/a", "/data"]
    assert shown["User"] == "daemon"
    assert shown["Labels"] is None


def test_a_health_check_comes_last_and_only_where_there_is_one() -> None:
    check = {"Test": ["CMD-SHELL", "true"], "Interval": 300000000000}
    assert list(image_inspect.describe(details(image(), healthcheck=check)))[-1] == "Healthcheck"
    assert "Healthcheck" not in image_inspect.describe(details(image()))


def test_digest_only_names_are_no_repo_tags() -> None:
    names = ["quay.io/two@sha256:1", "localhost/dock:latest", "quay.io/both:t@sha256:1"]
    shown = image_inspect.describe(details(image(names=names, digests=["sha256:1"])))
    assert shown["RepoTags"] == names[1:]
    assert shown["RepoDigests"] == ["localhost/dock@sha256:1", "quay.io/both@sha256:1", "quay.io/two@sha256:1"]


def test_an_image_without_layers_and_history_is_podmans() -> None:
    shown = image_inspect.describe(details(image(), manifest_type=None))
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
    shown = image_inspect.describe(details(image(damage=damage)))
    assert (shown["Id"], shown["Damage"]) == (APP, damage)
