"""Durations, the settings file and its mistakes, flags over file."""

from __future__ import annotations

import argparse
from pathlib import Path

import pytest

from storaged import settings
from storaged.errors import ConfigError


def parsed(*arguments: str) -> settings.Settings:
    parser = argparse.ArgumentParser()
    settings.add_flags(parser)
    return settings.read_flags(parser.parse_args(arguments))


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("90", 90),
        ("30s", 30),
        ("10min", 600),
        ("1h30m", 5400),
        ("1h 30min", 5400),
        ("1.5h", 5400),
        ("250ms", 0.25),
        (" 2 days ", 172800),
    ],
)
def test_a_duration_is_read_as_systemd_writes_it(text: str, seconds: float) -> None:
    assert settings.duration(text) == seconds


@pytest.mark.parametrize(
    "text", ["", " ", "0", "0s", "-3", "1h30", "5x", "x", "s", "1e3", "nan", "inf", "٣s", "99999d"]
)
def test_what_is_no_duration_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is no duration"):
        settings.duration(text)


def test_flags_win_over_the_file(tmp_path: Path) -> None:
    file = tmp_path / "storaged.toml"
    file.write_text('idle_exit = "10min"\nlog_level = "debug"\n[limits]\nin_flight = 7\n')
    told = parsed("--config", str(file))
    assert (told.idle_exit, told.log_level, told.limits.in_flight, told.limits.batch) == (600, "debug", 7, 100)
    told = parsed("--config", str(file), "--idle-exit", "30s", "--log-level", "error")
    assert (told.idle_exit, told.log_level, told.limits.in_flight) == (30, "error", 7)


def test_without_flags_and_file_the_daemon_stays_for_ever() -> None:
    assert parsed() == settings.Settings()
    assert parsed().idle_exit is None


def test_every_mistake_of_the_file_is_named_with_its_key(tmp_path: Path) -> None:
    file = tmp_path / "storaged.toml"
    file.write_text('idle_exit = true\nlog_level = "loud"\ncolour = 3\n[limits]\nin_flight = 0\nbatch = 1.5\nfoo = 1\n')
    with pytest.raises(ConfigError) as caught:
        parsed("--config", str(file))
    assert str(file) in caught.value.text
    for key in ("idle_exit", "log_level", "colour", "limits.in_flight", "limits.batch", "foo at limits"):
        assert key in caught.value.text
    assert len(caught.value.evidence["mistakes"]) == 6


@pytest.mark.parametrize("content", [b"idle_exit = ", b"\xff\xfe", b"limits = 3\n", b"[limits]\nconnections = true\n"])
def test_a_broken_file_is_one_clear_error(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "storaged.toml"
    file.write_bytes(content)
    with pytest.raises(ConfigError) as caught:
        parsed("--config", str(file))
    assert caught.value.evidence["file"] == str(file)


def test_a_file_that_is_not_there_is_one_clear_error(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="No such file"):
        parsed("--config", str(tmp_path / "none"))


def test_the_file_says_who_else_may_change_the_store(tmp_path: Path) -> None:
    file = tmp_path / "storaged.toml"
    file.write_text("[access]\nuids = [1000, 1001]\ngids = [10]\n")
    assert parsed("--config", str(file)).access == settings.Grants(uids=(1000, 1001), gids=(10,))
    file.write_text('[access]\nuids = ["root"]\n')
    with pytest.raises(ConfigError, match="uids"):
        parsed("--config", str(file))


def test_podmans_addressing_of_lists_is_asked_for_by_its_word(tmp_path: Path) -> None:
    file = tmp_path / "storaged.toml"
    file.write_text('compat = "podman"\n')
    assert parsed("--config", str(file)).compat == "podman"
    assert parsed().compat == "none"
    file.write_text('compat = "docker"\n')
    with pytest.raises(ConfigError, match="'docker' is none of none, podman at compat"):
        parsed("--config", str(file))
