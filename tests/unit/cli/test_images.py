"""The listing, against what podman 5.8.6 printed of the store described here."""

from __future__ import annotations

import json
from typing import Any

import pytest

from storaged_client.cli import images
from storaged_client.cli.flags import GLOBAL, Options, UsageError, parse

from .facts import APP, BASE, LIST, NOW, image

UNTAGGED = "150aa2144acb793358e3c9a429aee5e78b19c2958c65df0b26af1fd2215712bc"
DOCK = "63239dd13b5eb8b2ac2821bb292093642dbdec316a8a87bb3e9ab9541f3b5332"
EMPTY = "5f576bafefe750b4c3cab8fabd732da372a82eef4d9d9b56b6449879d31e1e68"

BASE_DIGEST = "sha256:76137ce7d948f59eb0f24550d88ceca502d52736731026f37e56e040cbd76113"
DOCK_DIGEST = "sha256:266f6c82c2ec3bf85344600df08477ce731a70a65542297182d249a15d4cdd97"
UNTAGGED_DIGEST = "sha256:b8081537d91f30e575122df3e29c2bb0643dd37ed6bdad6dbfaf637db3970379"
NO_INSTANCES = "sha256:20b959ad5960230b65a77b746bdbf5d991ade4d7a129c2554e167acdcc990531"
LIST_BYTES = "sha256:15079a9980063c983e6524209e2705945f09dc64e1798520a7513dab388b5d74"


def one(id_: str, digest: str, created: str, size: int, *names: str, **members: Any) -> Any:
    return image(id=id_, digest=digest, digests=[digest], created=created, size=size, names=list(names), **members)


BASE_IMAGE = one(
    *(BASE, BASE_DIGEST, "2026-11-24T08:02:27.971273445Z", 1240175),
    *("localhost/base:a", "localhost/base:z", "localhost/base:v1"),
)
APP_IMAGE = image(
    names=["localhost/app:latest", "quay.io/ns/app:v2"],
    names_history=["quay.io/ns/app:v2", "localhost/app:latest"],
    labels={"x": "<y>&z", "a": "b"},
    parent="b7f5bcfe7060f62cf6512d090c1baf7a670318fb35eb6a92de83eca5f087be4f",
    containers=1,
)
DOCK_IMAGE = one(
    *(DOCK, DOCK_DIGEST, "2026-11-24T08:02:28.282900625Z", 1242539),
    *(f"quay.io/dig/two@{DOCK_DIGEST}", "localhost/dock:latest", f"quay.io/dig/both:t@{DOCK_DIGEST}"),
)
UNTAGGED_IMAGE = one(UNTAGGED, UNTAGGED_DIGEST, "2026-11-24T08:02:28.366377188Z", 1240923, dangling=True)
LIST_IMAGE = one(
    *(LIST, NO_INSTANCES, "2026-11-24T08:02:42.1Z", 973, "localhost/list:1"),
    manifest_list=True,
)
EMPTY_IMAGE = one(EMPTY, NO_INSTANCES, "2026-11-24T08:02:42.9Z", 1660, "localhost/empty:latest", manifest_list=True)

STORE = [BASE_IMAGE, APP_IMAGE, DOCK_IMAGE, UNTAGGED_IMAGE, LIST_IMAGE, EMPTY_IMAGE]
"""In the order of the store."""


def options(*argv: str) -> Options:
    made = Options()
    parse((*images.FLAGS, *GLOBAL), list(argv), made, "")
    return made


def table(*argv: str, of: list[Any] = STORE) -> str:
    given = options(*argv)
    return images.render_table(images.ordered(of, given.text("sort") or "created"), given, NOW)


def test_the_table_is_podmans() -> None:
    assert table() == (
        "REPOSITORY        TAG         IMAGE ID      CREATED         SIZE\n"
        "localhost/list    1           b61e32bdc307  12 minutes ago  973 B\n"
        "localhost/empty   latest      5f576bafefe7  12 minutes ago  1.66 kB\n"
        "localhost/app     latest      f9d7ceee89b7  12 minutes ago  1.24 MB\n"
        "quay.io/ns/app    v2          f9d7ceee89b7  12 minutes ago  1.24 MB\n"
        "localhost/dock    latest      63239dd13b5e  12 minutes ago  1.24 MB\n"
        "quay.io/dig/both  t           63239dd13b5e  12 minutes ago  1.24 MB\n"
        "<none>            <none>      150aa2144acb  12 minutes ago  1.24 MB\n"
        "localhost/base    a           2be687b74c07  12 minutes ago  1.24 MB\n"
        "localhost/base    z           2be687b74c07  12 minutes ago  1.24 MB\n"
        "localhost/base    v1          2be687b74c07  12 minutes ago  1.24 MB\n"
    )


def test_digests_and_whole_ids_are_podmans() -> None:
    assert table("--digests", "--no-trunc", "-n", of=[LIST_IMAGE, UNTAGGED_IMAGE]) == (
        "localhost/list  1           sha256:20b959ad5960230b65a77b746bdbf5d991ade4d7a129c2554e167acdcc990531"
        "  sha256:b61e32bdc3070386e6ddd5ff340f601fe0ca84d1f4898bfb657098344c4cfa45  12 minutes ago  973 B\n"
        "<none>          <none>      sha256:b8081537d91f30e575122df3e29c2bb0643dd37ed6bdad6dbfaf637db3970379"
        "  sha256:150aa2144acb793358e3c9a429aee5e78b19c2958c65df0b26af1fd2215712bc  12 minutes ago  1.24 MB\n"
    )


def test_history_is_a_column_joined_by_commas() -> None:
    assert table("--history", of=[LIST_IMAGE, APP_IMAGE]) == (
        "REPOSITORY      TAG         IMAGE ID      CREATED         SIZE        HISTORY\n"
        "localhost/list  1           b61e32bdc307  12 minutes ago  973 B       <none>\n"
        "localhost/app   latest      f9d7ceee89b7  12 minutes ago  1.24 MB     "
        "quay.io/ns/app:v2, localhost/app:latest\n"
        "quay.io/ns/app  v2          f9d7ceee89b7  12 minutes ago  1.24 MB     "
        "quay.io/ns/app:v2, localhost/app:latest\n"
    )


def test_a_read_only_image_adds_the_column() -> None:
    read_only = one("1a107f9136ce" + "0" * 52, "sha256:e1", "2026-11-24T08:02:27Z", 1240135, "localhost/nolabel:latest")
    assert table(of=[LIST_IMAGE, {**read_only, "read_only": True}]) == (
        "REPOSITORY         TAG         IMAGE ID      CREATED         SIZE        R/O\n"
        "localhost/list     1           b61e32bdc307  12 minutes ago  973 B       false\n"
        "localhost/nolabel  latest      1a107f9136ce  12 minutes ago  1.24 MB     true\n"
    )


def test_a_damaged_image_is_one_flagged_row() -> None:
    broken = {**UNTAGGED_IMAGE, "size": None, "damage": {"name": "manifest_missing", "detail": "it is gone"}}
    assert table(of=[LIST_IMAGE, broken]) == (
        "REPOSITORY      TAG         IMAGE ID      CREATED         SIZE        DAMAGE\n"
        "localhost/list  1           b61e32bdc307  12 minutes ago  973 B       \n"
        "<none>          <none>      150aa2144acb  12 minutes ago  -           manifest_missing\n"
    )


@pytest.mark.parametrize(
    ("sort", "podman"),
    [
        ("size", "localhost/list localhost/empty localhost/base <none> localhost/app localhost/dock"),
        ("repository", "<none> localhost/app localhost/base localhost/dock localhost/empty localhost/list"),
        ("tag", "localhost/list <none> localhost/app localhost/dock localhost/empty localhost/base"),
        ("id", "<none> localhost/base localhost/empty localhost/dock localhost/list localhost/app"),
        ("created", "localhost/list localhost/empty localhost/app localhost/dock <none> localhost/base"),
    ],
)
def test_rows_are_sorted_as_podman_sorts_them(sort: str, podman: str) -> None:
    named = {APP: "localhost/app:latest", DOCK: "localhost/dock:latest", BASE: "localhost/base:v1"}
    store = [{**item, "names": [named[item["id"]]]} if item["id"] in named else item for item in STORE]
    assert " ".join(row.repository for row in images.ordered(store, sort)) == podman


def test_within_a_repository_rows_are_sorted_by_tag() -> None:
    assert [row.tag for row in images.ordered([BASE_IMAGE], "repository")] == ["a", "v1", "z"]


def test_images_of_one_second_keep_the_order_of_the_store() -> None:
    rows = images.ordered([DOCK_IMAGE, APP_IMAGE, UNTAGGED_IMAGE], "created")
    assert list(dict.fromkeys(row.image["id"] for row in rows)) == [DOCK, APP, UNTAGGED]


def test_ids_are_printed_once() -> None:
    rows = images.ordered(STORE, "created")
    assert images.render_ids(rows, full=False).split() == [
        *("b61e32bdc307", "5f576bafefe7", "f9d7ceee89b7", "63239dd13b5e", "150aa2144acb", "2be687b74c07")
    ]
    assert images.render_ids(rows, full=True).startswith(f"sha256:{LIST}\n")


def test_json_has_an_object_a_row_with_podmans_members() -> None:
    text = images.render_json(images.ordered([APP_IMAGE], "created"))
    first = """\
[
    {
        "Id": "f9d7ceee89b7b508e403226dfc00cea4048896b5ffecb02be3778ab428ce3918",
        "ParentId": "b7f5bcfe7060f62cf6512d090c1baf7a670318fb35eb6a92de83eca5f087be4f",
        "RepoTags": null,
        "RepoDigests": [
            "localhost/app@sha256:288afb3b75571383c69b89b0f9381db945429cb69466c0fb64a919385b5382c0",
            "quay.io/ns/app@sha256:288afb3b75571383c69b89b0f9381db945429cb69466c0fb64a919385b5382c0"
        ],
        "Size": 1241247,
        "SharedSize": 0,
        "VirtualSize": 1241247,
        "Labels": {
            "a": "b",
            "x": "\\u003cy\\u003e\\u0026z"
        },
        "Containers": 1,
        "Digest": "sha256:288afb3b75571383c69b89b0f9381db945429cb69466c0fb64a919385b5382c0",
        "History": [
            "quay.io/ns/app:v2",
            "localhost/app:latest"
        ],
        "Names": [
            "localhost/app:latest",
            "quay.io/ns/app:v2"
        ],
        "Created": 1795507348,
        "CreatedAt": "2026-11-24T08:02:28Z"
    },
"""
    assert text.startswith(first)
    one_row, same = json.loads(text)
    assert one_row == same


def test_json_omits_what_podman_omits() -> None:
    (found,) = json.loads(images.render_json(images.ordered([UNTAGGED_IMAGE], "created")))
    assert found["Dangling"] is True
    assert found["RepoDigests"] == []
    assert found["Labels"] is None
    assert not {"ReadOnly", "History", "Names", "Damage"} & set(found)
    assert images.render_json([]) == "[]\n"


def test_read_only_comes_before_dangling() -> None:
    item = {**UNTAGGED_IMAGE, "read_only": True}
    (found,) = json.loads(images.render_json(images.ordered([item], "created")))
    assert list(found)[8:12] == ["Containers", "ReadOnly", "Dangling", "Digest"]


def test_a_list_shows_the_repository_digests_of_all_its_digests() -> None:
    item = {**LIST_IMAGE, "digests": [NO_INSTANCES, LIST_BYTES]}
    (found,) = json.loads(images.render_json(images.ordered([item], "created")))
    assert found["RepoDigests"] == [f"localhost/list@{LIST_BYTES}", f"localhost/list@{NO_INSTANCES}"]


def test_a_time_that_is_none_sorts_as_the_oldest() -> None:
    rows = images.ordered([{**UNTAGGED_IMAGE, "created": "never"}, BASE_IMAGE], "created")
    assert rows[-1].image["id"] == UNTAGGED


def test_a_request_asks_only_for_what_is_shown() -> None:
    assert images.params(options("-q"), []) == {
        "filters": [],
        "all": False,
        "fields": ["created", "damage", "id", "names", "read_only", "size"],
    }
    assert "labels" in images.params(options("--format", "json"), [])["fields"]
    assert "digest" in images.params(options("--digests"), [])["fields"]
    assert "names_history" in images.params(options("--history"), [])["fields"]


def test_intermediate_images_are_hidden_unless_asked_for() -> None:
    assert images.params(options("-a"), [])["all"] is True
    assert images.params(options("-f", "intermediate=true"), [])["all"] is True
    assert images.params(options("-f", "dangling=true"), [])["all"] is False


def test_a_name_is_a_reference_filter() -> None:
    assert images.params(options(), ["app"])["filters"] == ["reference=app"]


@pytest.mark.parametrize(
    ("argv", "arguments", "podman"),
    [
        (["-f", "dangling=true"], ["x"], "cannot specify an image and a filter(s)"),
        ([], ["x", "y"], "accepts at most 1 arg(s), received 2"),
    ],
)
def test_wrong_arguments_are_told_in_podmans_words(argv: list[str], arguments: list[str], podman: str) -> None:
    with pytest.raises(UsageError) as caught:
        images.params(options(*argv), arguments)
    assert str(caught.value) == podman
