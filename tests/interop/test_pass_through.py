"""docker and podman --remote of 4.3 and 5.8 behind the gateway: containers, builds and archives are podman's own."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import socket
import subprocess
import tarfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import IO

import pytest
from attrs import frozen

from tests.interop.conftest import missing
from tests.support.daemon import Daemon, serving
from tests.support.peers import Peer, Store, workspace
from tests.support.podman_service import Service, service

_TIMEOUT = 30
_BUSYBOX = "/bin/busybox"
CLIENTS = ("docker", "podman-4.3", "podman-5.8")


@frozen(kw_only=True)
class Behind:
    """A daemon, the service of podman 5.8 behind it, and the clients before it."""

    store: Store
    daemon: Daemon
    service: Service

    @property
    def api(self) -> str:
        return str(self.store.work / "api")

    def start(self, client: str, *arguments: str, out: int | IO[bytes] = subprocess.PIPE) -> subprocess.Popen[bytes]:
        environ = self.store.environment()
        if client == "docker":
            command = ["docker", *arguments]
            environ |= {"DOCKER_HOST": f"unix://{self.api}", "DOCKER_BUILDKIT": "0"}
        else:
            command = ["podman", "--remote", "--url", f"unix://{self.api}", *arguments]
            if client == "podman-5.8":
                command = self.store.peer.argv(self.store.work, command)
        pipe = subprocess.PIPE
        return subprocess.Popen(command, env=environ, cwd=self.store.work, stdin=pipe, stdout=out, stderr=pipe)

    def run(self, client: str, *arguments: str, typed: bytes = b"", status: int = 0) -> bytes:
        """What the client prints; it must end with ``status``."""
        process = self.start(client, *arguments)
        try:
            out, err = process.communicate(typed, timeout=_TIMEOUT)
        except subprocess.TimeoutExpired:
            process.kill()
            raise AssertionError(f"{client} {arguments} hangs: {process.communicate()}, {self.daemon.log}") from None
        assert process.returncode == status, (client, arguments, process.returncode, out[-500:], err[-2000:])
        return out

    def names(self) -> set[str]:
        """Of all images, as the daemon's own client sees them."""
        with self.daemon.client() as client:
            rows = client.call("images.list", consistency="strict", timeout=20)["images"]
        return {name for row in rows for name in row["names"]}


@pytest.fixture(scope="module", params=["trio", "asyncio"])
def behind(request: pytest.FixtureRequest, podman_58: Peer) -> Iterator[Behind]:
    if not os.path.exists(_BUSYBOX):
        missing("busybox is missing: apt-get install busybox-static")
    with workspace(podman_58) as store, service(store, containers=True) as behind:
        context = store.work / "context" / "busybox"
        context.mkdir()
        shutil.copy(_BUSYBOX, context / "busybox")
        (context / "Dockerfile").write_text(
            'FROM scratch\nCOPY busybox /bin/busybox\nCOPY busybox /bin/sh\nENV PATH=/bin\nCMD ["/bin/sh"]\n'
        )
        store.podman("build", "-q", "--isolation=chroot", "-t", "localhost/busybox:1", str(context))
        flags = ["--runroot", str(store.runroot), "--driver", store.driver]
        flags += ["--api-socket", str(store.work / "api"), "--podman-socket", str(store.work / "service")]
        with serving(store.work, *flags, backend=request.param) as daemon:
            yield Behind(store=store, daemon=daemon, service=behind)
            assert daemon.counters().get("requests.failed", 0) == 0
            assert daemon.counters().get("connections.failed", 0) == 0
            assert daemon.stop() == 0


@pytest.fixture(params=CLIENTS)
def client(request: pytest.FixtureRequest, podman_43: Peer) -> str:
    if request.param == "docker" and shutil.which("docker") is None:
        missing("docker is missing: sh tests/support/docker_cli.sh")
    return str(request.param)


def _run(*more: str) -> Sequence[str]:
    return ("run", "--rm", "--network=none", *more)


def test_output_and_status_of_a_container(behind: Behind, client: str) -> None:
    assert behind.run(client, *_run(), "localhost/busybox:1", "busybox", "echo", "hello") == b"hello\n"
    behind.run(client, *_run(), "localhost/busybox:1", "sh", "-c", "exit 7", status=7)


def test_what_is_typed_comes_back_whole(behind: Behind, client: str) -> None:
    typed = os.urandom(1 << 20)
    found = behind.run(client, *_run("-i"), "localhost/busybox:1", "busybox", "sha256sum", typed=typed)
    assert found.split()[0].decode() == hashlib.sha256(typed).hexdigest()
    # Both ways at once, and a status after the end of input.
    script = "busybox cat; exit 3"
    assert behind.run(client, *_run("-i"), "localhost/busybox:1", "sh", "-c", script, typed=typed, status=3) == typed


def test_exec_in_a_running_container(behind: Behind, client: str) -> None:
    name = f"kept-{client}"
    started = behind.run(client, "run", "-d", "--network=none", "--name", name, "localhost/busybox:1", *_SLEEP)
    assert len(started.strip()) == 64
    try:
        assert behind.run(client, "exec", name, "busybox", "echo", "inside") == b"inside\n"
        script = "busybox tr a-z A-Z; exit 9"
        assert behind.run(client, "exec", "-i", name, "sh", "-c", script, typed=b"upper\n", status=9) == b"UPPER\n"
        assert name.encode() in behind.run(client, "ps", "--format", "{{.Names}}")
        waiting = behind.start(client, "wait", name)
        behind.run(client, "kill", name)
        out, err = waiting.communicate(timeout=_TIMEOUT)
        assert (out.strip(), waiting.returncode) == (b"137", 0), err
    finally:
        behind.run(client, "rm", "-f", name)


def test_a_build_and_what_it_made(behind: Behind, client: str) -> None:
    context = behind.store.work / "context" / f"build-{client}"
    context.mkdir(exist_ok=True)
    (context / "data").write_bytes(os.urandom(3 << 20))
    (context / "Dockerfile").write_text("FROM localhost/busybox:1\nCOPY data /data\n")
    behind.run(client, "build", "-t", f"localhost/built-{client}:1", str(context))
    assert f"localhost/built-{client}:1" in behind.names()
    found = behind.run(client, *_run(), f"localhost/built-{client}:1", "busybox", "sha256sum", "/data")
    assert found.split()[0].decode() == hashlib.sha256((context / "data").read_bytes()).hexdigest()


def test_archives_go_out_and_come_in(behind: Behind, client: str) -> None:
    archive = behind.store.work / "tmp" / f"{client}.tar"
    behind.run(client, "tag", "localhost/busybox:1", f"localhost/saved-{client}:1")
    try:
        behind.run(client, "save", "-o", str(archive), f"localhost/saved-{client}:1")
        with tarfile.open(archive) as tar:
            assert "manifest.json" in tar.getnames()
        behind.run(client, "rmi", f"localhost/saved-{client}:1")
        assert f"localhost/saved-{client}:1" not in behind.names()
        behind.run(client, "load", "-i", str(archive))
        assert f"localhost/saved-{client}:1" in behind.names()
    finally:
        archive.unlink(missing_ok=True)


@pytest.mark.parametrize("client", ["docker", "podman-5.8"], indirect=True)
def test_events_come_as_they_happen(behind: Behind, client: str) -> None:
    seen = behind.store.work / f"events-{client}"
    with seen.open("wb") as out:
        process = behind.start(client, "events", "--filter", "type=container", "--format", "{{.ID}}", out=out)
    command = [*_run(), "localhost/busybox:1", "busybox", "true"]
    try:
        # Nothing tells that podman listens by now.
        _until(lambda: not behind.run("docker", *command) and seen.stat().st_size > 0, "no event")
    finally:
        process.kill()
        process.communicate(timeout=_TIMEOUT)


def test_a_build_that_its_client_leaves_is_given_up(behind: Behind) -> None:
    context = behind.store.work / "context" / "left"
    context.mkdir(exist_ok=True)
    first, second = (f"mark-{name}-{os.getpid()}-{time.monotonic_ns()}" for name in ("first", "second"))
    steps = f"RUN busybox sleep 3 # {first}\nRUN busybox sleep 1000 # {second}\n"
    (context / "Dockerfile").write_text(f"FROM localhost/busybox:1\n{steps}")
    process = behind.start("docker", "build", "-t", "localhost/left:1", str(context))
    try:
        _until(lambda: _runs(first), f"no build began: {behind.daemon.log[-2000:]}")
    finally:
        process.kill()
        process.communicate()
    # podman ends the step that runs, and begins no other.
    _until(lambda: not _runs(first), "the first step goes on")
    for _ in range(3):
        behind.run("docker", *_run(), "localhost/busybox:1", "busybox", "true")
        assert not _runs(second)
    assert "localhost/left:1" not in behind.names()


def test_others_may_not(behind: Behind) -> None:
    os.chmod(behind.api, 0o666)
    behind.store.work.chmod(0o755)
    reading, writing = os.pipe()
    child = os.fork()
    if not child:
        try:
            os.setgroups([])
            os.setresgid(65534, 65534, 65534)
            os.setresuid(65534, 65534, 65534)
            os.write(writing, _ask(behind.api, b"GET /v1.44/containers/json HTTP/1.0\r\n\r\n"))
        finally:
            os._exit(0)
    os.close(writing)
    with os.fdopen(reading, "rb") as pipe:
        answer = pipe.read()
    os.waitpid(child, 0)
    assert answer.startswith(b"HTTP/1.0 403 ")
    assert b"uid 65534 may not use podman" in answer


def test_a_load_of_nonsense_is_refused_in_podmans_words(behind: Behind) -> None:
    head = b"POST /v1.44/images/load HTTP/1.1\r\nHost: d\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n"
    asked = head + b"5\r\nhello\r\n0\r\n\r\n"
    ours, theirs = (_ask(path, asked) for path in (behind.api, str(behind.store.work / "service")))
    assert ours.startswith(b"HTTP/1.1 500 ")
    # The file that podman kept it in has a random name.
    plain = [re.sub(rb"\d+", b"N", each.partition(b"\r\n\r\n")[2]) for each in (ours, theirs)]
    assert plain[0] == plain[1]


def _ask(path: str, asked: bytes) -> bytes:
    """All of the answer."""
    with socket.socket(socket.AF_UNIX) as channel:
        channel.settimeout(_TIMEOUT)
        channel.connect(path)
        channel.sendall(asked)
        found = b""
        while piece := channel.recv(1 << 16):
            found += piece
        return found


_SLEEP = ("busybox", "sleep", "1000")


def _runs(mark: str) -> bool:
    """Whether a process has this in its arguments."""
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with suppress(OSError):  # ended meanwhile
            if mark.encode() in path.read_bytes():
                return True
    return False


def _until(holds: Callable[[], bool], otherwise: str) -> None:
    deadline = time.monotonic() + _TIMEOUT
    while not holds():
        assert time.monotonic() < deadline, otherwise
        time.sleep(0.05)
