"""Opening a folder of an open folder, across no mount point: a bind mount is one, whatever file system it shows.

openat2(2) with RESOLVE_NO_XDEV refuses in the kernel (Linux 5.6). Where it is not to be had (an older kernel, a filter
of system calls, a Python without ctypes) the mounts of both descriptors are compared, which ``mnt_id`` of
``/proc/self/fdinfo`` tells (Linux 3.15). What is open stays what it is, so neither leaves a moment for a race.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from functools import cache
from typing import Final, TypeAlias

FOLDER: Final = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC

_OPENAT2: Final = 437
"""Its number, on every architecture but alpha and mips, which answer ENOSYS to it."""
_NO_XDEV: Final = 0x01
_UNAVAILABLE: Final = frozenset({errno.ENOSYS, errno.EPERM, errno.EINVAL, errno.E2BIG})
"""What a kernel without the call answers, or a filter of calls; a refusal of the folder itself comes again."""

_Opener: TypeAlias = Callable[[str, int], int]


def open_same_mount(name: str, dir_fd: int) -> int:
    """Open the folder of this name (``..``, too) in the folder of ``dir_fd``, close-on-exec; follows no link.

    Raises:
        OSError: as open(2), and EXDEV where another mount begins there, or where that cannot be told.
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
    """The same by the mounts of both descriptors.

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
    """The id of the mount by which a descriptor was opened, see proc(5)."""
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
    """openat2; None where this Python cannot call it."""
    try:
        import ctypes

        call = ctypes.CDLL(None, use_errno=True).syscall
    except (ImportError, OSError, AttributeError, MemoryError):
        return None  # no libffi, or one that this machine grants no memory to execute

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
