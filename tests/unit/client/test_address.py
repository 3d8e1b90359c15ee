from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from storaged_client import address, systemd_units
from storaged_client.errors import AddressError, DaemonUnavailable, SocketForbidden
from tests.support.user_unit import enable

OTHER = 65534
root_only = pytest.mark.skipif(os.geteuid() != 0, reason="another uid is needed")


@pytest.fixture(autouse=True)
def bare_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("STORAGED_SOCKET", "XDG_RUNTIME_DIR", "XDG_CONFIG_HOME", "XDG_DATA_HOME"):
        monkeypatch.delenv(name, raising=False)


def test_the_argument_comes_before_the_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STORAGED_SOCKET", "/b")
    assert address.find("/a") == "/a"
    assert address.find(Path("/a")) == "/a"
    assert address.find() == "/b"


@root_only
def test_root_has_the_systems_socket(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_RUNTIME_DIR", "/run/user/0")
    assert address.find() == "/run/storaged/storaged.sock"


@pytest.fixture
def as_user(monkeypatch: pytest.MonkeyPatch) -> int:
    monkeypatch.setattr(os, "geteuid", lambda: 54321)
    return 54321


def test_a_user_has_one_in_the_runtime_folder(as_user: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_RUNTIME_DIR", "/run/mine")
    assert address.find() == "/run/mine/storaged/storaged.sock"


def test_a_relative_runtime_folder_is_ignored(as_user: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_RUNTIME_DIR", "run")
    assert address.find() == f"/tmp/storaged-{as_user}/storaged.sock"


def test_a_user_without_a_runtime_folder_has_one_in_tmp(as_user: int) -> None:
    assert address.find() == f"/tmp/storaged-{as_user}/storaged.sock"


@root_only
def test_a_runtime_folder_that_su_left_of_another_user_is_named(
    short_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (short_dir / "runtime").mkdir(mode=0o700)
    short_dir.chmod(0o755)
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(short_dir / "runtime"))
    os.seteuid(OTHER)
    try:
        with pytest.raises(SocketForbidden, match=r"XDG_RUNTIME_DIR=.*belongs to another user; unset it"):
            address.connect(address.find())
    finally:
        os.seteuid(0)


@pytest.mark.parametrize("make", ["link", "file", "open folder"])
def test_a_folder_in_tmp_that_is_not_ours_alone_is_refused(short_dir: Path, make: str) -> None:
    folder = short_dir / "x"
    if make == "link":
        (short_dir / "y").mkdir(mode=0o700)
        folder.symlink_to(short_dir / "y")
    elif make == "file":
        folder.touch(mode=0o600)
    else:
        folder.mkdir()
        folder.chmod(0o750)
    with pytest.raises(SocketForbidden):
        address.check_private(str(folder))


@root_only
def test_a_folder_of_another_owner_is_refused(short_dir: Path) -> None:
    folder = short_dir / "x"
    folder.mkdir(mode=0o700)
    address.check_private(str(folder))
    os.chown(folder, OTHER, OTHER)
    with pytest.raises(SocketForbidden):
        address.check_private(str(folder))


def test_a_path_of_108_bytes_is_a_clear_error() -> None:
    assert address.check("/" + "é" * 53) == "/" + "é" * 53
    with pytest.raises(AddressError, match="108 bytes"):
        address.check("/" + "é" * 53 + "a")


@pytest.mark.parametrize("name", ["", "@storaged", "\0storaged", "/a\0b"])
def test_names_that_are_no_paths_are_refused(name: str) -> None:
    with pytest.raises(AddressError):
        address.check(name)


def test_the_default_sockets_folder_is_made_private_and_no_other(
    short_dir: Path, as_user: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(short_dir))
    for path in (address.default(), str(short_dir / "storaged" / "store-0123456789abcdef.sock")):
        address.make_folder(path)
        assert (short_dir / "storaged").stat().st_mode & 0o777 == 0o700
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(short_dir / "none"))
    with pytest.raises(DaemonUnavailable):
        address.make_folder(address.default())
    with pytest.raises(DaemonUnavailable, match=r"is not an existing folder"):
        address.make_folder(str(short_dir / "other" / "s"))
    assert sorted(os.listdir(short_dir)) == ["storaged"]


def test_a_url_is_no_path_of_a_socket(short_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(short_dir)
    with pytest.raises(AddressError, match="http://x is a URL"):
        address.find("http://x")
    assert os.listdir(short_dir) == []


@root_only
def test_who_listens_must_be_this_user_root_or_named(short_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever a look at the folder said before: the kernel's word on who listens comes with the connection."""
    path = str(short_dir / "s")
    short_dir.chmod(0o777)
    code = f"""
import os, socket, sys
os.setgroups([]); os.setgid(2345); os.setuid(2345)
with socket.socket(socket.AF_UNIX) as door:
    door.bind({path!r}); door.listen(9); os.chmod({path!r}, 0o666)
    print("ready", flush=True); sys.stdin.read()
"""
    with subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as other:
        assert other.stdin is not None
        assert other.stdout is not None
        assert other.stdout.readline() == "ready\n"
        with pytest.raises(SocketForbidden, match="the listening process has uid 2345"):
            address.connect(path)
        address.connect(path, uids=(2345,)).close()
        monkeypatch.setenv("STORAGED_SERVER_UIDS", "7, 2345")
        address.connect(path).close()
        other.stdin.close()


def test_an_enabled_unit_is_found_by_the_socket_it_provides(short_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(short_dir))
    monkeypatch.setenv("XDG_RUNTIME_DIR", "/run/mine")
    enable(short_dir, "%t/storaged/storaged.sock")
    assert systemd_units.start_command("/run/mine/storaged/storaged.sock") == "systemctl --user start storaged.socket"
    assert (
        systemd_units.restart_command("/run/mine/storaged/storaged.sock") == "systemctl --user restart storaged.service"
    )
    assert systemd_units.start_command("/run/mine/other.sock") is None
    assert systemd_units.restart_command("/run/mine/other.sock") is None


def test_a_unit_that_is_not_enabled_provides_nothing(short_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(short_dir))
    folder = short_dir / "systemd" / "user"
    folder.mkdir(parents=True)
    (folder / systemd_units.UNIT).write_text("[Socket]\nListenStream=/s\n")
    assert systemd_units.start_command("/s") is None
