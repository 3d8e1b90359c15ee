"""Every method on a real store: what it answers, and what it refuses."""

from __future__ import annotations

import base64
import gc
import hashlib
import json
import sys
from contextlib import suppress

import anyio
import anyio.lowlevel
import pytest
from anyio.to_thread import run_sync

from storaged_client.contract import wire
from storaged_client.contract.errors import (
    DataUnknown,
    GenerationGone,
    ImageUnknown,
    InvalidParams,
    LayerUnknown,
    MethodNotFound,
    NotPermitted,
    StoragedError,
    StoreCorrupt,
    TooLarge,
)
from storaged_client.contract.methods import METHODS
from tests.support.service import OWN_UID, Desk, connected

pytestmark = pytest.mark.anyio


async def test_listing_pages_through_one_generation_while_the_store_changes(desk: Desk) -> None:
    async with desk.ground.running():
        whole = await desk.ask("images.list", {"all": True})
        page = await desk.ask("images.list", {"all": True, "limit": 7})
        rows, generation = page["images"], page["generation"]
        await run_sync(lambda: desk.ground.writer.add_image("in between"))
        while page["next_cursor"] is not None:
            page = await desk.ask("images.list", {"cursor": page["next_cursor"], "limit": 7})
            assert page["generation"] == generation
            rows += page["images"]
        assert rows == whole["images"]
        assert (await desk.ask("images.list", {"all": True}))["generation"] != generation


async def test_cursor_of_another_method_or_made_up_is_refused(desk: Desk) -> None:
    async with desk.ground.running():
        page = await desk.ask("images.list", {"limit": 1})
        with pytest.raises(InvalidParams):
            await desk.ask("layers.list", {"cursor": page["next_cursor"]})
        with pytest.raises(InvalidParams):
            await desk.ask("images.list", {"cursor": page["next_cursor"].partition(".")[0] + ".999999"})
        with pytest.raises(GenerationGone):
            await desk.ask("images.list", {"cursor": "never.0"})


async def test_fields_narrow_each_row_and_unknown_ones_are_named(desk: Desk) -> None:
    async with desk.ground.running():
        rows = (await desk.ask("images.list", {"fields": ["id", "names"]}))["images"]
        assert rows
        assert all(set(row) == {"id", "names"} for row in rows)
        with pytest.raises(InvalidParams, match="colour"):
            await desk.ask("images.list", {"fields": ["colour"]})


async def test_dangling_filter_answers_what_the_store_was_made_with(desk: Desk) -> None:
    async with desk.ground.running():
        for filters in (["dangling=true"], [{"key": "dangling", "value": "true", "negate": False}]):
            rows = (await desk.ask("images.list", {"filters": filters}))["images"]
            assert {row["id"] for row in rows} == desk.ground.sample.dangling


async def test_an_image_asked_for_by_its_full_name_answers_with_it_on_every_page(desk: Desk) -> None:
    names = ["quay.io/ns/foo:v1", "localhost/other:1", "quay.io/ns/foo:v2"]
    image = await run_sync(lambda: desk.ground.writer.add_image("named", names=names))
    await run_sync(lambda: desk.ground.writer.create_list("localhost/x/foo:v1", [image]))
    async with desk.ground.running():
        for fields in (None, ["id", "names"]):
            asked = {"filters": [f"reference={names[0]}"], "fields": fields}
            assert [row["names"] for row in (await desk.ask("images.list", asked))["images"]] == [names[:1]]
            asked = {"filters": ["reference=localhost/x/foo:v1"], "fields": fields, "limit": 1}
            page = await desk.ask("images.list", asked)
            assert [row["names"] for row in page["images"]] == [names]
            page = await desk.ask("images.list", {"cursor": page["next_cursor"]})
            assert [row["names"] for row in page["images"]] == [["localhost/x/foo:v1"]]


async def test_patterns_are_answered_as_names_are(desk: Desk) -> None:
    image = await run_sync(lambda: desk.ground.writer.add_image("named", names=["quay.io/ns/foo:v1"]))
    async with desk.ground.running():
        for value in ("foo", "fo?", "quay.io/*/foo:v1"):
            rows = (await desk.ask("images.list", {"filters": [f"reference={value}", "until!=1h"]}))["images"]
            assert [row["id"] for row in rows] == [image]
        with pytest.raises(InvalidParams) as refused:
            await desk.ask("images.list", {"filters": ["id=", "reference=fo[", "reference=foo"]})
        assert refused.value.data["path"] == "$.filters[1].value"


async def test_same_generation_answers_unchanged(desk: Desk) -> None:
    async with desk.ground.running():
        generation = (await desk.ask("images.list", {"limit": 1}))["generation"]
        again = await desk.ask("images.list", {"if_generation": generation})
        assert again == {"generation": generation, "stale": None, "unchanged": True}
        await run_sync(lambda: desk.ground.writer.add_image("changed"))
        assert "images" in await desk.ask("images.list", {"if_generation": generation})


async def test_one_bad_name_of_get_fails_no_other(desk: Desk) -> None:
    async with desk.ground.running():
        image = desk.ground.sample.images[0]
        found = (await desk.ask("images.get", {"names": [image, "nowhere/none", "UPPER"]}))["images"]
        assert [entry["name"] for entry in found] == [image, "nowhere/none", "UPPER"]
        assert found[0]["image"]["summary"]["id"] == image
        assert found[0]["error"] is None
        assert found[1]["error"]["data"]["name"] == "ImageUnknown"
        assert found[2]["error"]["data"]["name"] in ("InvalidName", "ImageUnknown")


async def test_data_is_the_very_bytes_and_unknown_keys_are_named(desk: Desk) -> None:
    async with desk.ground.running():
        image = desk.ground.sample.images[0]
        answer = await desk.ask("images.data", {"name": image, "key": "manifest"})
        content = await anyio.Path(desk.ground.item(image, "manifest")).read_bytes()
        assert base64.b64decode(answer["data"]) == content
        assert answer["size"] == len(content)
        with pytest.raises(DataUnknown):
            await desk.ask("images.data", {"name": image, "key": "../../images.json"})


async def test_why_names_the_lists_that_keep_an_image(desk: Desk) -> None:
    async with desk.ground.running():
        for image, lists in desk.ground.sample.in_lists.items():
            if image in desk.ground.sample.lists:
                continue
            why = await desk.ask("images.why", {"name": image})
            assert {reason["list"] for reason in why["reasons"] if reason["code"] == "manifest_list"} == set(lists)
            assert not why["dangling"]


async def test_relations_follow_the_recipes_the_store_was_made_with(desk: Desk) -> None:
    async with desk.ground.running():
        for image, parent in desk.ground.sample.parent.items():
            relations = await desk.ask(
                "images.relations", {"name": image, "manifest": image in desk.ground.sample.lists}
            )
            assert relations["parent"] == parent


async def test_layers_form_a_tree_of_the_whole_store(desk: Desk) -> None:
    async with desk.ground.running():
        listed = (await desk.ask("layers.list"))["layers"]
        assert len(listed) == desk.ground.sample.layers
        tree = (await desk.ask("layers.tree"))["layers"]
        seen: set[str] = set()
        for layer in tree:
            assert layer["parent"] is None or layer["parent"] in seen
            seen.add(layer["id"])
        assert seen == {layer["id"] for layer in listed}
        one = await desk.ask("layers.get", {"id": tree[-1]["id"]})
        assert one["chain"][0] == tree[-1]["id"]
        assert len(one["chain"]) == tree[-1]["depth"] + 1
        with pytest.raises(LayerUnknown):
            await desk.ask("layers.get", {"id": "0" * 64})


async def test_manifest_lists_come_with_instances_in_one_call(desk: Desk) -> None:
    async with desk.ground.running():
        lists = (await desk.ask("manifests.list", {"include": ["instances", "annotations"]}))["manifests"]
        assert {entry["id"] for entry in lists} == set(desk.ground.sample.lists)
        local = {
            instance["image"] for entry in lists for instance in entry["instances"] if instance["image"] is not None
        }
        assert local <= set(desk.ground.sample.images)
        for entry in lists:
            answer = await desk.ask("manifests.get", {"name": entry["id"]})
            raw = json.loads(await anyio.Path(desk.ground.item(entry["id"], "manifest")).read_bytes())
            assert answer["raw"] == raw


async def test_referenced_digests_are_those_of_all_lists(desk: Desk) -> None:
    async with desk.ground.running():
        lists = (await desk.ask("manifests.list", {"include": ["instances"]}))["manifests"]
        expected: dict[str, set[str]] = {}
        for entry in lists:
            for instance in entry["instances"]:
                expected.setdefault(instance["digest"], set()).add(entry["id"])
        answer = (await desk.ask("manifests.referenced"))["digests"]
        assert {entry["digest"]: set(entry["lists"]) for entry in answer} == expected


async def test_unreadable_store_is_the_first_flaw_of_info_and_ping_still_answers(desk: Desk) -> None:
    await anyio.Path(desk.ground.images_json).write_bytes(b"[{")
    async with desk.ground.running():
        with pytest.raises(StoreCorrupt):
            await desk.ask("images.list")
        info = await desk.ask("server.info")
        assert info["flaws"][0]["name"] == "StoreCorrupt"
        assert info["flaws"][0]["file"] == str(desk.ground.images_json)
        assert (await desk.ask("server.ping"))["stale"] is None


async def test_stats_count_requests_reloads_and_memory(desk: Desk) -> None:
    async with desk.ground.running():
        await desk.ask("images.list")
        stats = await desk.ask("server.stats")
        assert stats["counters"]["requests.images.list.count"] == 1
        assert stats["counters"]["loads"] >= 1
        assert stats["gauges"]["resident_bytes"] > 1 << 20
        assert stats["gauges"]["peak_resident_bytes"] >= stats["gauges"]["resident_bytes"] // 2
        assert stats["gauges"]["cpu_seconds"] > 0
        assert stats["gauges"]["descriptors"] > 3


async def test_unknown_methods_and_parameters_are_named(desk: Desk) -> None:
    async with desk.ground.running():
        with pytest.raises(MethodNotFound, match=r"images\.lits"):
            await desk.ask("images.lits")
        with pytest.raises(InvalidParams) as refused:
            await desk.ask("images.list", {"filter": []})
        assert "filter" in json.dumps(refused.value.data)
        with pytest.raises(ImageUnknown):
            await desk.ask("images.resolve", ["nowhere"])


async def test_stranger_may_call_nothing_that_mutates(desk: Desk) -> None:
    """Every row of the table, by construction: refused before its parameters are looked at, or it only reads."""
    async with desk.ground.running():
        refused = set()
        for method in METHODS:
            with suppress(InvalidParams):
                try:
                    await desk.ask(method, uid=OWN_UID + 1)
                except NotPermitted:
                    refused.add(method)
        assert refused == {method for method, row in METHODS.items() if row.mutates}
        assert desk.host.reasons == []


async def test_own_uid_may_shut_down(desk: Desk) -> None:
    async with desk.ground.running():
        await desk.ask("server.shutdown", uid=OWN_UID)
        assert len(desk.host.reasons) == 1


async def test_results_have_the_shape_of_the_table(desk: Desk) -> None:
    sample = desk.ground.sample
    given = {
        "images.get": {"names": [sample.images[0]]},
        "images.data": {"name": sample.images[0], "key": "manifest"},
        "manifests.get": {"name": sample.lists[0]},
        "manifests.exists": {"name": sample.lists[0]},
        "store.lease": {"images": [sample.images[0]]},
    }
    async with desk.ground.running():
        given["layers.get"] = {"id": (await desk.ask("layers.list"))["layers"][0]["id"]}
        for method, row in METHODS.items():
            if row.mutates or method == "store.release":  # of a lease of the same connection: tested where leases are
                continue
            params = given.get(method)
            if params is None and "name" in row.params.__annotations__:
                params = {"name": sample.images[0]}
            answer = await desk.ask(method, params)
            result = wire.structure_result(row.result, answer)
            assert result.generation == answer["generation"], method


async def test_discover_tells_every_method_with_parameters_and_errors(desk: Desk) -> None:
    async with desk.ground.running():
        document = await desk.ask("rpc.discover")
        methods = {method["name"]: method for method in document["methods"]}
        assert set(methods) == set(METHODS) | {"rpc.discover"}
        for name, row in METHODS.items():
            assert methods[name]["x-mutates"] is row.mutates
            assert all(
                ref["$ref"].rpartition("/")[2] in document["components"]["errors"] for ref in methods[name]["errors"]
            )
            assert methods[name]["result"]["schema"]["$ref"].rpartition("/")[2] in document["components"]["schemas"]
        assert [param["name"] for param in methods["images.list"]["params"] if not param.get("x-common")] == [
            "filters",
            "all",
            "sort",
            "limit",
            "cursor",
            "fields",
        ]


@pytest.mark.parametrize("manifest", [False, True])
async def test_every_error_of_a_name_is_one_the_method_declares(desk: Desk, manifest: bool) -> None:
    """``Desk.ask`` holds each error against the table."""
    noise = ("nowhere", "Not A Name", "sha256:12", "", "0" * 64, "x" * 5000)
    async with desk.ground.running():
        ordinary = next(i for i in desk.ground.sample.images if i not in desk.ground.sample.lists)
        ambiguous = max("0123456789abcdef", key=lambda digit: sum(i[0] == digit for i in desk.ground.sample.images))
        for name in (*noise, ordinary, ambiguous):
            for method, row in METHODS.items():
                if "name" not in row.params.__annotations__:
                    continue
                params: dict[str, object] = {"name": name}
                if "manifest" in row.params.__annotations__:
                    params["manifest"] = manifest
                if "key" in row.params.__annotations__:
                    params["key"] = "manifest"
                with suppress(StoragedError):
                    await desk.ask(method, params)


async def test_a_path_is_written_alike_whoever_found_the_fault(desk: Desk) -> None:
    async with desk.ground.running():
        for params, path in (
            ({"limit": "7"}, "$.limit"),
            ({"limit": 0}, "$.limit"),
            ({"fields": ["colour"]}, "$.fields[0]"),
            ({"filters": ["label=a", "dangling=maybe"]}, "$.filters[1].value"),
            ({"cursor": "x"}, "$.cursor"),
        ):
            with pytest.raises(InvalidParams) as refused:
                await desk.ask("images.list", params)
            assert refused.value.data["path"] == path


async def test_a_long_name_of_a_method_is_not_sent_back(desk: Desk) -> None:
    async with desk.ground.running():
        with pytest.raises(MethodNotFound) as refused:
            await desk.ask("x" * 100_000)
        assert len(refused.value.message) + len(json.dumps(refused.value.data)) < 1000


async def test_names_of_one_image_are_read_once_and_never_more_than_may_be_sent(desk: Desk) -> None:
    async with desk.ground.running():
        image = next(i for i in desk.ground.sample.images if i not in desk.ground.sample.lists)
        opened = desk.ground.metrics.counters["files.opened"]
        found = (await desk.ask("images.get", {"names": [image] * 500}))["images"]
        assert len(found) == 500
        assert all(entry == found[0] for entry in found)
        assert desk.ground.metrics.counters["files.opened"] == opened + 1
        desk.host.limits["reply_bytes"] = 100_000
        with pytest.raises(TooLarge):
            await desk.ask("images.get", {"names": [image] * 100_000})


async def test_others_are_answered_while_many_names_are_looked_up(desk: Desk) -> None:
    answered: list[str] = []

    async def many() -> None:
        await desk.ask("images.get", {"names": [f"nowhere/{number}" for number in range(2000)]})
        answered.append("many")

    async with desk.ground.running(), anyio.create_task_group() as tasks:
        tasks.start_soon(many)
        await anyio.lowlevel.checkpoint()
        await desk.ask("images.exists", {"name": "nowhere"})
        answered.append("one")
    assert answered == ["one", "many"]


@pytest.mark.parametrize(
    "config",
    [b'{"config":{"Labels":' + b"[" * 100_000, b'{"config":{"User":"\xff"}}', b"{", b"[]"],
    ids=["nested too deeply", "no UTF-8", "torn", "no object"],
)
async def test_a_configuration_nobody_can_decode_leaves_the_rest_of_the_image(desk: Desk, config: bytes) -> None:
    await _replace_configuration(desk, config)
    async with desk.ground.running():
        await _one_row_is_flagged(desk)


async def _replace_configuration(desk: Desk, config: bytes) -> None:
    """Other bytes, and a record that says so: content a hostile registry may well have served."""
    image = desk.ground.sample.images[0]
    rows = json.loads(await anyio.Path(desk.ground.images_json).read_bytes())
    (row,) = (row for row in rows if row["id"] == image)
    key = next(key for key in row["big-data-names"] if key.startswith("sha256:"))
    await anyio.Path(desk.ground.item(image, key)).write_bytes(config)
    row["big-data-sizes"][key] = len(config)
    row["big-data-digests"][key] = "sha256:" + hashlib.sha256(config).hexdigest()
    await anyio.Path(desk.ground.images_json).write_text(json.dumps(rows))


async def _one_row_is_flagged(desk: Desk) -> None:
    sample = desk.ground.sample
    other = next(image for image in sample.images[1:] if image not in sample.lists)
    found = (await desk.ask("images.get", {"names": [sample.images[0], other]}))["images"]
    assert found[0]["image"]["config"] is None
    assert found[0]["image"]["summary"]["damage"]["name"] == "config_undecodable"
    assert found[1]["image"]["summary"]["damage"] is None
    rows = (await desk.ask("images.list", {"all": True}))["images"]
    assert [row["id"] for row in rows if row["damage"] is not None] == [sample.images[0]]


async def test_nothing_of_a_request_that_failed_stays_until_the_next_collection(desk: Desk) -> None:
    async def failing(name: str) -> None:
        try:
            await desk.service.handle(session, "images.resolve", {"name": name})
        except StoragedError as failure:
            failure.with_traceback(None)  # as whoever answers with it does
            found.append(failure.name)

    session = connected()
    found: list[str] = []
    async with desk.ground.running():
        await failing("-".join(["no", "such", "image"]))  # parsed names are kept, the first of equal ones
        name = "-".join(["no", "such", "image"])
        before = sys.getrefcount(name)
        gc.collect()
        gc.disable()
        try:
            await failing(name)
            await anyio.lowlevel.checkpoint()
            assert sys.getrefcount(name) == before
        finally:
            gc.enable()
    assert found == ["ImageUnknown", "ImageUnknown"]
