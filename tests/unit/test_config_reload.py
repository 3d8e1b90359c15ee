"""A configuration read again: what becomes of each kind of change."""

from __future__ import annotations

import logging
from collections.abc import Callable

import pytest
from attrs import evolve

from storaged.config_reload import Reconfiguration
from storaged.errors import ConfigError
from storaged.server.limits import Limits
from storaged.settings import Grants, Settings
from storaged.store.tables import StoreLocation

pytestmark = pytest.mark.anyio

LOCATION = StoreLocation(graphroot="/g", runroot="/r", driver="overlay", fingerprint="a")


def nothing_new() -> StoreLocation:
    return evolve(LOCATION, fingerprint="b")


class Told:
    """Reads what it is told to, and keeps what it was applied."""

    def __init__(self, old: Settings, discover: Callable[[], StoreLocation] = nothing_new) -> None:
        self.next: Settings | ConfigError = old
        self.applied: list[Settings] = []
        self.reconfiguration = Reconfiguration(
            old, LOCATION, read=self._read, discover=discover, apply=self.applied.append
        )

    def _read(self) -> Settings:
        if isinstance(self.next, ConfigError):
            raise self.next
        return self.next

    async def read_again(self, new: Settings | ConfigError) -> None:
        self.next = new
        await self.reconfiguration.run()


async def test_what_can_change_is_applied_and_named(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    new = Settings(
        idle_exit=60.0,
        log_level="debug",
        compat="podman",
        limits=Limits(in_flight=3, batch=7),
        access=Grants(uids=(5,)),
    )
    told = Told(Settings())
    await told.read_again(new)
    assert told.applied == [new]
    (line,) = caplog.messages
    named = line.partition("changed=")[2].split(",")
    assert sorted(named) == ["access.uids", "compat", "idle_exit", "limits.batch", "limits.in_flight", "log_level"]


async def test_what_cannot_change_stays_and_is_named_in_one_line(caplog: pytest.LogCaptureFixture) -> None:
    old = Settings(root="/a", limits=Limits(batch=7))
    told = Told(old, discover=lambda: evolve(LOCATION, graphroot="/elsewhere", driver="vfs"))
    await told.read_again(evolve(old, root="/b", read_only=True, backend="asyncio", limits=Limits(batch=8)))
    assert told.applied == [evolve(old, limits=Limits(batch=8))]
    (warning,) = [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING]
    named = warning.partition("settings=")[2].split(",")
    assert sorted(named) == ["backend", "read_only", "root", "storage.conf:driver", "storage.conf:graphroot"]


async def test_nothing_changed_is_nothing_applied() -> None:
    told = Told(Settings())
    await told.read_again(Settings())
    assert told.applied == []


async def test_a_file_that_came_or_went_is_what_the_settings_are_from() -> None:
    told = Told(Settings())
    await told.read_again(Settings(file="/etc/s.toml"))
    assert told.applied == [Settings(file="/etc/s.toml")]


async def test_a_bad_file_keeps_everything_and_each_mistake_has_a_line(caplog: pytest.LogCaptureFixture) -> None:
    told = Told(Settings(log_level="error"))
    await told.read_again(ConfigError("two mistakes", file="/etc/s.toml", mistakes=["3: a: bad", "4: b: worse"]))
    assert told.applied == []
    assert caplog.messages == [
        "configuration not reloaded file=/etc/s.toml mistake=3: a: bad",
        "configuration not reloaded file=/etc/s.toml mistake=4: b: worse",
    ]
    await told.read_again(Settings(idle_exit=5.0))
    assert told.applied == [Settings(idle_exit=5.0)]


async def test_a_bad_storage_conf_does_not_keep_the_daemons_own_settings_from_changing(
    caplog: pytest.LogCaptureFixture,
) -> None:
    def discover() -> StoreLocation:
        raise ConfigError("storage.conf:7: no such driver", file="storage.conf")

    told = Told(Settings(), discover)
    await told.read_again(Settings(log_level="error"))
    assert told.applied == [Settings(log_level="error")]
    assert any("storage.conf:7: no such driver" in line for line in caplog.messages)
