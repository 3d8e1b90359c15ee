"""Opens a folder inside an open folder, but never across a mount point, not even a bind mount of the same file system.

openat2(2) with RESOLVE_NO_XDEV refuses in the kernel (Linux 5.6). If it is not available (an older kernel, a system
call filter, a Python without ctypes), the mounts of both descriptors are compared: ``mnt_id`` in ``/proc/self/fdinfo``
(Linux 3.15). An open folder cannot change its mount, so neither way has a race.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from functools import cache
from typing import Final, TypeAlias

FOLDER: Final = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC

_OPENAT2: Final = 437
"""The system call number on every architecture except alpha and mips, which answer ENOSYS."""
_NO_XDEV: Final = 0x01
_UNAVAILABLE: Final = frozenset({errno.ENOSYS, errno.EPERM, errno.EINVAL, errno.E2BIG})
"""Errors of a kernel without the call, or of a filter; a refusal of the folder itself shows up again."""

_Opener: TypeAlias = Callable[[str, int], int]


def open_same_mount(name: str, dir_fd: int) -> int:
    """Open the folder of this name (also ``..``) in the folder of ``dir_fd``, close-on-exec; follows no link.

    Raises:
        OSError: as open(2), and EXDEV if another mount begins there, or if that is unknown.
    """
    opener = _kernel_opener()
    if opener is not None:
        try:
            return opener(name, dir_fd)
        except OSError as error:
            if error.errno not in _UNAVAILABLE:
                raise
    return open_comparing(name, dir_fd)


def open_comparing(name: str, dir_fd: int) -> int:
    """The same, by comparing the mounts of both descriptors.

    Raises:
        OSError: as :func:`open_same_mount`.
    """
    fd = os.open(name, FOLDER, dir_fd=dir_fd)
    try:
        if _mount_of(fd) != _mount_of(dir_fd):
            raise OSError(errno.EXDEV, os.strerror(errno.EXDEV), name)
    except BaseException:
        os.close(fd)
        raise
    return fd


def _mount_of(fd: int) -> bytes:
    """The id of the mount through which a descriptor was opened, see proc(5)."""
    info = os.open(f"/proc/self/fdinfo/{fd}", os.O_RDONLY | os.O_CLOEXEC)
    try:
        lines = os.read(info, 4096).splitlines()
    finally:
        os.close(info)
    for line in lines:
        if line.startswith(b"mnt_id:"):
            return line
    raise OSError(errno.EXDEV, "the kernel does not tell mounts", f"/proc/self/fdinfo/{fd}")


@cache
def _kernel_opener() -> _Opener | None:
    """openat2; None if this Python cannot call it."""
    try:
        import ctypes

        call = ctypes.CDLL(None, use_errno=True).syscall
    except (ImportError, OSError, AttributeError, MemoryError):
        return None  # no libffi, or one that gets no executable memory on this machine

    class How(ctypes.Structure):
        _fields_ = [(field, ctypes.c_uint64) for field in ("flags", "mode", "resolve")]

    call.argtypes = [ctypes.c_long, ctypes.c_int, ctypes.c_char_p, ctypes.POINTER(How), ctypes.c_size_t]
    call.restype = ctypes.c_long
    how = How(FOLDER, 0, _NO_XDEV)
    size = ctypes.sizeof(How)

    def opener(name: str, dir_fd: int) -> int:
        while True:
            fd = int(call(_OPENAT2, dir_fd, os.fsencode(name), ctypes.byref(how), size))
            if fd >= 0:
                return fd
            number = ctypes.get_errno()
            if number != errno.EINTR:
                raise OSError(number, os.strerror(number), name)

    return opener
