"""A store that is removed and made again under its daemon, as ``podman system reset`` and a pull do it."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
from contextlib import suppress
from pathlib import Path

import pytest

from storaged.sample import Sample, SampleSpec, write_store
from storaged.store.files import Files
from storaged.store.locks.instance import take_instance_lock
from tests.e2e.homes import until
from tests.support.daemon import STORAGED, Daemon, flags, serving

BACKENDS = pytest.mark.parametrize("backend", ["trio", "asyncio"])


def lay(folder: Path, seed: int) -> Sample:
    return write_store(folder / "root", folder / "run", SampleSpec(images=12, seed=seed))


def remove(root: Path) -> None:
    """Remove a store; its daemon may make a file in a folder that was just found empty."""
    while root.exists():
        shutil.rmtree(root, ignore_errors=True)


def replace(folder: Path, seed: int) -> Sample:
    """What a reset leaves of a store, and then another one."""
    remove(folder / "root")
    shutil.rmtree(folder / "run", ignore_errors=True)
    return lay(folder, seed)


def ids(daemon: Daemon) -> set[str]:
    with daemon.client() as client:
        return {row["id"] for row in client.call("images.list", all=True)["images"]}


def removed_but_open(pid: int, folder: Path) -> list[str]:
    """What a process has open of files below ``folder`` that are removed; for a moment a file it replaced itself."""
    found = []
    for fd in Path(f"/proc/{pid}/fd").iterdir():
        with suppress(FileNotFoundError):  # closed meanwhile
            found.append(os.readlink(fd))
    return [target for target in found if "(deleted)" in target and str(folder) in target]


def second(folder: Path) -> subprocess.CompletedProcess[str]:
    command = [*STORAGED, "serve", *flags(folder, "--socket", str(folder / "t"))]
    return subprocess.run(command, capture_output=True, text=True, timeout=60)


@BACKENDS
@pytest.mark.parametrize("more", [(), ("--read-only",)], ids=["writing", "read-only"])
def test_a_daemon_guards_the_store_that_took_the_place_of_its_own_and_keeps_nothing_of_the_old_one(
    short_dir: Path, backend: str, more: tuple[str, ...]
) -> None:
    lay(short_dir, 1)
    with serving(short_dir, "--backend", backend, *more) as daemon:
        before = ids(daemon)
        with daemon.client() as client:
            image = sorted(before)[0]
            client.request("store.lease", {"images": [image]})
            replace(short_dir, 2)
            daemon.await_line("draining reason=replaced", anywhere=True)
        daemon.await_line("ready: ")
        done = second(short_dir)
        assert (done.returncode, f"pid {daemon.process.pid}" in done.stderr) == (75, True)
        assert ids(daemon).isdisjoint(before)
        assert len(ids(daemon)) >= 12
        with daemon.client() as client:
            assert client.call("server.info")["pid"] == daemon.process.pid
            assert client.call("server.stats")["gauges"].get("leases", 0) == 0
            if not more:
                tagged = client.request("images.tag", {"name": sorted(ids(daemon))[0], "tags": ["app:1"]})
                assert "result" in tagged
        until(lambda: removed_but_open(daemon.process.pid, short_dir) == [])
        daemon.signal(signal.SIGTERM)
        assert daemon.await_exit() == 0
    assert not os.path.exists(daemon.path)


def test_a_daemon_whose_store_was_removed_guards_the_one_that_is_made_later(short_dir: Path) -> None:
    lay(short_dir, 1)
    with serving(short_dir) as daemon:
        remove(short_dir / "root")
        daemon.await_line("ready: ")
        assert ids(daemon) == set()
        assert not (short_dir / "root").exists()
        lay(short_dir, 2)
        guard = short_dir / "root" / "storaged" / "daemon.lock"
        with daemon.client() as client:
            while not (guard.exists() and guard.read_text()):  # it is made first, and then written
                client.request("server.ping")
        assert guard.read_text() == f"{daemon.process.pid}\n{daemon.path}\n"
        assert second(short_dir).returncode == 75
        assert len(ids(daemon)) >= 12


@BACKENDS
def test_a_daemon_ends_where_another_one_was_faster_to_guard_the_new_store(short_dir: Path, backend: str) -> None:
    lay(short_dir, 1)
    (short_dir / "later").mkdir()
    lay(short_dir / "later", 2)
    with (
        serving(short_dir, "--backend", backend) as daemon,
        take_instance_lock(str(short_dir / "later" / "root"), str(short_dir / "elsewhere"), files=Files()),
    ):
        (short_dir / "root").rename(short_dir / "before")
        (short_dir / "later" / "root").rename(short_dir / "root")
        assert daemon.await_exit() == 75
    assert f"pid {os.getpid()} already serves" in daemon.log
    assert not os.path.exists(daemon.path)


def test_a_change_asked_for_before_the_daemon_knows_the_new_store_never_reaches_it_unguarded(short_dir: Path) -> None:
    lay(short_dir, 1)
    (short_dir / "later").mkdir()
    sample = lay(short_dir / "later", 1)
    with serving(short_dir) as daemon, daemon.client() as client:
        (short_dir / "root").rename(short_dir / "before")
        (short_dir / "later" / "root").rename(short_dir / "root")
        answer = client.request("images.tag", {"name": sorted(sample.dangling)[0], "tags": ["app:1"]})
        assert answer["error"]["data"]["name"] in ("StoreReadOnly", "ShuttingDown"), answer
        assert not (short_dir / "root" / "storaged").exists()
