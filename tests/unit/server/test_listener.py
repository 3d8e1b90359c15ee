"""Binding: the mode is right at every moment, nobody's socket is taken, nobody else's is removed."""

from __future__ import annotations

import os
import socket
import stat
from pathlib import Path

import pytest

from storaged.server.errors import SocketTaken, SocketUnusable
from storaged.server.listener import PATH_LIMIT, bind


def listening(path: Path) -> socket.socket:
    sock = socket.socket(socket.AF_UNIX)
    sock.bind(str(path))
    sock.listen()
    return sock


def test_a_bound_socket_has_mode_0600_whatever_the_umask(short_dir: Path) -> None:
    before = os.umask(0)
    try:
        listener = bind(str(short_dir / "s"))
    finally:
        os.umask(before)
    assert stat.S_IMODE(os.stat(short_dir / "s").st_mode) == 0o600
    assert os.listdir(short_dir) == ["s"]
    listener.close()


def test_missing_folders_are_made_for_us_alone(short_dir: Path) -> None:
    listener = bind(str(short_dir / "a" / "b" / "s"))
    assert stat.S_IMODE(os.stat(short_dir / "a").st_mode) == 0o700
    assert stat.S_IMODE(os.stat(short_dir / "a" / "b").st_mode) == 0o700
    listener.close()


def test_a_socket_nobody_answers_on_is_replaced(short_dir: Path) -> None:
    listening(short_dir / "s").close()
    listener = bind(str(short_dir / "s"))
    with socket.socket(socket.AF_UNIX) as client:
        client.connect(str(short_dir / "s"))
        assert listener.waiting()
    listener.close()


def test_a_socket_somebody_answers_on_is_left_alone_and_its_pid_named(short_dir: Path) -> None:
    with listening(short_dir / "s"):
        before = os.stat(short_dir / "s").st_ino
        with pytest.raises(SocketTaken) as caught:
            bind(str(short_dir / "s"))
        assert caught.value.pid == os.getpid()
        assert os.stat(short_dir / "s").st_ino == before
        assert os.listdir(short_dir) == ["s"]


def test_a_full_queue_is_a_live_socket(short_dir: Path) -> None:
    with socket.socket(socket.AF_UNIX) as busy:
        busy.bind(str(short_dir / "s"))
        busy.listen(0)
        with socket.socket(socket.AF_UNIX) as client:
            client.connect(str(short_dir / "s"))
            with pytest.raises(SocketTaken):
                bind(str(short_dir / "s"))


@pytest.mark.parametrize("kind", ["file", "link", "folder"])
def test_what_is_no_socket_is_never_replaced(short_dir: Path, kind: str) -> None:
    path = short_dir / "s"
    if kind == "file":
        path.write_text("precious")
    elif kind == "link":
        path.symlink_to("elsewhere")
    else:
        path.mkdir()
    before = os.lstat(path)
    with pytest.raises(SocketUnusable, match="not a socket"):
        bind(str(path))
    assert os.lstat(path).st_ino == before.st_ino


def test_a_datagram_socket_in_use_is_left_alone(short_dir: Path) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as other:
        other.bind(str(short_dir / "s"))
        with pytest.raises(SocketTaken):
            bind(str(short_dir / "s"))


def test_a_path_the_kernel_cannot_take_is_a_clear_error(short_dir: Path) -> None:
    folder = short_dir / ("x" * (PATH_LIMIT - len(str(short_dir)) - 9))
    longest = folder / "s.socke"
    assert len(str(longest)) == PATH_LIMIT
    bind(str(longest)).close()
    with pytest.raises(SocketUnusable, match=f"108 bytes long and the kernel takes {PATH_LIMIT}"):
        bind(f"{longest}t")
    with pytest.raises(SocketUnusable, match="no room"):
        bind(f"{folder}x/s.sock")


@pytest.mark.parametrize("name", ["@storaged", "\0storaged"])
def test_an_abstract_socket_is_refused(name: str) -> None:
    with pytest.raises(SocketUnusable, match="abstract"):
        bind(name)


def test_a_folder_anybody_can_write_is_refused(short_dir: Path) -> None:
    short_dir.chmod(0o777)
    with pytest.raises(SocketUnusable, match="anyone"):
        bind(str(short_dir / "s"))
    short_dir.chmod(0o1777)
    bind(str(short_dir / "s")).close()


def test_withdrawing_removes_the_path_once(short_dir: Path) -> None:
    listener = bind(str(short_dir / "s"))
    listener.withdraw()
    assert os.listdir(short_dir) == []
    with listening(short_dir / "s"):
        listener.withdraw()
        assert os.listdir(short_dir) == ["s"]
    listener.close()


def test_withdrawing_leaves_another_daemons_socket_alone(short_dir: Path) -> None:
    listener = bind(str(short_dir / "s"))
    os.unlink(short_dir / "s")
    with listening(short_dir / "s"):
        listener.withdraw()
        assert os.listdir(short_dir) == ["s"]
    listener.close()


def test_a_path_that_leads_to_a_live_socket_never_refuses_while_it_is_replaced(short_dir: Path) -> None:
    listening(short_dir / "s").close()
    stale = os.stat(short_dir / "s").st_ino
    listener = bind(str(short_dir / "s"))
    assert os.stat(short_dir / "s").st_ino != stale
    for _ in range(3):
        with socket.socket(socket.AF_UNIX) as client:
            client.connect(str(short_dir / "s"))
    listener.close()
