"""Where podman is found, and that it is never this daemon itself."""

from __future__ import annotations

import socket
from pathlib import Path

import anyio
import pytest

from storaged.gateway.errors import ApiError
from storaged.gateway.podman_socket import Listening, NoPodman, PodmanSocket

from .passed import passed

pytestmark = pytest.mark.anyio


def _listener(path: Path) -> socket.socket:
    sock = socket.socket(socket.AF_UNIX)
    sock.bind(str(path))
    sock.listen()
    return sock


async def test_nobody_is_there(short_dir: Path) -> None:
    _listener(short_dir / "dead").close()
    for path in (None, str(short_dir / "absent"), str(short_dir / "dead"), str(short_dir / "dead" / "below")):
        with pytest.raises(NoPodman):
            await PodmanSocket(path=path).connect()


@pytest.mark.parametrize("reached", ["s", "link", "hard", "renamed"])
async def test_our_own_socket_by_any_path(short_dir: Path, reached: str) -> None:
    with _listener(short_dir / "s") as sock:
        folder = anyio.Path(short_dir)
        await (folder / "link").symlink_to("s")
        await (folder / "hard").hardlink_to(folder / "s")
        if reached == "renamed":
            await (folder / "s").rename(folder / "renamed")
        podman = PodmanSocket(path=str(short_dir / reached), own=frozenset({Listening.of_listener(sock)}))
        with pytest.raises(ApiError) as raised:
            await podman.connect()
        assert raised.value.status == 508


async def test_another_socket_at_a_path_where_ours_was(short_dir: Path) -> None:
    with _listener(short_dir / "s") as ours:
        await anyio.Path(short_dir / "s").rename(short_dir / "ours")
        with _listener(short_dir / "theirs"):
            podman = PodmanSocket(path=str(short_dir / "theirs"), own=frozenset({Listening.of_listener(ours)}))
            (await podman.connect()).close()


async def test_a_queue_that_is_full_is_waited_for_and_then_told(
    short_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("storaged.gateway.podman_socket.CONNECT_SECONDS", 0.2)
    with socket.socket(socket.AF_UNIX) as sock:
        sock.bind(str(short_dir / "s"))
        sock.listen(0)
        with socket.socket(socket.AF_UNIX) as first:
            first.setblocking(False)
            first.connect(str(short_dir / "s"))
            with pytest.raises(ApiError) as raised:
                await PodmanSocket(path=str(short_dir / "s")).connect()
            assert raised.value.status == 503


async def test_a_request_that_comes_back_is_known(short_dir: Path) -> None:
    """Another daemon may stand between: it passes on to us what we passed on to it."""
    async with passed(short_dir) as one:
        await one.ask("GET", "/v1.44/containers/echo")
        via = one.podman.seen[0].header(b"via")[-1].decode()
        status, told = await one.ask("GET", "/v1.44/containers/echo", f"Via: 1.0 other, {via}, 1.1 third")
        assert (status, told["response"]) == (508, 508)
        status, _ = await one.ask("GET", "/v1.44/containers/echo", "Via: 1.1 storaged-0")
        assert status == 200
