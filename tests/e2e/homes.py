"""A user's surroundings in a folder of their own, so that a client may start the real daemon as it likes."""

from __future__ import annotations

import json
import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from storaged.sample import SampleSpec, write_store
from tests.support.daemon import PATIENCE

STORAGECTL = (sys.executable, "-W", "ignore", "-m", "storaged_client.cli.main")
ROOT = Path(__file__).parents[2]


class Home:
    """``environ`` is what a client is to run with; ``path`` is where it looks for the daemon."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.clients: list[subprocess.Popen[str]] = []
        (folder / "run").mkdir(mode=0o700)
        self.path = str(folder / "run" / "storaged.sock")
        self.log = folder / "state" / "storaged" / "spawned.log"
        self.mark = Path(self.path + ".spawned")
        self.conf = folder / "storage.conf"
        self.conf.write_text(
            f'[storage]\ndriver = "overlay"\ngraphroot = "{folder}/root"\nrunroot = "{folder}/runroot"\n'
        )
        dropped = ("STORAGED_NO_SPAWN", "XDG_RUNTIME_DIR", "CONTAINERS_STORAGE_CONF", "NOTIFY_SOCKET")
        self.environ = {name: value for name, value in os.environ.items() if name not in dropped} | {
            "HOME": str(folder),
            "XDG_STATE_HOME": str(folder / "state"),
            "XDG_CONFIG_HOME": str(folder / "config"),
            "XDG_DATA_HOME": str(folder / "data"),
            "CONTAINERS_STORAGE_CONF": str(self.conf),
            "STORAGED_SOCKET": self.path,
            "PYTHONSAFEPATH": "1",  # what PYTHONPATH names is run, wherever the tests run
        }

    def lay(self, images: int = 20) -> Any:
        """Make the store; returns what it holds."""
        return write_store(self.folder / "root", self.folder / "runroot", SampleSpec(images=images, seed=1))

    def begin(
        self, command: Sequence[str], environ: Mapping[str, str] | None = None, **more: Any
    ) -> subprocess.Popen[str]:
        """Start a client; its output comes by ``communicate``."""
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={**self.environ, **(environ or {})},
            **more,
        )
        self.clients.append(process)
        return process

    def ctl(self, *arguments: str, environ: Mapping[str, str] | None = None) -> subprocess.CompletedProcess[str]:
        """Run ``storagectl``."""
        return ended(self.begin([*STORAGECTL, *arguments], environ))

    def info(self, environ: Mapping[str, str] | None = None) -> Any:
        """``server.info`` as ``storagectl`` gets it, which starts a daemon where none listens."""
        done = self.ctl("call", "server.info", environ=environ)
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    def marked(self) -> int:
        """The pid in the mark; 0 where there is none."""
        try:
            return int(json.loads(self.mark.read_text())["pid"])
        except FileNotFoundError:
            return 0

    def daemons(self) -> list[int]:
        """The pids of the daemons of this socket that run."""
        found = []
        for entry in os.listdir("/proc"):
            with suppress(OSError):
                words = Path("/proc", entry, "cmdline").read_bytes().split(b"\0") if entry.isdigit() else []
                if b"serve" in words and os.fsencode(self.path) in words:
                    found.append(int(entry))
        return found


def ended(process: subprocess.Popen[str]) -> subprocess.CompletedProcess[str]:
    """Wait for the end of a client."""
    out, err = process.communicate(timeout=120)
    return subprocess.CompletedProcess(process.args, process.returncode, out, err)


def until(condition: Callable[[], Any], seconds: float = PATIENCE) -> Any:
    """Wait until ``condition()`` is true; returns what it returned."""
    deadline = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < deadline, "it did not come true"
        time.sleep(0.002)
    return found


def kill(pid: int, number: signal.Signals = signal.SIGKILL) -> None:
    """End a process of ours and wait until it has; one that is gone is gone."""
    with suppress(ProcessLookupError):
        process = os.pidfd_open(pid)
        try:
            signal.pidfd_send_signal(process, number)
            assert select.select([process], [], [], PATIENCE)[0]
        finally:
            os.close(process)


@contextmanager
def home(folder: Path) -> Iterator[Home]:
    """A home whose clients and daemons end with it."""
    made = Home(folder)
    try:
        yield made
    finally:
        for client in made.clients:
            if client.poll() is None:
                client.kill()  # or it would start the next daemon
                client.communicate()
        for pid in made.daemons():
            kill(pid)
