"""The kernel's table of mounts, and whether a path is on a network file system.

Record locks may not reach writers of a network file system on other machines.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from typing import NamedTuple

from storaged.store.files import Files, read_proc

_ESCAPE = re.compile(r"\\([0-7]{3})")
_REMOTE = frozenset(
    {
        "nfs",
        "nfs4",
        "cifs",
        "smb3",
        "smbfs",
        "9p",
        "afs",
        "ceph",
        "lustre",
        "glusterfs",
        "ocfs2",
        "gfs2",
        "beegfs",
        "gpfs",
    }
)
_REMOTE_FUSE = frozenset({"fuse.sshfs", "fuse.glusterfs", "fuse.ceph", "fuse.s3fs", "fuse.rclone"})


class Mount(NamedTuple):
    """A mount of our mount namespace. ``device`` is ``major:minor``; ``point`` is absolute, without links."""

    device: str
    point: str
    file_system: str


def mounts(files: Files) -> Iterator[Mount]:
    """The mounts of our mount namespace.

    Raises:
        OSError: the table cannot be read.
    """
    for line in read_proc(files, "/proc/self/mountinfo").splitlines():
        # "36 35 98:0 /mnt1 /mnt2 rw,noatime master:1 - ext3 /dev/root rw", proc(5)
        mount, _, source = os.fsdecode(line).partition(" - ")
        words = mount.split(" ")
        if len(words) > 5:
            point = _ESCAPE.sub(lambda match: chr(int(match[1], 8)), words[4])
            yield Mount(device=words[2], point=point, file_system=source.partition(" ")[0])


def is_remote(path: str, files: Files) -> bool | None:
    """Whether the file system of ``path`` is a network file system; None if that is unknown, as for a missing path."""
    try:
        device = files.stat(path).st_dev
        wanted = f"{os.major(device)}:{os.minor(device)}"
        for mount in mounts(files):
            if mount.device == wanted:
                return mount.file_system in _REMOTE or mount.file_system in _REMOTE_FUSE
    except OSError:
        pass
    return None
