"""Real daemons in processes of their own."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from storaged.sample import Sample, SampleSpec, write_store

from .client import REPLY, Client
from .peers import Store
from .report import Report

BACKENDS = ("trio", "asyncio")
STORAGED = (sys.executable, "-m", "storaged")
STORAGECTL = (sys.executable, "-W", "ignore", "-m", "storaged_client.cli.main")
PATIENCE = 15.0
"""Seconds for what a daemon does at once, on a busy machine."""
MIB = 1 << 20
_START = 30.0
_GIVEN_BACK = 2.5
"""Seconds; the daemon waits one of them for others to end, too."""
_PAGE = os.sysconf("SC_PAGE_SIZE")


class Daemon:
    """A running daemon. Its log goes to an unnamed file, so that no pipe fills."""

    def __init__(
        self,
        command: Sequence[str],
        path: str,
        environ: Mapping[str, str] | None = None,
        pass_fds: Sequence[int] = (),
        backend: str = "",
    ) -> None:
        self.path = path
        self.backend = backend
        self._log = tempfile.TemporaryFile("a+b", buffering=0)  # noqa: SIM115 - as long as the daemon
        self._whole = b""
        """The log, once the file of it is closed."""
        self._read = 0
        self.process = subprocess.Popen(
            command,
            stderr=self._log,
            env=_environment(environ or {}),
            start_new_session=True,
            pass_fds=pass_fds,
        )

    @property
    def log(self) -> str:
        return self._since(0).decode(errors="replace")

    @property
    def alive(self) -> bool:
        return self.process.poll() is None

    @property
    def pid(self) -> int:
        return self.process.pid

    def await_line(self, start: str, *, anywhere: bool = False, patience: float = _START) -> str:
        """The next line of the log that begins so, or has it anywhere.

        Raises:
            RuntimeError: it does not come.
        """
        deadline = time.monotonic() + patience
        while True:
            ended = not self.alive
            for line in self._since(self._read).splitlines(keepends=True):
                if not line.endswith(b"\n"):
                    break
                self._read += len(line)
                text = line.decode(errors="replace")
                if text.startswith(start) or (anywhere and start in text):
                    return text
            if ended or time.monotonic() > deadline:
                raise RuntimeError(f"no line {start!r} in the log of the daemon:\n{self.log[-4000:]}")
            time.sleep(0.005)

    def await_exit(self) -> int:
        """Its exit status; the log is complete then."""
        return self.process.wait(timeout=PATIENCE)

    def signal(self, number: signal.Signals) -> None:
        self.process.send_signal(number)

    def stop(self) -> int:
        """End it by SIGTERM, by force where it does not end in time; returns its status."""
        self.signal(signal.SIGTERM)
        try:
            return self.process.wait(_START)
        except subprocess.TimeoutExpired:
            self.process.kill()
            return self.process.wait()

    def close(self) -> None:
        """End it at once if it still runs."""
        if self.alive:
            self.process.kill()
        self.process.wait()
        self._whole = self._since(0)
        self._log.close()

    def client(self) -> Client:
        return Client(self.path)

    def storagectl(self, *arguments: str) -> str:
        """What ``storagectl`` prints.

        Raises:
            RuntimeError: it failed.
        """
        command = [*STORAGECTL, "--socket", self.path, *arguments]
        environ = {**os.environ, "STORAGED_NO_SPAWN": "1"}
        done = subprocess.run(command, env=environ, capture_output=True, text=True, check=False, timeout=REPLY)
        if done.returncode != 0:
            raise RuntimeError(f"storagectl {' '.join(arguments)}: exit {done.returncode}: {done.stderr[-1000:]}")
        return done.stdout

    @property
    def memory(self) -> int:
        """Resident bytes."""
        return int(Path(f"/proc/{self.pid}/statm").read_text().split()[1]) * _PAGE

    def descriptors(self) -> int:
        return len(os.listdir(f"/proc/{self.pid}/fd"))

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
        least, deadline = self.memory, time.monotonic() + _GIVEN_BACK
        while time.monotonic() < deadline:
            time.sleep(0.1)
            least = min(least, self.memory)
        return least

    def claim_whole(self, report: Report) -> None:
        """It runs, and no request of it failed by a mistake of its own."""
        if report.claim(self.alive, f"{self.backend}: the daemon ended with {self.process.poll()}: {self.log[-2000:]}"):
            counters = self.counters()
            for name in ("requests.failed", "connections.failed"):
                report.claim(
                    not counters.get(name), f"{self.backend}: {name}: {counters.get(name)}: {self._traceback()}"
                )

    def _traceback(self) -> str:
        log = self.log
        return log[max(0, log.find("Traceback")) :][:1500]

    def _since(self, offset: int) -> bytes:
        if self._log.closed:
            return self._whole[offset:]
        fd = self._log.fileno()
        return os.pread(fd, os.fstat(fd).st_size - offset, offset)


def _environment(given: Mapping[str, str]) -> dict[str, str]:
    base = dict(os.environ)
    if "HOME" in given:
        base.pop("XDG_RUNTIME_DIR", None)  # with another home, that of the tests is another user's
    return {**base, **given}


def flags(folder: Path, *more: str) -> list[str]:
    """The flags of ``serve`` for the store ``root`` in a folder, which is made, without this machine's settings."""
    root = folder / "root"
    if not root.exists():
        root.mkdir()
    if "--config" not in more:
        (folder / "no-settings.toml").touch()
        more = ("--config", str(folder / "no-settings.toml"), *more)
    return ["--root", str(root), "--runroot", str(folder / "run"), "--driver", "overlay", *more]


@contextmanager
def started(
    command: Sequence[str],
    path: str,
    environ: Mapping[str, str] | None = None,
    pass_fds: Sequence[int] = (),
    backend: str = "",
) -> Iterator[Daemon]:
    """A process of this command while the block lasts; nothing is waited for."""
    daemon = Daemon(command, path, environ, pass_fds, backend)
    try:
        yield daemon
    finally:
        daemon.close()


@contextmanager
def serving(
    folder: Path,
    *more: str,
    backend: str = "trio",
    environ: Mapping[str, str] | None = None,
    socket: str = "s",
    program: Sequence[str] = ("storaged",),
) -> Iterator[Daemon]:
    """A daemon that is ready, on the store ``root`` in a folder. ``program``: a module, and its first arguments.

    Raises:
        RuntimeError: it did not become ready.
    """
    path = str(folder / socket)
    command = [sys.executable, "-m", *program, "serve", *flags(folder, "--socket", path, "--backend", backend, *more)]
    with started(command, path, environ, backend=backend) as daemon:
        assert daemon.await_line("ready: ") == f"ready: listening on {path}\n"
        yield daemon


@contextmanager
def on_sample(
    images: int, *, seed: int, backend: str, program: Sequence[str] = ("storaged",)
) -> Iterator[tuple[Daemon, Sample]]:
    """As ``serving``, on a sample store of its own."""
    with tempfile.TemporaryDirectory(prefix="sample-") as name:
        folder = Path(name)
        sample = write_store(folder / "root", folder / "run", SampleSpec(images=images, seed=seed, contents="files"))
        with serving(folder, backend=backend, program=program) as daemon:
            yield daemon, sample


@contextmanager
def daemon(
    store: Store, *, backend: str = "trio", program: Sequence[str] = ("storaged",), more: Sequence[str] = ()
) -> Iterator[Daemon]:
    """As ``serving``, on a peer's store, with ``more`` flags; it must end well.

    storage.conf tells it of additional stores, since ``--root`` turns that off.

    Raises:
        RuntimeError: it did not become ready, or did not end with status 0.
    """
    with tempfile.TemporaryDirectory(prefix="rival-") as folder:
        path, settings = f"{folder}/s", Path(folder, "storaged.toml")
        settings.touch()
        command = [sys.executable, "-m", *program, "serve", "--socket", path, "--backend", backend]
        command += ["--config", str(settings), *more]
        environ = {"CONTAINERS_STORAGE_CONF": str(store.storage_conf)} if store.additional else {}
        if not store.additional:
            command += ["--root", str(store.graphroot), "--runroot", str(store.runroot), "--driver", store.driver]
        with started(command, path, environ, backend=backend) as running:
            running.await_line("ready: ")
            try:
                yield running
            finally:
                if status := running.stop():
                    raise RuntimeError(f"the daemon ended with {status}:\n{running.log[-4000:]}")
