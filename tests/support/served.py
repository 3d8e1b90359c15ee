"""A daemon under stress: its log goes to a file, so that no pipe fills, and the kernel says what it holds."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from attrs import frozen

from storaged.sample import Sample, SampleSpec, write_store

from .daemon import Client
from .report import Report

BACKENDS = ("trio", "asyncio")
_PATIENCE = 30.0
_GIVEN_BACK = 2.5
"""Seconds; the daemon waits one of them for others to end, too."""
_PAGE = os.sysconf("SC_PAGE_SIZE")
MIB = 1 << 20


@frozen(kw_only=True)
class Served:
    """One running daemon. ``folder`` holds its store, its socket and its log."""

    process: subprocess.Popen[bytes]
    folder: Path
    backend: str

    @property
    def path(self) -> str:
        return str(self.folder / "s")

    @property
    def log(self) -> str:
        return (self.folder / "log").read_text(errors="replace")

    @property
    def alive(self) -> bool:
        return self.process.poll() is None

    def client(self) -> Client:
        return Client(self.path)

    def memory(self) -> int:
        """Bytes resident."""
        return int(Path(f"/proc/{self.process.pid}/statm").read_text().split()[1]) * _PAGE

    def descriptors(self) -> int:
        return len(os.listdir(f"/proc/{self.process.pid}/fd"))

    def counters(self) -> dict[str, int]:
        with self.client() as client:
            return dict(client.call("server.stats")["counters"])

    def settled_descriptors(self, patience: float = 15.0) -> int:
        """How many are open once the number has not changed for half a second, or when patience ends."""
        deadline, same, count = time.monotonic() + patience, 0, self.descriptors()
        while same < 10 and time.monotonic() < deadline:
            time.sleep(0.05)
            before, count = count, self.descriptors()
            same = same + 1 if count == before else 0
        return count

    def settled_memory(self) -> int:
        """The least that is resident within some seconds: free memory goes back a moment after a connection ended."""
        least, deadline = self.memory(), time.monotonic() + _GIVEN_BACK
        while time.monotonic() < deadline:
            time.sleep(0.1)
            least = min(least, self.memory())
        return least

    def open_door(self) -> None:
        """Let every uid of this machine in."""
        self.folder.chmod(0o755)
        os.chmod(self.path, 0o666)

    def claim_whole(self, report: Report) -> None:
        """It runs, and has not taken one mistake of its own for granted."""
        if report.claim(self.alive, f"{self.backend}: the daemon ended with {self.process.poll()}: {self.log[-2000:]}"):
            counters = self.counters()
            for name in ("requests.failed", "connections.failed"):
                report.claim(
                    not counters.get(name), f"{self.backend}: {name}: {counters.get(name)}: {self._traceback()}"
                )

    def _traceback(self) -> str:
        log = self.log
        return log[max(0, log.find("Traceback")) :][:1500]


@contextmanager
def served(
    images: int, *, seed: int, backend: str, program: Sequence[str] = ("storaged",)
) -> Iterator[tuple[Served, Sample]]:
    """A daemon on a sample store while the block lasts. ``program``: a module, and its first arguments.

    Raises:
        RuntimeError: it did not become ready.
    """
    with tempfile.TemporaryDirectory(prefix="stress-") as name:
        folder = Path(name)
        sample = write_store(folder / "root", folder / "run", SampleSpec(images=images, seed=seed, contents="files"))
        with serving(folder, backend=backend, program=program) as daemon:
            yield daemon, sample


@contextmanager
def serving(
    folder: Path, *, backend: str, driver: str = "overlay", runroot: str = "run", program: Sequence[str] = ("storaged",)
) -> Iterator[Served]:
    """As ``served``, on the store in ``folder/root``, with ``folder``'s ``runroot``."""
    flags = ["--socket", str(folder / "s"), "--backend", backend, "--driver", driver]
    flags += ["--root", str(folder / "root"), "--runroot", str(folder / runroot)]
    # Not the file of this machine, if it has one.
    settings = folder / "storaged.toml"
    settings.touch()
    flags += ["--config", str(settings)]
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen([sys.executable, "-m", *program, "serve", *flags], stderr=log)
    daemon = Served(process=process, folder=folder, backend=backend)
    try:
        deadline = time.monotonic() + _PATIENCE
        while "ready: listening on" not in daemon.log:
            if not daemon.alive or time.monotonic() > deadline:
                raise RuntimeError(f"the daemon is not ready:\n{daemon.log[-2000:]}")
            time.sleep(0.02)
        yield daemon
    finally:
        stop(process)


def stop(process: subprocess.Popen[bytes]) -> None:
    """End a daemon of ours, by force where it does not end as asked."""
    process.send_signal(signal.SIGTERM)
    try:
        process.wait(_PATIENCE)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
