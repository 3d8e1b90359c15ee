"""The tables and screens of commands that podman does not have, and its JSON of a manifest list."""

from __future__ import annotations

import os
from typing import Any

import pytest

from storaged_client.cli import containers, info, invocation, layers, manifest_inspect, manifest_ls, why
from storaged_client.contract.version import VERSION

from .facts import APP, BASE, LIST, NOW
from .facts import info as server_info

OCI_MANIFEST = "application/vnd.oci.image.manifest.v1+json"
OCI_INDEX = "application/vnd.oci.image.index.v1+json"


def reason(code: str, detail: str, **members: Any) -> Any:
    empty = dict.fromkeys(("name", "image", "list", "digest", "container", "owner", "file", "command"))
    return {"code": code, "detail": detail, "list_names": [], **empty, **members}


def test_a_manifest_is_printed_as_podman_prints_it() -> None:
    raw = {
        "schemaVersion": 2,
        "mediaType": OCI_INDEX,
        "manifests": [
            {
                "mediaType": OCI_MANIFEST,
                "digest": "sha256:28",
                "size": 587,
                "annotations": {"z": "<a>"},
                "artifactType": "application/x-test",
            },
            {
                "mediaType": OCI_MANIFEST,
                "digest": "sha256:61",
                "size": 586,
                "platform": {"variant": "v8", "os.version": "1", "os": "linux", "architecture": "arm64"},
            },
        ],
        "annotations": {"top": "<&>"},
    }
    assert manifest_inspect.render(raw, OCI_INDEX) == (
        """\
{
    "schemaVersion": 2,
    "mediaType": "application/vnd.oci.image.index.v1+json",
    "manifests": [
        {
            "mediaType": "application/vnd.oci.image.manifest.v1+json",
            "size": 587,
            "digest": "sha256:28",
            "platform": {
                "architecture": "",
                "os": ""
            },
            "annotations": {
                "z": "\\u003ca\\u003e"
            },
            "artifactType": "application/x-test"
        },
        {
            "mediaType": "application/vnd.oci.image.manifest.v1+json",
            "size": 586,
            "digest": "sha256:61",
            "platform": {
                "architecture": "arm64",
                "os": "linux",
                "os.version": "1",
                "variant": "v8"
            }
        }
    ],
    "annotations": {
        "top": "\\u003c\\u0026\\u003e"
    }
}
"""
    )


def test_an_empty_list_keeps_its_null() -> None:
    raw = {"schemaVersion": 2, "mediaType": "application/vnd.docker.distribution.manifest.list.v2+json"}
    assert manifest_inspect.render({**raw, "manifests": None}, None).endswith('"manifests": null\n}\n')


def test_a_manifest_without_a_media_type_shows_the_one_it_has() -> None:
    text = manifest_inspect.render({"schemaVersion": 2, "manifests": [], "own": 1}, OCI_INDEX)
    assert (
        text
        == f'{{\n    "schemaVersion": 2,\n    "mediaType": "{OCI_INDEX}",\n    "manifests": [],\n    "own": 1\n}}\n'
    )


def test_lists_show_their_platforms_and_what_is_local() -> None:
    platform = {"os": "linux", "architecture": "arm64", "variant": "v8"}
    instances = [
        {"digest": "sha256:1", "platform": platform, "image": APP},
        {"digest": "sha256:2", "platform": {**platform, "architecture": "amd64", "variant": None}, "image": None},
        {"digest": "sha256:3", "platform": None, "image": None},
    ]
    item: Any = {
        "id": LIST,
        "names": ["localhost/list:1"],
        "digest": "sha256:15079a9980063c98",
        "instance_count": 3,
        "instances": instances,
        "damage": None,
    }
    assert manifest_ls.render([item]) == (
        "LIST ID       NAMES             DIGEST               INSTANCES   LOCAL       PLATFORMS\n"
        "b61e32bdc307  localhost/list:1  sha256:15079a998006  3           1           linux/arm64/v8,linux/amd64\n"
    )


def layer(**members: Any) -> Any:
    return {
        "id": APP,
        "parent": None,
        "created": "2026-11-24T08:02:28Z",
        "size": 1234567,
        "images": [],
        "containers": [],
        "depth": 0,
        "damage": None,
        **members,
    }


def test_layers_are_a_table_and_a_tree() -> None:
    forest = [layer(images=[BASE]), layer(id=BASE, parent=APP, depth=1, size=None, containers=["c"])]
    assert layers.render(forest, NOW, tree=True) == (
        "LAYER ID        PARENT        CREATED         SIZE        IMAGES      CONTAINERS\n"
        "f9d7ceee89b7                  12 minutes ago  1.23 MB     1           0\n"
        "  2be687b74c07  f9d7ceee89b7  12 minutes ago  -           0           1\n"
    )
    assert layers.render(forest[1:], NOW, heading=False).startswith("2be687b74c07  f9d7ceee89b7  ")


def test_containers_tell_whose_they_are() -> None:
    item: Any = {
        "id": LIST,
        "names": ["c1"],
        "image": APP,
        "layer": None,
        "created": "2026-11-24T08:02:28Z",
        "owner": "podman",
    }
    assert containers.render([item], NOW) == (
        "CONTAINER ID  OWNER       IMAGE         LAYER       CREATED         NAMES\n"
        "b61e32bdc307  podman      f9d7ceee89b7  -           12 minutes ago  c1\n"
    )


def verdict(**members: Any) -> Any:
    base = {"id": APP, "dangling": False, "intermediate": False, "prunable": False, "removable": True, "reasons": []}
    return {**base, **members}


def test_why_names_the_evidence_and_what_changes_it() -> None:
    reasons = [
        reason("manifest_list", "localhost/list:1 names it by sha256:28"),
        reason("unreadable_evidence", "no manifest", file="/s/manifest", command="podman manifest rm b61e"),
    ]
    assert why.render("f9d7ceee89b7", verdict(reasons=reasons)) == (
        "f9d7ceee89b7\n"
        "\n"
        "  dangling      no\n"
        "  intermediate  no\n"
        "  prunable      no\n"
        "  removable     yes\n"
        "\n"
        "Kept because\n"
        "  a list names it         localhost/list:1 names it by sha256:28\n"
        "  evidence is unreadable  no manifest\n"
        "                          file: /s/manifest\n"
        "                          to change that: podman manifest rm b61e\n"
    )


def test_why_stays_one_screen_and_says_a_command_once() -> None:
    detail = "it is named x:1; `podman untag x:1` removes that name"
    children = [reason("child", f"image {number} was built on it") for number in range(40)]
    text = why.render("f9d7", verdict(reasons=[*children, reason("named", detail, command="podman untag x:1")]))
    assert text.partition("Kept because\n")[2].splitlines()[-3:] == [
        "  it has a child  image 7 was built on it",
        "  it has a child  and 32 more: --format json has them all",
        f"  it has a name   {detail}",
    ]


def test_why_says_that_nothing_keeps_an_image() -> None:
    text = why.render("app", verdict(dangling=True, prunable=True))
    assert text.startswith("app (f9d7ceee89b7)\n")
    assert text.endswith("Nothing keeps it: `storagectl image prune` would remove it.\n")


def test_info_says_that_nothing_is_wrong(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 0)  # this socket is root's by default
    assert info.render(server_info(), NOW) == (
        f"daemon         storaged {VERSION} (protocol 1.0), pid 123, trio, started 12 minutes ago\n"
        "socket         /run/storaged/storaged.sock\n"
        "settings       defaults (no storaged.toml)\n"
        "store          /nowhere/storage (driver overlay, runroot /run/containers/storage)\n"
        "configuration  /etc/containers/storage.conf\n"
        "holds          12 images, 2 manifest lists, 3 layers, 1 container\n"
        "changes        allowed\n"
        "fresh by       the store's locks\n"
        "looked at      records, and whether their folders exist; for their contents: "
        "storagectl check --scope contents\n"
        "\n"
        "Nothing is wrong.\n"
    )


def test_info_says_where_the_rest_api_is_answered_and_who_stands_in_front_of_podman() -> None:
    told = {"api_sockets": ["/run/storaged/api.sock", "/run/podman/podman.sock"], "podman_socket": "/run/podman/x.sock"}
    said = info.render(server_info(**told), NOW).splitlines()
    assert [line.split(maxsplit=2)[2] for line in said if line.lstrip().startswith("REST API")] == [
        "/run/storaged/api.sock",
        "/run/podman/podman.sock (in front of podman: podman's own is /run/podman/x.sock)",
    ]


def test_infos_json_has_podmans_store() -> None:
    store = info.podman_form(server_info(graphroot="/", half_made=[APP]))["store"]
    assert store["graphDriverName"] == "overlay"
    assert store["imageStore"] == {"number": 15}
    assert store["containerStore"]["number"] == 1
    assert 0 < store["graphRootUsed"] <= store["graphRootAllocated"]


def test_a_store_that_is_not_there_has_no_size() -> None:
    store = info.podman_form(server_info())["store"]
    assert (store["graphRootUsed"], store["graphRootAllocated"]) == (None, None)


def test_staleness_is_one_sentence_with_what_the_kernel_tells() -> None:
    stale = {"age_ms": 1234, "reason": "locked", "lock": "images.lock", "holder": None, "file": None}
    holder = {"pid": 123, "command": "podman", "mode": "write"}
    assert invocation.stale_text({**stale, "holder": holder}) == (
        "showing the state of 1.2 s ago: images.lock is held for writing by pid 123 (podman)"
    )
    assert invocation.stale_text(stale) == "showing the state of 1.2 s ago: images.lock is held"
    torn = {**stale, "reason": "unreadable", "file": "/s/images.json"}
    assert invocation.stale_text(torn) == "showing the state of 1.2 s ago: /s/images.json cannot be read"
    incomplete = invocation.stale_text({**stale, "reason": "incomplete"})
    assert incomplete == "showing what could be read when the daemon started: images.lock is held"
