"""What both trees say of the images of a store: shapes, statuses, words, names, staleness."""

from __future__ import annotations

import json
import os
import signal
from typing import Any
from urllib.parse import quote

import anyio
import pytest

from storaged.gateway.answers import Answer, Streamed
from storaged.gateway.connection import HttpConnection
from storaged.gateway.request import Request
from storaged.gateway.without_podman import WithoutPodman
from tests.support.ground import Ground, held
from tests.support.service import Desk

from .conftest import Wire, resting

pytestmark = pytest.mark.anyio

LIBPOD = "/v5.0.0/libpod"


def filtered(**filters: Any) -> str:
    return f"filters={quote(json.dumps(filters))}"


async def rows(wire: Wire, target: str) -> list[dict[str, Any]]:
    reply = await wire.get(target)
    assert (reply.status, reply.headers["content-type"]) == (200, "application/json"), reply.body
    assert reply.body.endswith(b"\n")
    found: list[dict[str, Any]] = reply.json
    return found


def named(ground: Ground) -> tuple[str, str]:
    """A name, and the id of the image that alone bears it."""
    lists = set(ground.sample.lists)
    return next((name, image) for name, image in ground.sample.names.items() if image not in lists)


# -------------------------------------------------------------------- listings


async def test_a_listing_of_podmans_tree_has_all_but_intermediate_images(desk: Desk) -> None:
    sample = desk.ground.sample
    async with resting(desk) as rest, rest.client() as wire:
        shown = [row["Id"] for row in await rows(wire, f"{LIBPOD}/images/json")]
        assert shown == [image for image in sample.images if image not in sample.intermediate]
        everything = await rows(wire, f"{LIBPOD}/images/json?all=true")
        assert [row["Id"] for row in everything] == list(sample.images)
        lists = {row["Id"] for row in everything if row["IsManifestList"]}
        assert lists == set(sample.lists)
        assert {row["Id"] for row in everything if row.get("Dangling")} >= sample.dangling - lists


async def test_a_listing_of_dockers_tree_has_no_lists_and_prefixed_ids(desk: Desk) -> None:
    sample = desk.ground.sample
    async with resting(desk) as rest, rest.client() as wire:
        found = await rows(wire, "/images/json")
        wanted = [each for each in sample.images if each not in sample.intermediate and each not in sample.lists]
        assert [row["Id"] for row in found] == [f"sha256:{each}" for each in wanted]
        assert all(row["SharedSize"] == -1 and "VirtualSize" not in row for row in found)
        assert all(isinstance(row["RepoTags"], list) for row in found)
        assert not any(row["ParentId"].startswith("sha256:") for row in found)
        older = await rows(wire, "/v1.43/images/json?shared-size=1")
        assert all(row["SharedSize"] == 0 and row["VirtualSize"] == row["Size"] for row in older)


async def test_null_and_empty_are_as_podman_has_them(desk: Desk) -> None:
    async with resting(desk) as rest, rest.client() as wire:
        libpod = next(row for row in await rows(wire, f"{LIBPOD}/images/json") if row.get("Dangling"))
        assert (libpod["RepoTags"], libpod["RepoDigests"], "Names" in libpod) == (None, [], False)
        docker = next(row for row in await rows(wire, "/images/json") if row.get("Dangling"))
        assert (docker["RepoTags"], docker["RepoDigests"], "IsManifestList" in docker) == ([], [], False)


@pytest.mark.parametrize("digests", ["digests=true", "digests=1&filters="])
async def test_digests_and_empty_filters_change_nothing(desk: Desk, digests: str) -> None:
    async with resting(desk) as rest, rest.client() as wire:
        assert await rows(wire, f"/images/json?{digests}") == await rows(wire, "/images/json")


async def test_filters_come_in_two_spellings_and_keys_in_any_case(desk: Desk) -> None:
    name, image = named(desk.ground)
    async with resting(desk) as rest, rest.client() as wire:
        listed = await rows(wire, f"/images/json?{filtered(reference=[name])}")
        assert [row["Id"] for row in listed] == [f"sha256:{image}"]
        assert listed[0]["RepoTags"] == [name]
        mapped = filtered(reference={name: True, "nosuch": False}).replace("filters", "Filters")
        assert await rows(wire, f"/images/json?{mapped}") == listed
        assert await rows(wire, f"/images/json?filter={quote(name)}") == listed
        rest_of_them = await rows(wire, f"/images/json?{filtered(**{'reference!': [name]})}")
        assert len(rest_of_them) == len(await rows(wire, "/images/json")) - 1


@pytest.mark.parametrize(
    ("query", "status"),
    [
        ("filters=x", 500),
        ("filters=[]", 500),
        ('filters={"id":{"a":true},"label":["x"]}', 500),
        ('filters={"id":[1]}', 500),
        ('filters={"nosuch":["x"]}', 500),
        ('filters={"dangling":["maybe"]}', 500),
        ('filters={"since":["nosuch"]}', 500),
        ("filters=null", 200),
        ("filters={}", 200),
        ("filters=" + "[" * 20_000, 500),
    ],
)
async def test_wrong_filters_are_500_in_both_trees(desk: Desk, query: str, status: int) -> None:
    async with resting(desk) as rest, rest.client() as wire:
        for target in ("/images/json", f"{LIBPOD}/images/json"):
            reply = await wire.get(f"{target}?{quote(query, safe='=&')}")
            assert reply.status == status
            if status == 500:
                assert reply.json["response"] == 500


async def test_a_truth_is_dockers_or_gos_by_the_tree(desk: Desk) -> None:
    async with resting(desk) as rest, rest.client() as wire:
        assert await rows(wire, "/images/json?all=garbage") == await rows(wire, "/images/json?all=1")
        assert await rows(wire, "/images/json?all=None") == await rows(wire, "/images/json")
        reply = await wire.get(f"{LIBPOD}/images/json?all=garbage&password=secret")
        assert reply.status == 400
        assert b"secret" not in reply.body


# -------------------------------------------------------------------- one image


async def test_inspect_has_the_shape_of_each_tree_by_every_name(desk: Desk) -> None:
    name, image = named(desk.ground)
    async with resting(desk) as rest, rest.client() as wire:
        for text in (name, image, image[:16], f"sha256:{image}"):
            for spelled in (text, quote(text, safe="")):
                docker = (await wire.get(f"/v1.44/images/{spelled}/json")).json
                assert docker["Id"] == f"sha256:{image}"
                assert name in docker["RepoTags"]
                assert "VirtualSize" not in docker
                libpod = (await wire.get(f"{LIBPOD}/images/{spelled}/json")).json
                assert (libpod["Id"], libpod["VirtualSize"]) == (image, libpod["Size"])
        assert "ContainerConfig" in (await wire.get(f"/v1.44/images/{image}/json")).json
        assert "ContainerConfig" not in (await wire.get(f"/images/{image}/json")).json
        assert (await wire.get(f"/v1.40/images/{image}/json")).json["ContainerConfig"]["Hostname"] == image[:11]


async def test_what_is_asked_again_of_the_same_store_is_not_made_again(desk: Desk) -> None:
    _, image = named(desk.ground)
    async with resting(desk) as rest, rest.client() as wire:
        first = await wire.get(f"{LIBPOD}/images/{image}/json")
        asked = desk.engine.metrics.counters["requests.images.get.count"]
        assert (await wire.get(f"{LIBPOD}/images/{image[:20]}/json")).body == first.body
        assert desk.engine.metrics.counters["requests.images.get.count"] == asked


async def test_a_list_by_its_id_is_shown_whatever_lies_here(desk: Desk) -> None:
    async with resting(desk) as rest, rest.client() as wire:
        for each in desk.ground.sample.lists:
            assert (await wire.get(f"{LIBPOD}/images/{each}/json")).status == 200


@pytest.mark.parametrize(
    ("target", "status", "message"),
    [
        ("/images/nosuch/json", 404, "failed to find image nosuch: docker.io/library/nosuch: No such image"),
        (
            "/images/nosuch/history",
            404,
            "failed to find image docker.io/library/nosuch: docker.io/library/nosuch: image not known",
        ),
        (f"{LIBPOD}/images/nosuch/json", 404, "failed to find image nosuch: nosuch: image not known"),
        (f"{LIBPOD}/images/nosuch/exists", 404, "failed to find image nosuch"),
        (f"{LIBPOD}/images/nosuch/tree", 404, "failed to find image nosuch: nosuch: image not known"),
        (f"{LIBPOD}/manifests/nosuch/exists", 404, "manifest not found"),
        (
            "/images/UPPER/json",
            500,
            'normalizing image: normalizing name for compat API: parsing reference "UPPER": '
            "repository name must be lowercase",
        ),
        (
            f"{LIBPOD}/images/UPPER/json",
            404,
            'failed to find image UPPER: parsing reference "UPPER": repository name must be lowercase',
        ),
        (
            f"{LIBPOD}/images/UPPER/tree",
            500,
            'failed to generate image tree for UPPER: parsing reference "UPPER": repository name must be lowercase',
        ),
        (
            "/images/%2F%2Fx/json",
            500,
            'normalizing image: normalizing name for compat API: parsing reference "//x": invalid reference format',
        ),
    ],
)
async def test_what_is_not_there_is_told_in_podmans_words(desk: Desk, target: str, status: int, message: str) -> None:
    async with resting(desk) as rest, rest.client() as wire:
        reply = await wire.get(target)
        assert (reply.status, reply.json["message"], reply.json["response"]) == (status, message, status)
        assert reply.json["cause"]


async def test_history_tree_and_exists(desk: Desk) -> None:
    name, image = named(desk.ground)
    async with resting(desk) as rest, rest.client() as wire:
        docker = await rows(wire, f"/images/{image}/history")
        libpod = await rows(wire, f"{LIBPOD}/images/{image}/history")
        assert [row["Id"].removeprefix("sha256:") for row in docker] == [row["Id"] for row in libpod]
        assert docker[0]["Id"] == f"sha256:{image}"
        assert all(row["Tags"] is None or row["Tags"] for row in libpod)
        tree = (await wire.get(f"{LIBPOD}/images/{image}/tree")).json["Tree"]
        assert tree.startswith(f"Image ID: {image[:12]}\nTags:     [{name}")
        reply = await wire.get(f"{LIBPOD}/images/{quote(name, safe='')}/exists")
        assert (reply.status, reply.body, "content-type" in reply.headers) == (204, b"", False)


async def test_resolve_completes_a_name_without_a_look_into_the_store(desk: Desk) -> None:
    async with resting(desk) as rest, rest.client() as wire:
        assert (await wire.get(f"{LIBPOD}/images/quay.io%2Fa%2Fb/resolve")).json == {"Names": ["quay.io/a/b:latest"]}
        assert (await wire.get(f"{LIBPOD}/images/short/resolve")).status == 400  # no registry is configured here


async def test_a_list_has_podmans_members_and_an_empty_one_no_null(desk: Desk) -> None:
    ground = desk.ground
    empty = await anyio.to_thread.run_sync(ground.writer.create_list, "localhost/empty:1", [])
    async with resting(desk) as rest, rest.client() as wire:
        assert (await wire.get(f"{LIBPOD}/manifests/{empty}/exists")).status == 204
        assert (await wire.get(f"{LIBPOD}/manifests/localhost%2Fempty:1/json")).json["manifests"] == []
        for each in ground.sample.lists:
            found = (await wire.get(f"{LIBPOD}/manifests/{each}/json")).json
            assert list(found)[:3] == ["schemaVersion", "mediaType", "manifests"]
            assert all(entry["platform"].keys() >= {"architecture", "os"} for entry in found["manifests"])
        _, image = named(ground)
        reply = await wire.get(f"{LIBPOD}/manifests/{image}/exists")
        assert (reply.status, reply.json["cause"]) == (500, "image is not a manifest list")


# -------------------------------------------------------------------- the system


async def test_usage_has_a_row_a_name(desk: Desk) -> None:
    async with resting(desk) as rest, rest.client() as wire:
        docker = (await wire.get("/system/df")).json
        libpod = (await wire.get(f"{LIBPOD}/system/df")).json
        assert docker["LayersSize"] == libpod["ImagesSize"]
        assert [row["Id"] for row in docker["Images"]] == [row["ImageID"] for row in libpod["Images"]]
        assert all(
            row["RepoTags"] == [other["Tag"]] for row, other in zip(docker["Images"], libpod["Images"], strict=True)
        )
        assert "VirtualSize" not in docker["Images"][0]
        assert docker["BuildCache"] == []


async def test_without_podman_version_and_info_tell_what_clients_need(desk: Desk) -> None:
    async with resting(desk) as rest, rest.client() as wire:
        version = (await wire.get("/version")).json
        assert version == (await wire.get(f"{LIBPOD}/version")).json
        assert (version["ApiVersion"], version["Components"][0]["Name"]) == ("1.44", "Podman Engine")
        assert version["Components"][0]["Details"]["APIVersion"] == version["Version"]
        docker = (await wire.get("/info")).json
        assert docker["Images"] == len(desk.ground.sample.images)
        assert docker["Swarm"]["LocalNodeState"] == "inactive"
        libpod = (await wire.get(f"{LIBPOD}/info")).json
        assert libpod["store"]["imageStore"]["number"] == docker["Images"]
        assert libpod["host"]["cgroupVersion"] in ("v1", "v2")
        assert libpod["host"]["memTotal"] == docker["MemTotal"] > 0


async def test_a_check_reports_by_kind_and_mends_nothing(desk: Desk) -> None:
    _, image = named(desk.ground)
    await anyio.Path(desk.ground.item(image, "manifest")).unlink()
    async with resting(desk) as rest, rest.client() as wire:
        report = (await wire.ask("POST", f"{LIBPOD}/system/check?quick=true")).json
        assert report["Errors"] is True
        assert image in report["Images"]
        assert report["RemovedImages"] is None
        assert (await wire.ask("POST", f"{LIBPOD}/system/check?repair=true")).status == 501
        assert (await wire.ask("POST", f"{LIBPOD}/system/check?unreferenced_layer_max_age=x")).status == 400


# -------------------------------------------------------------------- beside a writer


async def replace_name(ground: Ground) -> None:
    """What a writer halfway has done: a whole new table by rename, the lock still held."""
    text = await anyio.Path(ground.images_json).read_text()
    fresh = anyio.Path(ground.images_json.with_name(".tmp-images.json-test"))
    await fresh.write_text(text.replace(named(ground)[0], "localhost/half:way"))
    await fresh.rename(ground.images_json)


async def test_a_stale_answer_says_so_and_a_404_waits_for_the_truth(desk: Desk) -> None:
    ground = desk.ground
    async with resting(desk) as rest, rest.client() as wire:
        await rows(wire, "/images/json")
        async with held(ground.images_lock) as pid:
            await replace_name(ground)
            reply = await wire.get("/images/json")
            assert reply.headers["x-storaged-stale"].startswith("locked; age_ms=")
            assert reply.headers["x-storaged-stale"].endswith(f"pid={pid}")
            found: list[int] = []

            async def look() -> None:
                found.append((await wire.get(f"{LIBPOD}/images/localhost%2Fhalf:way/exists")).status)

            async with anyio.create_task_group() as tasks:
                tasks.start_soon(look)
                await anyio.wait_all_tasks_blocked()
                assert found == []
                # The writer ends only now.
                os.kill(pid, signal.SIGKILL)
            assert found == [204]


async def test_a_change_that_looks_again_has_its_body_still(desk: Desk) -> None:
    ground = desk.ground
    async with resting(desk) as rest, rest.client() as writer, rest.client() as wire:
        made = await writer.ask("POST", f"{LIBPOD}/manifests/localhost%2Fmade:1?images={quote(named(ground)[0])}", b"")
        assert made.status == 201
        (entry,) = (await writer.get(f"{LIBPOD}/manifests/localhost%2Fmade:1/json")).json["manifests"]
        await rows(wire, "/images/json")
        async with held(ground.images_lock) as pid:
            text = await anyio.Path(ground.images_json).read_text()
            await anyio.Path(ground.images_json).write_text(text.replace("localhost/made:1", "localhost/moved:1"))
            assert "x-storaged-stale" in (await wire.get("/images/json")).headers
            found: list[int] = []

            async def annotate() -> None:
                change = {"operation": "annotate", "images": [entry["digest"]], "arch": "s390x"}
                target = f"{LIBPOD}/manifests/localhost%2Fmoved:1"
                found.append((await wire.ask("PUT", target, json.dumps(change).encode())).status)

            async with anyio.create_task_group() as tasks:
                tasks.start_soon(annotate)
                await anyio.wait_all_tasks_blocked()
                assert found == []
                os.kill(pid, signal.SIGKILL)
            assert found == [200]


async def test_a_strict_read_does_not_share_a_look_from_before_it(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    looks: list[str] = []
    async with resting(desk) as rest, rest.client() as wire:
        await rows(wire, "/images/json")
        look = desk.engine.cache.view_now

        def noted(consistency: Any = "fresh") -> Any:
            looks.append(consistency)
            return look(consistency)

        monkeypatch.setattr(desk.engine.cache, "view_now", noted)
        await wire.ask("POST", f"{LIBPOD}/images/nosuch/untag", b"")
        looks.clear()
        await rows(wire, "/images/json")
        assert looks == ["strict"]


class Passing(WithoutPodman):
    """In podman's place: changes something, whatever is asked."""

    async def pass_on(self, connection: HttpConnection, request: Request) -> Answer | Streamed | None:
        return Answer(status=201)


async def test_after_a_change_was_passed_on_nothing_stale_is_read(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("storaged.gateway.store_access.PATIENCE", 0.2)
    ground = desk.ground
    async with resting(desk, upstream=Passing()) as rest, rest.client() as wire:
        await rows(wire, "/images/json")
        async with held(ground.images_lock) as pid:
            await replace_name(ground)
            assert (await wire.ask("POST", "/containers/prune", b"")).status == 201
            reply = await wire.get("/images/json")
            assert reply.status == 503
            assert f"pid {pid}" in reply.json["message"]
