"""The layers of an artifact, read from its request and from the files that were passed with it.

Everything here is blocking and not for the event loop: a descriptor may belong to a file system that answers when it
likes. Only regular files are read.
"""

from __future__ import annotations

import base64
import binascii
import fcntl
import hashlib
import os
import stat
from collections.abc import Callable, Sequence

from storaged.operations.list_artifacts import Layer
from storaged.store.layout.records import Digest, digest_of
from storaged_client.contract import params as p
from storaged_client.contract.errors import InvalidParams, TooLarge
from storaged_client.media_types import HEAD, guess

MOST = 1 << 40
"""Largest file in bytes: a sparse file of any size costs only us anything."""
_CHUNK = 1 << 20
_KINDS = {
    stat.S_IFDIR: "a folder",
    stat.S_IFIFO: "a pipe",
    stat.S_IFSOCK: "a socket",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
    stat.S_IFLNK: "a symbolic link",
}


def read_layers(
    artifact: p.Artifact, descriptors: Sequence[int], tell: Callable[[int, int], object] = lambda done, total: None
) -> tuple[Layer, ...]:
    """Read the contents of the layers. The descriptors stay open, and their positions do not change.

    ``tell`` is called between the pieces of files, with the bytes read and the bytes in all; an error it raises ends
    the reading.

    Raises:
        InvalidParams: a layer has not exactly one of ``data`` and ``fd``, its data is not base64, or its descriptor
            cannot be read; ``path`` says which.
        TooLarge: a file is longer than ``MOST``.
    """
    files = {at: _file(layer, at, descriptors) for at, layer in enumerate(artifact.layers) if layer.fd is not None}
    total = sum(status.st_size for _, status in files.values())
    done = 0

    def count(size: int) -> None:
        nonlocal done
        done += size
        tell(done, total)

    return tuple(
        _of_file(layer, at, *files[at], count) if at in files else _of_data(layer, at)
        for at, layer in enumerate(artifact.layers)
    )


def _of_data(layer: p.ArtifactLayer, at: int) -> Layer:
    if layer.data is None:
        raise _wrong(at, "needs one of data and fd")
    try:
        data = base64.b64decode(layer.data, validate=True)
    except (binascii.Error, ValueError) as error:
        raise InvalidParams(
            f"the data of layer {at} is not base64: {error}", path=f"$.artifact.layers[{at}].data"
        ) from None
    kind = layer.media_type or guess(layer.title or "", data[:HEAD])
    return Layer(media_type=kind, digest=digest_of(data), size=len(data), title=layer.title, data=data)


def _file(layer: p.ArtifactLayer, at: int, descriptors: Sequence[int]) -> tuple[int, os.stat_result]:
    """The descriptor and the status of its file; nothing is read."""
    if layer.data is not None:
        raise _wrong(at, "has data and fd: give one of them")
    assert layer.fd is not None
    if not 0 <= layer.fd < len(descriptors):
        raise _wrong(at, f"means descriptor {layer.fd}, and {len(descriptors)} came with the message")
    descriptor = descriptors[layer.fd]
    try:
        status = os.fstat(descriptor)
        flags = fcntl.fcntl(descriptor, fcntl.F_GETFL)
    except OSError as error:
        raise _unreadable(at, error) from None
    if not stat.S_ISREG(status.st_mode):
        kind = _KINDS.get(stat.S_IFMT(status.st_mode), "something else")
        raise _wrong(at, f"is {kind}: only regular files, podman reads them again at each push. Nothing of it was read")
    if flags & os.O_PATH or flags & os.O_ACCMODE == os.O_WRONLY:
        raise _wrong(at, "is not open for reading")
    if status.st_size > MOST:
        raise TooLarge(f"the file of layer {at} has {status.st_size} bytes, more than {MOST}", limit=MOST)
    return descriptor, status


def _of_file(
    layer: p.ArtifactLayer, at: int, descriptor: int, status: os.stat_result, count: Callable[[int], None]
) -> Layer:
    path = _path(descriptor, status, at)
    digest = hashlib.sha256()
    head = b""
    size = 0
    try:
        while size < status.st_size:
            data = os.pread(descriptor, min(_CHUNK, status.st_size - size), size)
            if not data:
                break
            head = head or data[:HEAD]
            digest.update(data)
            size += len(data)
            count(len(data))
        after = os.fstat(descriptor)
    except OSError as error:
        raise _unreadable(at, error) from None
    if (size, after.st_size, after.st_mtime_ns) != (status.st_size, status.st_size, status.st_mtime_ns):
        raise _wrong(at, "changed while it was read: try again when it is complete")
    return Layer(
        media_type=layer.media_type or guess(layer.title or os.path.basename(path), head),
        digest=Digest(f"sha256:{digest.hexdigest()}"),
        size=size,
        title=layer.title,
        path=path,
    )


def _path(descriptor: int, status: os.stat_result, at: int) -> str:
    """The path by which the kernel knows the file, if it leads to the file from here."""
    try:
        path = os.readlink(f"/proc/self/fd/{descriptor}")
        path.encode()
        there = os.stat(path)
    except UnicodeEncodeError:
        raise _wrong(at, "has a path that is not UTF-8, which a list cannot hold: rename it") from None
    except OSError:
        there = None
    if there is None or (there.st_dev, there.st_ino) != (status.st_dev, status.st_ino):
        raise _wrong(
            at,
            "has no path here by which podman could read it at a push: it was removed, or is of another mount "
            "namespace. Send its bytes as data",
        )
    return path


def _wrong(at: int, text: str) -> InvalidParams:
    return InvalidParams(f"layer {at} {text}", path=f"$.artifact.layers[{at}]")


def _unreadable(at: int, error: OSError) -> InvalidParams:
    return _wrong(at, f"cannot be read: {error.strerror}")
