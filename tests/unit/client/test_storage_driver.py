"""The driver that a store is opened with: podman's database before what is configured."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest

from storaged_client.errors import StorageConfError
from storaged_client.storage_conf.driver import choose


def store(root: Path, *drivers: str, sqlite: str = "", bolt: str = "") -> str:
    """A graphroot with state of these drivers, and a database of podman 5 or 4 that names one."""
    for driver in drivers:
        (root / driver).mkdir(parents=True)
        (root / f"{driver}-images").mkdir()
    if sqlite:
        with sqlite3.connect(root / "db.sql") as database:
            database.execute("CREATE TABLE DBConfig (Id INTEGER, GraphRoot TEXT, GraphDriver TEXT)")
            database.execute("INSERT INTO DBConfig VALUES (1, ?, ?)", (str(root), sqlite))
        database.close()
    if bolt:
        (root / "libpod").mkdir()
        page = b"\0\x14\0graph-driver-name%sgraph-root%soslinux\0" % (bolt.encode(), str(root).encode())
        (root / "libpod" / "bolt_state.db").write_bytes(page)
    return str(root)


def chosen(root: str, configured: str | None = None, flag: str | None = None) -> tuple[str, str]:
    return choose(root, flag, configured, (), None)


@pytest.mark.parametrize("kind", ["sqlite", "bolt"])
def test_podmans_database_overrules_what_is_configured_and_it_is_told(tmp_path: Path, kind: str) -> None:
    root = store(tmp_path, "overlay", **{kind: "overlay"})
    for configured in ("zfs", "vfs", "nonsense"):
        driver, notice = chosen(root, configured)
        assert driver == "overlay"
        assert notice == (
            f'User-selected graph driver "{configured}" overwritten by graph driver "overlay" from database - delete '
            f'libpod local files ("{root}") to resolve.  May prevent use of images created by other tools'
        )
    assert chosen(root, "overlay") == chosen(root, "overlay2") == chosen(root) == ("overlay", "")


def test_a_flag_that_contradicts_the_database_is_an_error_in_podmans_words(tmp_path: Path) -> None:
    root = store(tmp_path, "overlay", "vfs", sqlite="overlay")
    words = 'database graph driver "overlay" does not match our graph driver "vfs": database configuration mismatch'
    with pytest.raises(StorageConfError, match=words):
        chosen(root, flag="vfs")
    assert chosen(root, "vfs", flag="overlay") == ("overlay", "")


def test_the_database_settles_what_state_of_several_drivers_leaves_open(tmp_path: Path) -> None:
    assert chosen(store(tmp_path / "a", "overlay", "vfs", sqlite="vfs")) == ("vfs", "")
    assert chosen(store(tmp_path / "b", "overlay", "btrfs", bolt="btrfs")) == ("btrfs", "")
    with pytest.raises(StorageConfError, match="state of several drivers"):
        chosen(store(tmp_path / "c", "overlay", "btrfs"))


def test_without_a_database_the_driver_chosen_is_used_and_what_is_there_is_told(tmp_path: Path) -> None:
    root = store(tmp_path, "overlay")
    notice = f"{root} holds a store of the driver overlay, and none yet of vfs, which is chosen"
    assert chosen(root, "vfs") == chosen(root, flag="vfs") == ("vfs", notice)
    assert chosen(store(tmp_path / "both", "overlay", "vfs"), "vfs") == ("vfs", "")


def test_a_database_that_cannot_be_read_says_nothing(tmp_path: Path) -> None:
    root = store(tmp_path, "overlay", "vfs")
    (tmp_path / "db.sql").write_bytes(b"no database" * 100)
    (tmp_path / "libpod").mkdir()
    (tmp_path / "libpod" / "bolt_state.db").write_bytes(b"graph-driver-name")
    assert chosen(root, "vfs") == ("vfs", "")


def test_a_store_that_is_not_there_has_the_driver_chosen(tmp_path: Path) -> None:
    assert chosen(str(tmp_path / "none"), "zfs") == ("zfs", "")
    assert chosen(str(tmp_path / "none")) == ("overlay", "")


def test_the_database_is_looked_at_only_where_another_driver_left_state(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = store(tmp_path, "overlay", sqlite="overlay")
    monkeypatch.setattr(sqlite3, "connect", None)
    assert chosen(root, "overlay") == chosen(root) == ("overlay", "")
    with pytest.raises(TypeError):
        chosen(root, "vfs")
