"""Changes by REST: what each tree answers, what the store holds afterwards, whom it is refused, what podman is left."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

import pytest

from storaged.gateway.pass_rights import PassRights
from storaged.gateway.pass_through import PassTerms, PassThrough
from storaged.gateway.passed_changes import PassedChanges
from storaged.gateway.podman_socket import PodmanSocket
from storaged.sample import SampleSpec
from tests.support.fake_podman import fake_podman
from tests.support.ground import DRIVER, lay
from tests.support.service import Desk, desk_of

from .conftest import Echo, Reply, Wire, resting
from .test_reads import LIBPOD, named, rows

pytestmark = pytest.mark.anyio


async def names_of(wire: Wire, image: str) -> list[str]:
    listed = await rows(wire, f"{LIBPOD}/images/json?all=true")
    return next(row["RepoTags"] or [] for row in listed if row["Id"] == image)


async def ids(wire: Wire) -> set[str]:
    return {row["Id"] for row in await rows(wire, f"{LIBPOD}/images/json?all=true")}


async def post(wire: Wire, target: str, **query: str) -> Reply:
    return await wire.ask("POST", f"{target}?{urlencode(query)}" if query else target, b"")


async def put(wire: Wire, target: str, **members: Any) -> Reply:
    return await wire.ask("PUT", target, json.dumps(members).encode())


# -------------------------------------------------------------------- names


async def test_a_tag_is_localhosts_in_podmans_tree_and_hubs_in_dockers(desk: Desk) -> None:
    name, image = named(desk.ground)
    async with resting(desk) as rest, rest.client() as wire:
        reply = await post(wire, f"{LIBPOD}/images/{quote(name, safe='')}/tag", repo="new", tag="1")
        assert (reply.status, reply.body, reply.headers["content-type"]) == (201, b"\n", "text/plain; charset=us-ascii")
        assert "localhost/new:1" in await names_of(wire, image)
        assert (await post(wire, f"/v1.44/images/{image[:16]}/tag", repo="other")).status == 201
        assert "docker.io/library/other:latest" in await names_of(wire, image)
        # What is here already means that, also in Docker's tree.
        assert (await post(wire, f"/images/{image}/tag", repo="new", tag="1")).status == 201
        assert "docker.io/library/new:1" not in await names_of(wire, image)


async def test_repo_and_tag_may_come_in_a_form(desk: Desk) -> None:
    _, image = named(desk.ground)
    async with resting(desk) as rest, rest.client() as wire:
        headers = {"Content_Type": "application/x-www-form-urlencoded"}
        reply = await wire.ask("POST", f"{LIBPOD}/images/{image}/tag", b"repo=quay.io%2Fa%2Fb&tag=7", **headers)
        assert reply.status == 201
        assert "quay.io/a/b:7" in await names_of(wire, image)


@pytest.mark.parametrize(
    ("target", "query", "status"),
    [
        ("/images/{image}/tag", {}, 400),
        (f"{LIBPOD}/images/{{image}}/tag", {"tag": "1"}, 400),
        ("/images/nosuch/tag", {"repo": "a"}, 404),
        (f"{LIBPOD}/images/nosuch/tag", {"repo": "a"}, 404),
        ("/images/{image}/tag", {"repo": "UPPER"}, 500),
        (f"{LIBPOD}/images/{{image}}/tag", {"repo": "UPPER"}, 500),
        (f"{LIBPOD}/images/{{image}}/untag", {"tag": "1"}, 400),
        (f"{LIBPOD}/images/nosuch/untag", {"repo": "a"}, 404),
        (f"{LIBPOD}/images/{{image}}/untag", {"repo": "nosuch"}, 500),
        (f"{LIBPOD}/images/{{image}}/untag", {"repo": "UPPER"}, 500),
    ],
)
async def test_what_is_wrong_with_a_name_has_podmans_status(
    desk: Desk, target: str, query: dict[str, str], status: int
) -> None:
    name, image = named(desk.ground)
    async with resting(desk) as rest, rest.client() as wire:
        reply = await post(wire, target.format(image=image), **query)
        assert (reply.status, reply.json["response"]) == (status, status)
        assert reply.json["message"]
        assert await names_of(wire, image) == [name]


async def test_untag_takes_one_name_or_all(desk: Desk) -> None:
    name, image = named(desk.ground)
    async with resting(desk) as rest, rest.client() as wire:
        for tag in ("1", "2"):
            await post(wire, f"{LIBPOD}/images/{image}/tag", repo="a", tag=tag)
        assert (await post(wire, f"{LIBPOD}/images/{image}/untag", repo="localhost/a", tag="1")).status == 201
        assert sorted(await names_of(wire, image)) == sorted(["localhost/a:2", name])
        assert (await post(wire, f"{LIBPOD}/images/{image}/untag")).status == 201
        assert await names_of(wire, image) == []
        assert (await post(wire, f"/images/{image}/untag")).status == 405


# -------------------------------------------------------------------- removals


async def test_one_of_several_names_is_untagged_and_the_last_one_takes_the_image(desk: Desk) -> None:
    name, image = named(desk.ground)
    async with resting(desk) as rest, rest.client() as wire:
        await post(wire, f"{LIBPOD}/images/{image}/tag", repo="a", tag="1")
        untagged = await wire.ask("DELETE", "/images/localhost/a:1")
        assert (untagged.status, untagged.json) == (200, [{"Untagged": "localhost/a:1"}])
        gone = await wire.ask("DELETE", f"/v1.44/images/{quote(name)}?force=False&noprune=False")
        assert gone.status == 200
        assert {"Untagged": name} in gone.json
        assert {"Deleted": image} in gone.json
        assert image not in await ids(wire)


async def test_podmans_report_of_one_has_its_exit_code(desk: Desk) -> None:
    name, image = named(desk.ground)
    async with resting(desk) as rest, rest.client() as wire:
        gone = await wire.ask("DELETE", f"{LIBPOD}/images/{quote(name, safe='')}")
        assert gone.json["Deleted"][0] == image
        assert (gone.json["Untagged"], gone.json["ExitCode"], gone.json["Errors"]) == ([name], 0, [])
        missing = await wire.ask("DELETE", f"{LIBPOD}/images/nosuch")
        assert (missing.status, missing.json["cause"]) == (404, "image not known")
        ignored = await wire.ask("DELETE", f"{LIBPOD}/images/nosuch?ignore=true")
        assert (ignored.status, ignored.json) == (200, {"ExitCode": 0, "Errors": []})
        missing = await wire.ask("DELETE", "/images/nosuch")
        assert missing.json["message"] == ("failed to find image nosuch: docker.io/library/nosuch: image not known")


async def test_an_id_with_several_names_needs_force(desk: Desk) -> None:
    name, image = named(desk.ground)
    async with resting(desk) as rest, rest.client() as wire:
        await post(wire, f"{LIBPOD}/images/{image}/tag", repo="a", tag="1")
        for target in (f"/images/{image}", f"{LIBPOD}/images/{image}"):
            refused = await wire.ask("DELETE", target)
            assert (refused.status, "please force removal" in refused.json["message"]) == (500, True)
        gone = await wire.ask("DELETE", f"{LIBPOD}/images/{image}?force=true")
        assert sorted(gone.json["Untagged"]) == sorted([name, "localhost/a:1"])


async def test_a_batch_is_always_200_and_tells_what_failed(desk: Desk) -> None:
    name, image = named(desk.ground)
    async with resting(desk) as rest, rest.client() as wire:
        target = f"{LIBPOD}/images/remove?images={quote(name)}&images=nosuch&force=&lookupmanifest="
        mixed = await wire.ask("DELETE", target)
        assert mixed.status == 200
        assert image in mixed.json["Deleted"]
        assert (mixed.json["ExitCode"], mixed.json["Errors"]) == (1, ["nosuch: image not known"])
        ignored = await wire.ask("DELETE", f"{LIBPOD}/images/remove?images=nosuch&ignore=true")
        assert ignored.json == {"ExitCode": 0, "Errors": None}


@pytest.mark.parametrize("query", ["", "?force=true", "?images=", "?images=a&all=true"])
async def test_a_batch_without_names_removes_nothing(desk: Desk, query: str) -> None:
    async with resting(desk) as rest, rest.client() as wire:
        before = await ids(wire)
        reply = await wire.ask("DELETE", f"{LIBPOD}/images/remove{query}")
        assert (reply.status, reply.json["response"]) == (400, 400)
        assert await ids(wire) == before


@pytest.fixture
def used(tmp_path: Path) -> Iterator[Desk]:
    """Of a store with a container of podman's and one of buildah's."""
    with lay(tmp_path, spec=SampleSpec(images=12, seed=3, driver=DRIVER, containers=2)) as ground:
        yield desk_of(ground, own_uid=os.geteuid())


async def in_use(desk: Desk) -> str:
    """The id of the image that podman's container uses."""
    listed = await desk.ask("containers.list")
    return str(next(each["image"] for each in listed["containers"] if each["owner"] == "podman"))


async def test_an_image_in_use_stays_in_podmans_words(used: Desk) -> None:
    async with resting(used) as rest, rest.client() as wire:
        image = await in_use(used)
        for force in ("", "?force=true"):
            docker = await wire.ask("DELETE", f"/images/{image}{force}")
            assert docker.status == 409
            assert docker.json["message"].startswith(f"image {image} is in use: ")
            libpod = await wire.ask("DELETE", f"{LIBPOD}/images/{image}{force}")
            assert (libpod.status, libpod.json["cause"]) == (409, "image is in use by a container")
        batch = await wire.ask("DELETE", f"{LIBPOD}/images/remove?images={image}&force=true")
        assert (batch.status, batch.json["ExitCode"]) == (200, 2)
        assert image in await ids(wire)


async def test_a_forced_removal_of_what_podman_uses_is_podmans(used: Desk) -> None:
    async with resting(used, upstream=Echo()) as rest, rest.client() as wire:
        image = await in_use(used)
        target = f"{LIBPOD}/images/{image}?force=true"
        assert (await wire.ask("DELETE", target)).body == f"DELETE {target} ".encode()
        assert (await wire.ask("DELETE", f"{LIBPOD}/images/{image}")).status == 409


# -------------------------------------------------------------------- prune


async def test_prune_takes_what_dangles_and_with_all_what_nobody_uses(desk: Desk) -> None:
    async with resting(desk) as rest, rest.client() as wire:
        would = await desk.ask("images.prune", {"dry_run": True})
        assert would["removed"], "nothing would be shown"
        pruned = await post(wire, f"{LIBPOD}/images/prune", filters="{}", all="false", external="", buildcache="")
        assert [row["Id"] for row in pruned.json] == [gone["id"] for gone in would["removed"]]
        assert [row["Size"] for row in pruned.json] == [gone["freed"] or 0 for gone in would["removed"]]
        assert (await post(wire, f"{LIBPOD}/images/prune")).json == []
        assert (await post(wire, "/images/prune")).json == {"ImagesDeleted": [], "SpaceReclaimed": 0}
        would = await desk.ask("images.prune", {"dry_run": True, "all": True})
        everything = await post(wire, "/images/prune", filters='{"dangling":{"false":true}}')
        assert everything.json["SpaceReclaimed"] == would["freed"]
        assert [row["Deleted"] for row in everything.json["ImagesDeleted"]] == [gone["id"] for gone in would["removed"]]


@pytest.mark.parametrize(
    ("target", "query"),
    [
        ("/images/prune", {"filters": '{"nosuch":["x"]}'}),
        ("/images/prune", {"filters": '{"dangling":["maybe"]}'}),
        (f"{LIBPOD}/images/prune", {"filters": '{"all":["maybe"]}'}),
        (f"{LIBPOD}/images/prune", {"filters": '{"until":["never"]}'}),
        (f"{LIBPOD}/images/prune", {"filters": ""}),
    ],
)
async def test_a_wrong_filter_of_prune_removes_nothing(desk: Desk, target: str, query: dict[str, str]) -> None:
    async with resting(desk) as rest, rest.client() as wire:
        before = await ids(wire)
        wrong = bool(query["filters"])
        reply = await post(wire, target, **query)
        assert reply.status == (500 if wrong else 200)
        assert not wrong or await ids(wire) == before


async def test_a_prune_heeds_every_value_of_a_filter(desk: Desk) -> None:
    async with resting(desk) as rest, rest.client() as wire:
        listed = await rows(wire, f"{LIBPOD}/images/json?all=true")
        label = next(f"{key}={value}" for row in listed for key, value in (row["Labels"] or {}).items())
        before = await ids(wire)
        filters = json.dumps({"label": [label, "nosuch"]})
        assert (await post(wire, f"{LIBPOD}/images/prune", all="true", filters=filters)).json == []
        assert await ids(wire) == before


# -------------------------------------------------------------------- lists


async def entries(wire: Wire, name: str) -> list[dict[str, Any]]:
    return list((await wire.get(f"{LIBPOD}/manifests/{quote(name, safe='')}/json")).json["manifests"])


async def test_a_list_is_made_edited_and_deleted(desk: Desk) -> None:
    name, image = named(desk.ground)
    made = "localhost/made:1"
    target = f"{LIBPOD}/manifests/{quote(made, safe='')}"
    async with resting(desk) as rest, rest.client() as wire:
        created = await post(wire, target, images=name)
        assert (created.status, set(created.json)) == (201, {"Id"})
        assert (await wire.get(f"{target}/exists")).status == 204
        (entry,) = await entries(wire, made)
        edited = await put(wire, target, Operation="annotate", Images=[entry["digest"]], Arch="s390x", OS="linux",
                           annotations={"a": "b"})  # fmt: skip
        assert (edited.status, edited.json["images"]) == (200, [entry["digest"]])
        (entry,) = await entries(wire, made)
        assert (entry["platform"]["architecture"], entry["annotations"]) == ("s390x", {"a": "b"})
        index = await put(wire, target, operation="annotate", index_annotation=["c=d"])
        assert index.status == 200
        assert (await wire.get(f"{target}/json")).json["annotations"] == {"c": "d"}
        removed = await put(wire, target, operation="REMOVE", images=[entry["digest"]])
        assert removed.json == {"Id": created.json["Id"], "images": [entry["digest"]]}
        assert await entries(wire, made) == []
        added = await put(wire, target, operation="update", images=[name])
        assert (added.json, len(await entries(wire, made))) == ({"Id": created.json["Id"], "images": [name]}, 1)
        deleted = await wire.ask("DELETE", target)
        assert deleted.json["Deleted"] == [created.json["Id"]]
        assert (deleted.json["ExitCode"], deleted.json["Errors"]) == (0, [])
        assert (await wire.ask("DELETE", target)).status == 404
        assert image in await ids(wire)


async def test_a_create_that_fails_leaves_no_list(desk: Desk) -> None:
    name, _ = named(desk.ground)
    async with resting(desk) as rest, rest.client() as wire:
        before = await ids(wire)
        failed = await post(wire, f"{LIBPOD}/manifests/made", images="nosuch")
        assert (failed.status, failed.json["cause"]) == (500, "image not known")
        body = json.dumps({"images": ["nosuch"], "arch": "arm64"}).encode()
        assert (await wire.ask("POST", f"{LIBPOD}/manifests/made", body)).status == 500
        assert (await post(wire, f"{LIBPOD}/manifests/UPPER")).status == 400
        taken = await post(wire, f"{LIBPOD}/manifests/{quote(name, safe='')}")
        assert taken.status == 500
        assert f'image name "{name}" is already associated with image' in taken.json["message"]
        assert await ids(wire) == before


async def test_an_edit_tells_what_failed_and_what_did_not(desk: Desk) -> None:
    name, _ = named(desk.ground)
    target = f"{LIBPOD}/manifests/made"
    nothing = f"sha256:{'0' * 64}"
    async with resting(desk) as rest, rest.client() as wire:
        await post(wire, target, images=name)
        (entry,) = await entries(wire, "made")
        all_failed = await put(wire, target, operation="remove", images=[nothing])
        assert (all_failed.status, len(all_failed.json["errors"]), all_failed.json["response"]) == (400, 1, 400)
        some_failed = await put(wire, target, operation="remove", images=[nothing, entry["digest"]])
        assert (some_failed.status, some_failed.json["images"]) == (409, [entry["digest"]])
        illegal = await put(wire, f"{target}?password=secret", operation="burn")
        assert (illegal.status, b"secret" in illegal.body) == (400, False)
        assert illegal.json["message"].startswith('illegal operation "burn"')
        assert (await put(wire, f"{LIBPOD}/manifests/nosuch", operation="update")).status == 404
        assert (await wire.ask("PUT", target, b"{")).status == 500
        both = await put(wire, target, operation="update", annotation=["a=b"], annotations={"a": "b"})
        assert (both.status, both.json["message"]) == (400, "can not set both Annotation and Annotations")


async def test_images_from_elsewhere_and_files_are_podmans_with_the_whole_body(desk: Desk, short_dir: Path) -> None:
    name, _ = named(desk.ground)
    target = f"{LIBPOD}/manifests/echo"  # the fake's word for telling what it read
    terms = PassTerms(podman=PodmanSocket(path=str(short_dir / "podman")), rights=PassRights(own_uid=os.geteuid()))
    upstream = PassThrough(terms, desk.engine.metrics, PassedChanges())
    async with fake_podman(short_dir / "podman"), resting(desk, upstream=upstream) as rest, rest.client() as wire:
        await desk.ask("manifests.create", {"name": "echo", "images": [name]})
        body = json.dumps({"operation": "update", "images": ["docker://quay.io/far/away:1"]}).encode()
        for method, asked in (("PUT", target), ("POST", f"{LIBPOD}/manifests/new/echo?images=far")):
            told = (await wire.ask(method, asked, body)).json
            assert (told["method"], told["body"]) == (method, hashlib.sha256(body).hexdigest())
        parts = (await wire.ask("PUT", target, b"--x", Content_Type="multipart/form-data; boundary=x")).json
        assert parts["size"] == 3
        # Chunked as some clients send it, and the connection goes on.
        head = f"PUT {target} HTTP/1.1\r\nHost: d\r\nTransfer-Encoding: chunked\r\n\r\n".encode()
        await wire.send(head + b"%x\r\n" % len(body) + body + b"\r\n0\r\n\r\n")
        assert (await wire.reply()).json["body"] == hashlib.sha256(body).hexdigest()
        assert (await wire.get(f"{target}/exists")).status == 204


async def test_lists_have_their_old_paths_before_podman_4(desk: Desk) -> None:
    name, _ = named(desk.ground)
    old = "/v3.4.0/libpod/manifests"
    async with resting(desk) as rest, rest.client() as wire:
        created = await post(wire, f"{old}/create", name="localhost/made:1")
        assert (created.status, set(created.json)) == (200, {"Id"})
        listed = f"{old}/localhost%2Fmade%3A1"
        added = await wire.ask("POST", f"{listed}/add", json.dumps({"images": [name]}).encode())
        assert (added.status, added.json) == (200, created.json)
        (entry,) = await entries(wire, "localhost/made:1")
        assert (await wire.ask("DELETE", f"{listed}?digest={entry['digest']}")).json == created.json
        assert await entries(wire, "localhost/made:1") == []
        assert (await post(wire, f"{LIBPOD}/manifests/create")).status == 201
        assert (await wire.get(f"{LIBPOD}/manifests/localhost%2Fcreate/exists")).status == 204


# -------------------------------------------------------------------- rights


async def test_who_may_not_change_the_store_is_refused_in_both_trees(desk: Desk) -> None:
    name, image = named(desk.ground)
    async with resting(desk) as rest, rest.client() as own, rest.client(uid=4242) as wire:
        before = await ids(own)
        changes = [
            ("POST", f"/images/{image}/tag?repo=a"),
            ("POST", f"{LIBPOD}/images/{image}/untag"),
            ("DELETE", f"/images/{image}"),
            ("DELETE", f"{LIBPOD}/images/remove?images={quote(name)}"),
            ("POST", f"{LIBPOD}/images/prune"),
            ("POST", f"{LIBPOD}/manifests/made"),
        ]
        for method, target in changes:
            reply = await wire.ask(method, target, b"")
            assert (reply.status, reply.json["response"]) == (403, 403)
        assert await ids(own) == before
