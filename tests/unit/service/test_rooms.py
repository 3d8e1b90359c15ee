"""``images.history``, ``images.tree``, ``store.usage`` on a real store."""

from __future__ import annotations

import anyio
import pytest
from anyio.to_thread import run_sync

from storaged_client.contract import wire
from storaged_client.contract.errors import ImageDamaged, ImageUnknown
from storaged_client.contract.methods import METHODS
from tests.support.service import Desk

pytestmark = pytest.mark.anyio


async def images(desk: Desk) -> list[dict[str, object]]:
    rows = (await desk.ask("images.list", {"all": True}))["images"]
    return [row for row in rows if not row["manifest_list"] and row["damage"] is None]


async def test_history_has_a_row_an_entry_newest_first_and_bears_the_parents(desk: Desk) -> None:
    async with desk.ground.running():
        for image in await images(desk):
            (entry,) = (await desk.ask("images.get", {"names": [image["id"]]}))["images"]
            kin = await desk.ask("images.relations", {"name": image["id"]})
            rows = (await desk.ask("images.history", {"name": image["id"]}))["history"]
            own = entry["image"]["history"]
            assert [row["created_by"] for row in rows] == [each["created_by"] for each in reversed(own)]
            lineage = [image["id"], *kin["ancestors"]]
            assert [row["id"] for row in rows if row["id"] is not None] == lineage[: len(rows)]


async def test_the_sizes_of_a_history_are_those_of_the_layers(desk: Desk) -> None:
    async with desk.ground.running():
        for image in await images(desk):
            rows = (await desk.ask("images.history", {"name": image["id"]}))["history"]
            layers = (await desk.ask("images.tree", {"name": image["id"]}))["layers"]
            assert [row["size"] for row in rows if not row["empty_layer"]] == [
                layer["size"] for layer in reversed(layers)
            ]


async def test_what_an_image_stands_on_and_what_stands_on_it_agree(desk: Desk) -> None:
    async with desk.ground.running():
        known = await images(desk)
        chains = {row["id"]: (await desk.ask("images.tree", {"name": row["id"]}))["layers"] for row in known}
        for row in known:
            chain = [layer["id"] for layer in chains[row["id"]]]
            if not chain:
                continue
            above = await desk.ask("images.tree", {"name": row["id"], "what_requires": True})
            found = {image["id"] for layer in above["layers"] for image in layer["images"]}
            assert found == {
                other for other, layers in chains.items() if chain[-1] in [layer["id"] for layer in layers]
            }


async def test_a_damaged_configuration_has_no_history(desk: Desk) -> None:
    ground = desk.ground
    async with ground.running():
        image = (await images(desk))[0]
        (entry,) = (await desk.ask("images.get", {"names": [image["id"]]}))["images"]
        key = next(item["key"] for item in entry["image"]["big_data"] if item["key"].startswith("sha256:"))
        await anyio.Path(ground.item(str(image["id"]), key)).write_bytes(b"{}")
        with pytest.raises(ImageDamaged):
            await desk.ask("images.history", {"name": image["id"]})


@pytest.mark.parametrize("method", ["images.history", "images.tree"])
async def test_an_unknown_name_is_told_as_such(desk: Desk, method: str) -> None:
    async with desk.ground.running():
        with pytest.raises(ImageUnknown):
            await desk.ask(method, {"name": "localhost/nothing:1"})


async def test_usage_agrees_with_the_listing(desk: Desk) -> None:
    async with desk.ground.running():
        listed = {row["id"]: row for row in (await desk.ask("images.list", {"all": True}))["images"]}
        found = await desk.ask("store.usage")
        assert {row["id"]: row["size"] for row in found["images"]} == {id_: r["size"] for id_, r in listed.items()}
        assert {row["id"]: row["containers"] for row in found["images"]} == {
            id_: row["containers"] for id_, row in listed.items()
        }


async def test_usage_is_of_the_generation_that_knows_what_was_measured_for_it(desk: Desk) -> None:
    ground = desk.ground
    data = anyio.Path(ground.location.graphroot, "volumes", "v", "_data")
    async with ground.running(), anyio.create_task_group() as tasks:
        tasks.start_soon(ground.sizes.run, ground.cache)
        await data.mkdir(parents=True)
        await (data / "f").write_bytes(b"x" * 12)
        found = await desk.ask("store.usage")
        while found["volumes"] != [{"name": "v", "size": 12}]:
            found = await desk.ask("store.usage")
        assert found["generation"] == ground.cache.generation
        assert found["volumes_size"] == 12
        tasks.cancel_scope.cancel()


async def test_results_have_the_shapes_of_the_contract(desk: Desk) -> None:
    async with desk.ground.running():
        name = (await images(desk))[0]["id"]
        for method, params in (
            ("images.history", {"name": name}),
            ("images.tree", {"name": name, "what_requires": True}),
            ("store.usage", {}),
        ):
            result = await desk.ask(method, params)
            made = await run_sync(
                lambda method=method, result=result: wire.structure_result(METHODS[method].result, result)
            )
            assert isinstance(made, METHODS[method].result)


async def test_stats_count_sizes_that_are_pending(desk: Desk) -> None:
    async with desk.ground.running():
        await desk.ask("images.list")
        assert (await desk.ask("server.stats"))["gauges"]["layer_sizes_pending"] >= 0
