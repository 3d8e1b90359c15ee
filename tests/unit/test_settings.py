"""Durations, flags over the file, and where the file is."""

from __future__ import annotations

import argparse
import os
from pathlib import Path

import pytest

from storaged import settings
from storaged.errors import ConfigError


@pytest.fixture(autouse=True)
def a_user_without_settings(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No file of this machine takes part."""
    monkeypatch.setattr(os, "geteuid", lambda: os.getuid() or 4711)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))


def parsed(*arguments: str) -> settings.Settings:
    parser = argparse.ArgumentParser()
    settings.add_flags(parser)
    return settings.read_flags(parser.parse_args(arguments))


def test_flags_win_over_the_file(tmp_path: Path) -> None:
    file = tmp_path / "storaged.toml"
    file.write_text('idle_exit = "10min"\nlog_level = "debug"\n[limits]\nin_flight = 7\n')
    told = parsed("--config", str(file))
    assert (told.idle_exit, told.log_level, told.limits.in_flight, told.limits.batch) == (600, "debug", 7, 100)
    told = parsed("--config", str(file), "--idle-exit", "30s", "--log-level", "error")
    assert (told.idle_exit, told.log_level, told.limits.in_flight) == (30, "error", 7)


def test_either_the_flag_or_the_file_makes_a_daemon_read_only(tmp_path: Path) -> None:
    file = tmp_path / "storaged.toml"
    file.write_text("read_only = true\n")
    assert parsed("--config", str(file)).read_only
    file.write_text("read_only = false\n")
    assert parsed("--config", str(file), "--read-only").read_only
    assert not parsed("--config", str(file)).read_only


def test_without_flags_and_file_the_daemon_stays_for_ever() -> None:
    assert parsed() == settings.Settings()
    assert parsed().idle_exit is None


def test_without_a_flag_the_users_own_file_is_read_if_it_is_there(tmp_path: Path) -> None:
    file = tmp_path / "config" / "storaged" / "storaged.toml"
    file.parent.mkdir(parents=True)
    assert parsed().file is None
    file.write_text('log_level = "debug"\n')
    assert (parsed().file, parsed().log_level) == (str(file), "debug")
    other = tmp_path / "other.toml"
    other.write_text("")
    assert (parsed("--config", str(other)).file, parsed("--config", str(other)).log_level) == (str(other), "info")


def test_a_file_that_leads_nowhere_is_no_absent_file(tmp_path: Path) -> None:
    file = tmp_path / "config" / "storaged" / "storaged.toml"
    file.parent.mkdir(parents=True)
    file.symlink_to(tmp_path / "gone")
    with pytest.raises(ConfigError, match="No such file"):
        parsed()


def test_the_same_arguments_read_the_file_again(tmp_path: Path) -> None:
    file = tmp_path / "storaged.toml"
    file.write_text("[limits]\nbatch = 7\n")
    parser = argparse.ArgumentParser()
    settings.add_flags(parser)
    arguments = parser.parse_args(["--config", str(file), "--log-level", "error"])
    first = settings.read_flags(arguments)
    assert settings.read_flags(arguments) == first
    file.write_text("[limits]\nbatch = 8\n")
    second = settings.read_flags(arguments)
    assert (first.limits.batch, second.limits.batch, second.log_level) == (7, 8, "error")


@pytest.mark.parametrize(
    ("environ", "euid", "path"),
    [
        ({"HOME": "/home/a", "XDG_CONFIG_HOME": "/c"}, 0, "/etc/storaged/storaged.toml"),
        ({"HOME": "/home/a", "XDG_CONFIG_HOME": "/c"}, 1000, "/c/storaged/storaged.toml"),
        ({"HOME": "/home/a", "XDG_CONFIG_HOME": "relative"}, 1000, "/home/a/.config/storaged/storaged.toml"),
        ({"HOME": "/home/a"}, 1000, "/home/a/.config/storaged/storaged.toml"),
        ({"HOME": "relative"}, 1000, None),
    ],
)
def test_the_default_file_is_roots_or_the_users(environ: dict[str, str], euid: int, path: str | None) -> None:
    assert settings.default_path(environ, euid) == path
