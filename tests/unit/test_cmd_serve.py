"""How soon a daemon that cannot serve ends, and who is told why."""

from __future__ import annotations

import pytest

from storaged import cmd_serve
from storaged.errors import ConfigError
from storaged.settings import Settings

STARTS, SECONDS = 5, 10
"""systemd's own limit: so many starts in so long, and a unit with its socket is given up."""


@pytest.fixture
def slept(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    found: list[float] = []
    monkeypatch.setattr(cmd_serve.time, "sleep", found.append)
    return found


@pytest.mark.parametrize("activated", [True, False])
def test_wrong_settings_are_told_and_end_an_activated_daemon_no_sooner_than_its_socket_survives(
    slept: list[float], activated: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    error = ConfigError(
        "/s.toml:3: idle_exit: is no duration", file="/s.toml", mistakes=["3: idle_exit: is no duration"]
    )
    assert cmd_serve.refuse_settings(error, {"LISTEN_FDS": "1"} if activated else {}) == cmd_serve.MISCONFIGURED
    assert capsys.readouterr().err == "storaged: /s.toml:3: idle_exit: is no duration\n"
    assert (STARTS * sum(slept) > SECONDS) is activated


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (PermissionError(13, "not yours"), 77),
        (FileNotFoundError(2, "gone"), 78),
        (OSError(5, "broken"), 1),
        (KeyError(), 1),
    ],
)
def test_whatever_ends_an_activated_daemon_its_next_start_is_not_at_once(
    slept: list[float], monkeypatch: pytest.MonkeyPatch, error: Exception, status: int
) -> None:
    def fail(*_: object) -> None:
        raise error

    monkeypatch.setattr(cmd_serve.daemon, "serve", fail)
    monkeypatch.setattr(cmd_serve.process, "start_logging", lambda *_: None)
    monkeypatch.setattr(cmd_serve.os, "umask", lambda _: 0)  # this process goes on
    assert cmd_serve.run(Settings(), {"LISTEN_FDS": "1"}, reread=Settings) == status
    assert STARTS * sum(slept) > SECONDS
