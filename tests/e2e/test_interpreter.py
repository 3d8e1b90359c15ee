"""How the daemon has its interpreter work, told by the daemon's own process when it is asked by a signal."""

from __future__ import annotations

import signal
import sys
from pathlib import Path

import pytest

from storaged.sample import SampleSpec, SampleWriter, write_store
from tests.support.daemon import Daemon, flags, started

TELLING = """
import gc, signal, sys
from storaged.cli import main
def tell(*_):
    looks = sum(each["collections"] for each in gc.get_stats())
    print(f"told {gc.isenabled()} {looks} {sys.getswitchinterval()}", file=sys.stderr, flush=True)
signal.signal(signal.SIGUSR1, tell)
sys.exit(main())
"""


def ask(daemon: Daemon) -> tuple[str, int, float]:
    daemon.signal(signal.SIGUSR1)
    collecting, looks, interval = daemon.await_line("told").split()[1:]
    return collecting, int(looks), float(interval)


@pytest.mark.parametrize("backend", ["trio", "asyncio"])
def test_garbage_is_looked_for_from_the_first_answer_on_and_threads_give_way_soon(
    short_dir: Path, backend: str
) -> None:
    write_store(short_dir / "root", short_dir / "run", SampleSpec(images=10))
    socket = str(short_dir / "s")
    command = [sys.executable, "-c", TELLING, "serve", *flags(short_dir, "--socket", socket, "--backend", backend)]
    with started(command, socket) as daemon:
        daemon.await_line("ready")
        collecting, looks, interval = ask(daemon)
        assert collecting == "True"
        assert looks < 80, "garbage was looked for in the course of the start"
        assert interval < 0.001
        with daemon.client() as client:
            before = client.call("images.list")["generation"]
            SampleWriter(short_dir / "root", short_dir / "run", "overlay").add_image("new")
            assert client.call("images.list")["generation"] != before
        assert ask(daemon)[0] == "True"
