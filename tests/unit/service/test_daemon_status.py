"""How a daemon tells of itself in ``server.info``."""

from __future__ import annotations

import shlex
from typing import Any

import anyio
import pytest
from attrs import evolve

from storaged.engine.leases import Leases
from storaged.engine.query_context import ContextWatch
from storaged.service.access import Access
from storaged.service.daemon_status import DaemonStatus
from storaged.service.service import Service
from storaged.store.layout.paths import own_dir
from storaged.store.writing.recovery import Recovery
from storaged.store.writing.reserve import Reserve
from tests.support.ground import Ground
from tests.support.service import OWN_UID, Desk, connected
from tests.unit.store.writing.test_reserve import Small

pytestmark = pytest.mark.anyio


async def info_of(desk: Desk, condition: DaemonStatus, **members: Any) -> Any:
    engine = evolve(desk.service._engine, condition=condition, **members)
    service = Service(engine, Access(own_uid=OWN_UID))
    info = await evolve(desk, service=service).ask("server.info", session=connected())
    # This ground's layers were never written.
    info["flaws"] = [flaw for flaw in info["flaws"] if flaw["name"] != "layer_directory_missing"]
    return info


def recovery_of(ground: Ground) -> Recovery:
    return Recovery(ground.location, ground.store_writer(), metrics=ground.metrics)


async def leave_entry(ground: Ground) -> anyio.Path:
    """What an unknown later version left."""
    entry = anyio.Path(own_dir(ground.location.graphroot), f"journal-{'a' * 32}.json")
    await entry.parent.mkdir(exist_ok=True)
    await entry.write_text("not ours")
    return entry


async def test_a_daemon_tells_who_started_it_by_which_settings_and_how_lists_are_meant(desk: Desk) -> None:
    async with desk.ground.running():
        plain = await info_of(desk, DaemonStatus())
        told = await info_of(
            desk, DaemonStatus(started_by=lambda: "systemd", settings_file=lambda: "/etc/s.toml", read_only=True)
        )
    names = ("started_by", "settings_file", "read_only", "compat")
    assert [plain[name] for name in names] == ["other", None, False, "none"]
    assert [told[name] for name in names] == ["systemd", "/etc/s.toml", True, "none"]
    assert (plain["flaws"], told["flaws"]) == ([], [])


async def test_compat_is_told_as_it_is_now(desk: Desk) -> None:
    watch = ContextWatch(Leases(desk.ground.metrics), podman_lists=True)
    desk.ground.cache.context = watch
    async with desk.ground.running():
        assert (await desk.ask("server.info"))["compat"] == "podman"


async def test_what_recovery_could_not_finish_is_a_flaw_until_it_could(desk: Desk) -> None:
    recovery = recovery_of(desk.ground)
    condition = DaemonStatus(recovery=recovery)
    entry = await leave_entry(desk.ground)
    async with desk.ground.running():
        await anyio.to_thread.run_sync(recovery.run)
        (flaw,) = (await info_of(desk, condition))["flaws"]
        assert flaw["name"] == "Unfinished"
        assert str(entry) in flaw["detail"]
        assert flaw["command"] == "storaged stop --socket /none"
        await entry.unlink()
        await anyio.to_thread.run_sync(recovery.run)
        assert (await info_of(desk, condition))["flaws"] == []


async def test_a_daemon_that_may_not_write_tells_what_it_leaves_unfinished(desk: Desk) -> None:
    condition = DaemonStatus(recovery=recovery_of(desk.ground))
    async with desk.ground.running():
        assert (await info_of(desk, condition, why_not_writable=lambda: "so"))["flaws"] == []
        await leave_entry(desk.ground)
        (flaw,) = (await info_of(desk, condition, why_not_writable=lambda: "so"))["flaws"]
        assert flaw["name"] == "Unfinished"
        # One that may write has entries of its own while it does.
        assert (await info_of(desk, condition))["flaws"] == []


async def test_a_reserve_that_is_missing_is_a_flaw_until_there_is_room(desk: Desk) -> None:
    files = Small(room=0)
    reserve = Reserve(desk.ground.location, files=files)
    condition = DaemonStatus(reserve=reserve)
    async with desk.ground.running():
        assert (await info_of(desk, condition))["flaws"] == []
        assert not await anyio.to_thread.run_sync(reserve.build)
        (flaw,) = (await info_of(desk, condition))["flaws"]
        assert flaw["name"] == "NoReserve"
        assert "missing" in flaw["detail"]
        assert shlex.split(flaw["command"])[:3] == ["df", "-h", f"{desk.ground.location.graphroot};"]
        files.room = 1 << 30
        assert await anyio.to_thread.run_sync(reserve.build)
        assert (await info_of(desk, condition))["flaws"] == []


async def test_a_reserve_that_cannot_be_made_says_why(desk: Desk) -> None:
    path = anyio.Path(own_dir(desk.ground.location.graphroot), "reserve")
    await path.mkdir(parents=True)
    reserve = Reserve(desk.ground.location)
    async with desk.ground.running():
        assert not await anyio.to_thread.run_sync(reserve.build)
        (flaw,) = (await info_of(desk, DaemonStatus(reserve=reserve)))["flaws"]
    assert "Is a directory" in flaw["detail"]
