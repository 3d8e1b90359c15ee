"""Detects network file systems, where record locks may not reach writers on other machines."""

from __future__ import annotations

import os

from storaged.store.files import Files

REMOTE = frozenset(
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


def is_remote(path: str, files: Files) -> bool | None:
    """Whether the file system of ``path`` is a network file system; None if that is unknown, as for a missing path."""
    try:
        device = files.stat(path).st_dev
        fd = files.open("/proc/self/mountinfo", os.O_RDONLY)
    except OSError:
        return None
    try:
        parts = []
        while part := files.read(fd, 1 << 16):
            parts.append(part)
    finally:
        files.close(fd)
    wanted = f"{os.major(device)}:{os.minor(device)}"
    for line in b"".join(parts).decode("utf-8", "replace").splitlines():
        # "36 35 98:0 /mnt1 /mnt2 rw,noatime master:1 - ext3 /dev/root rw", proc(5)
        left, _, right = line.partition(" - ")
        words, types = left.split(), right.split()
        if len(words) > 2 and words[2] == wanted and types:
            return types[0] in REMOTE or types[0] in _REMOTE_FUSE
    return None
