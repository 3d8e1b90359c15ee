"""Removals on a file system without a free byte, or without a free inode; and what podman does there.

The store lies on a small ext4 of its own. Before each removal what the one before has freed is taken again, so that
every one of them finds nothing free but the reserve.

python -m tests.acceptance.full_disk --scale 1      1,000 removals of each kind
"""

from __future__ import annotations

import errno
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from storaged.sample import SampleSpec, write_store
from storaged.store.layout.paths import own_dir
from storaged.store.writing.reserve import INODES, MARGIN
from tests.support.client import RpcError
from tests.support.daemon import daemon
from tests.support.peers import Peer, Store, ToolError, podman_58, workspace
from tests.support.report import Report, arguments

_REMOVALS = 1000
_BASELINE = 10
_BYTES_AN_IMAGE = 256 << 10
_INODES_AN_IMAGE = 24
_ROUNDS = 10
_PATIENCE = 20.0
"""Seconds for the reserve to be made, in the background of a start."""

KINDS = ("bytes", "inodes")


def main(argv: Sequence[str] | None = None) -> int:
    flags = arguments(__doc__ or "", argv)
    report = Report(timed=not flags.untimed)
    count = max(20, round(_REMOVALS * flags.scale))
    peer = podman_58()
    for kind in KINDS:
        remove_all(report, peer, kind, driver="overlay", count=count, seed=flags.seed)
    remove_all(report, peer, "bytes", driver="vfs", count=count, seed=flags.seed)
    for kind in KINDS:
        baseline(report, peer, kind, seed=flags.seed)
    return report.finish()


def remove_all(report: Report, peer: Peer, kind: str, *, driver: str, count: int, seed: int) -> None:
    """Remove so many images one after the other, each with nothing free but the reserve."""
    where = f"{driver}, no free {kind}"
    with workspace(peer, driver=driver) as store, _small(store, count):
        sample = write_store(
            store.graphroot,
            store.runroot,
            SampleSpec(images=count + 5, seed=seed, shape="distinct", driver=driver, contents="files"),
        )
        with daemon(store) as ours, ours.client() as client:
            report.claim(_await(lambda: _whole(store)), f"{where}: no reserve after a start")
            removed, longest = 0, 0.0
            for image in sample.images[:count]:
                _fill(store.graphroot, kind)
                report.claim(_free(store.graphroot, kind) == 0, f"{where}: {_free(store.graphroot, kind)} free")
                try:
                    answer = client.call("images.remove", names=[image])
                except RpcError as error:
                    report.claim(False, f"{where}: {error}")
                    continue
                longest = max(longest, client.elapsed)
                held = [each["id"] for each in answer["removed"]] == [image] and not answer["failed"]
                removed += report.claim(held, f"{where}: {answer}")
                report.claim(_whole(store), f"{where}: no whole reserve with the reply of removal {removed}")
            report.figure(f"{where}: removed", f"{removed}/{count}")
            report.figure(f"{where}: the longest removal, ms", longest * 1000)
            left = {row["id"] for row in client.images(all=True)}
            report.claim(left == set(sample.images[count:]), f"{where}: {len(left)} images are left")
        _empty(store.graphroot)
        listed = {line.removeprefix("sha256:") for line in store.podman("images", "-aq", "--no-trunc").split()}
        report.claim(listed == set(sample.images[count:]), f"{where}: podman lists {len(listed)} images")
        report.claim(store.podman("system", "check") == "", f"{where}: podman system check finds damage")


def baseline(report: Report, peer: Peer, kind: str, *, seed: int) -> None:
    """What podman does with nothing free: a figure, no claim."""
    with workspace(peer, driver="overlay") as store, _small(store, _BASELINE):
        sample = write_store(
            store.graphroot,
            store.runroot,
            SampleSpec(images=_BASELINE, seed=seed, shape="distinct", contents="files"),
        )
        listed = store.podman("images", "-aq", "--no-trunc").split()
        report.claim(len(listed) == _BASELINE, f"{peer.name} lists {len(listed)} images before the disk is full")
        removed, said = 0, ""
        for image in sample.images:
            _fill(store.graphroot, kind)
            try:
                store.podman("rmi", image)
                removed += 1
            except ToolError as error:
                said = str(error)
        report.figure(f"{peer.name}, no free {kind}: podman rmi removed", f"{removed}/{_BASELINE}")
        if said:
            report.figure(f"{peer.name}, no free {kind}: it says", said.strip().splitlines()[-1][-200:])


@contextmanager
def _small(store: Store, images: int) -> Iterator[None]:
    """An ext4 with room for the images, mounted where the store will be."""
    disk = store.work / "disk.img"
    size = (32 << 20) + images * _BYTES_AN_IMAGE
    with disk.open("wb") as file:
        file.truncate(size)
    command = ["mkfs.ext4", "-q", "-m", "0", "-N", str(1000 + images * _INODES_AN_IMAGE), str(disk)]
    subprocess.run(command, check=True)
    store.graphroot.mkdir()
    subprocess.run(["mount", "-o", "loop", str(disk), str(store.graphroot)], check=True)
    try:
        (store.graphroot / "lost+found").rmdir()
        yield
    finally:
        subprocess.run(["umount", "-l", str(store.graphroot)], check=True)


def _fill(graphroot: Path, kind: str) -> None:
    """Take every byte, or every inode, that is free."""
    folder = graphroot / "filled"
    folder.mkdir(exist_ok=True)
    take = _take_bytes if kind == "bytes" else _take_inodes
    for _ in range(_ROUNDS):
        # What was freed is to be had once the file system's journal has it.
        fd = os.open(graphroot, os.O_RDONLY)
        try:
            os.fsync(fd)
        finally:
            os.close(fd)
        try:
            take(folder)
        except OSError as error:
            if error.errno != errno.ENOSPC:
                raise
        if not _free(graphroot, kind):
            return


def _take_inodes(folder: Path) -> None:
    while True:
        (folder / str(time.monotonic_ns())).touch()


def _take_bytes(folder: Path) -> None:
    """In large steps, then by the block: writes stop at a margin that allocation does not know."""
    fd = os.open(folder / str(time.monotonic_ns()), os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        end = 0
        for step in (1 << 20, 4096):
            try:
                while True:
                    os.posix_fallocate(fd, end, step)
                    end += step
            except OSError as error:
                if error.errno != errno.ENOSPC:
                    raise
                end = os.fstat(fd).st_size
    finally:
        os.close(fd)


def _empty(graphroot: Path) -> None:
    for path in (graphroot / "filled").iterdir():
        path.unlink()
    (graphroot / "filled").rmdir()


def _free(graphroot: Path, kind: str) -> int:
    status = os.statvfs(graphroot)
    return status.f_bavail if kind == "bytes" else status.f_favail


def _whole(store: Store) -> bool:
    """Whether the reserve has its blocks and its inodes."""
    folder = Path(own_dir(str(store.graphroot)))
    try:
        blocks = (folder / "reserve").stat()
        inodes = len(list((folder / "reserve.d").iterdir()))
    except FileNotFoundError:
        return False
    return blocks.st_blocks * 512 >= blocks.st_size >= MARGIN and inodes == INODES


def _await(condition: Callable[[], bool]) -> bool:
    deadline = time.monotonic() + _PATIENCE
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True


if __name__ == "__main__":
    sys.exit(main())
