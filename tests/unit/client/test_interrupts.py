"""A signal's handler may raise wherever the interpreter looks for signals: behind each call of C, at each entry."""

from __future__ import annotations

import inspect
import os
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any

import pytest

import storaged_client
from storaged_client.sync import Client
from tests.support.server import Server

_OURS = os.path.dirname(storaged_client.__file__)
_ANSWERS: dict[str, Any] = {"server.ping": {"generation": "g"}}


@contextmanager
def interrupted(moment: int) -> Iterator[None]:
    """Raise KeyboardInterrupt at the given one of those moments of this thread in our code."""
    left = moment

    def profile(frame: FrameType, event: str, _: object) -> None:
        nonlocal left
        # One that strikes a generator as the interpreter disposes of it is told on stderr, and nobody else.
        disposed = event == "call" and frame.f_code.co_flags & inspect.CO_GENERATOR
        if event in ("call", "c_return") and not disposed and frame.f_code.co_filename.startswith(_OURS):
            if left == 0:
                sys.setprofile(None)
                raise KeyboardInterrupt
            left -= 1

    before = sys.getprofile()
    sys.setprofile(profile)
    try:
        yield
    finally:
        sys.setprofile(before)


def is_usable(client: Client, pool: ThreadPoolExecutor) -> bool:
    asked = [pool.submit(client.call, "echo", [n]) for n in range(2)]
    return [one.result(timeout=5) for one in asked] == [[0], [1]] and client.call("echo", [2], timeout=5) == [2]


def test_a_client_is_usable_after_an_interrupt_at_any_moment(short_dir: Path) -> None:
    moment, over = 0, False
    with Server(str(short_dir / "s"), _ANSWERS) as server, ThreadPoolExecutor(2) as pool:
        while not over:
            with storaged_client.connect(server.path, timeout=10) as client:
                try:
                    with interrupted(moment):
                        client.call("echo", ["x"])
                    over = True
                except KeyboardInterrupt:
                    moment += 1
                assert is_usable(client, pool), f"after moment {moment}"
    assert moment > 50


def test_an_interrupt_of_the_thread_that_reads_costs_no_other_thread_its_answer(short_dir: Path) -> None:
    """The main thread reads for both; the other's answer comes first, its own behind it."""
    moment, over = 0, False
    with ThreadPoolExecutor(3) as pool:
        while not over:
            with Server(str(short_dir / "s"), _ANSWERS) as server, storaged_client.connect(server.path) as client:
                server.holding = {"hold", "server.ping"}
                ended = threading.Event()
                helping = pool.submit(_ask_and_release, server, client, pool, ended)
                try:
                    with interrupted(moment):
                        client.call("hold")
                    over = True
                except KeyboardInterrupt:
                    moment += 1
                with server.changed:
                    ended.set()
                    server.changed.notify_all()
                other = helping.result(timeout=5)
                server.release()
                assert other.result(timeout=5) in ("released", {"generation": "g"}), f"after moment {moment}"
                assert is_usable(client, pool), f"after moment {moment}"
    assert moment > 50


def _ask_and_release(server: Server, client: Client, pool: ThreadPoolExecutor, ended: threading.Event) -> Future[Any]:
    server.wait_for(lambda: server.held or ended.is_set())
    other = pool.submit(client.call, "server.ping")
    server.wait_for(lambda: len(server.held) == 2 or ended.is_set())
    server.holding.clear()
    server.release()
    return other


@pytest.mark.parametrize("size", [10, 900_000])
def test_an_interrupt_while_a_request_is_sent_leaves_no_half_text_behind(short_dir: Path, size: int) -> None:
    with Server(str(short_dir / "s"), _ANSWERS) as server, ThreadPoolExecutor(2) as pool:
        for moment in range(0, 80, 2):
            with storaged_client.connect(server.path, timeout=10) as client:
                try:
                    with interrupted(moment):
                        client.call("echo", ["x" * size])
                except KeyboardInterrupt:
                    pass
                assert is_usable(client, pool), f"after moment {moment}"
