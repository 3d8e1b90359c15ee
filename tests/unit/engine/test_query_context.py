"""The generation names leases and short names, too; what was asked of one moment is answered of that moment."""

from __future__ import annotations

from pathlib import Path

import anyio
import pytest

from storaged.engine.leases import Leases
from storaged.engine.query_context import ContextWatch, without_leases
from storaged.metrics import Metrics
from storaged.store.layout.records import ImageID
from storaged.store.registries import RegistriesWatch
from tests.support.ground import Ground


def test_a_change_of_registries_conf_makes_other_circumstances_and_other_short_names(tmp_path: Path) -> None:
    main = tmp_path / "registries.conf"
    main.write_text('unqualified-search-registries = ["one.example"]\n')
    registries = RegistriesWatch({"CONTAINERS_REGISTRIES_CONF": str(main)}, 0, system_root=str(tmp_path), interval=0)
    watch = ContextWatch(Leases(Metrics()), registries.current)
    first = watch.now()
    assert watch.now() is first
    main.write_text('unqualified-search-registries = ["two.example", "three.example"]\n')
    second = watch.now()
    assert second.number == first.number + 1
    assert "one.example/a" in first.query_context.short_names("a")
    assert "two.example/a" in second.query_context.short_names("a")
    main.write_text("unqualified-search-registries = [\n")
    third = watch.now()
    assert third.number == second.number + 1
    assert third.query_context.short_name_doubts


def test_another_way_to_read_lists_is_another_generation_and_the_same_way_is_not() -> None:
    watch = without_leases(Metrics())
    first = watch.now()
    watch.read_lists_as_podman(False)
    assert watch.now() is first
    watch.read_lists_as_podman(True)
    second = watch.now()
    assert (second.number, second.query_context.podman_lists) == (first.number + 1, True)
    assert watch.query_context().podman_lists


@pytest.mark.anyio
async def test_a_lease_moves_the_generation_and_wakes_who_waits_for_that(ground: Ground) -> None:
    leases = ground.cache.context.leases
    moved = anyio.Event()
    async with ground.running(), anyio.create_task_group() as tasks:
        view = await ground.cache.view()

        async def wait() -> None:
            await ground.cache.moved(view.generation)
            moved.set()

        tasks.start_soon(wait)
        await anyio.wait_all_tasks_blocked()
        assert not moved.is_set()
        image = ImageID(sorted(ground.sample.dangling)[0])
        assert leases.take([image], owner="me", uid=0, ttl=60) is not None
        await moved.wait()
        later = await ground.cache.view()
        assert later.snapshot is view.snapshot
        assert image not in view.context.query_context.leases
        assert image in later.context.query_context.leases
        assert ground.cache.context.query_context().leases is leases.by_image
