"""Sends the files of an artifact: small ones are read and sent with the request, others are passed as descriptors.

The daemon opens no path that a client names.
"""

from __future__ import annotations

import base64
import os
import stat
from typing import TYPE_CHECKING, Any

from .flags import Flag, Options, UsageError

if TYPE_CHECKING:
    from .invocation import Invocation

FLAGS = (
    Flag("artifact", "Add all arguments as artifact files rather than as images"),
    Flag("artifact-config", "Artifact configuration file", kind="string"),
    Flag("artifact-config-type", "Artifact configuration media type", kind="string"),
    Flag("artifact-exclude-titles", 'Do not set "org.opencontainers.image.title" annotations on layers'),
    Flag("artifact-layer-type", "Artifact layer media type", kind="string"),
    Flag("artifact-subject", "Artifact subject reference", kind="string"),
    Flag("artifact-type", "Override the artifactType value", kind="string"),
)

_MOST = 700_000
"""Bytes that fit into a request: base64 makes them a third longer, and a request has at most 1 MiB."""
_FILES = 16
"""The maximum number of descriptors in a message."""


def refuse_without_artifact(options: Options) -> None:
    """Raises:
    UsageError: a flag of artifacts is given, and the arguments are images."""
    for flag in FLAGS[1:]:
        if options.given(flag.name):
            raise UsageError(f"--{flag.name} requires --artifact")


class Artifact:
    """An artifact of ``manifests.add`` and its files: small ones as bytes, the others opened.

    A context manager that closes the files.

    Raises:
        UsageError: a file cannot be sent, or there is too much for a request.
    """

    def __init__(self, invocation: Invocation, paths: list[str]) -> None:
        self.descriptors: list[int] = []
        self._invocation = invocation
        self._room = _MOST
        try:
            self.params = self._params(paths)
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> Artifact:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the files."""
        while self.descriptors:
            os.close(self.descriptors.pop())

    def _params(self, paths: list[str]) -> dict[str, Any]:
        options = self._invocation.options
        artifact: dict[str, Any] = {}
        config = options.text("artifact-config")
        if config:  # an empty one does not count in podman either
            artifact["config"] = self._config(config)
        artifact["layers"] = [self._layer(path) for path in paths]
        for flag, member in (
            ("artifact-config-type", "config_type"),
            ("artifact-subject", "subject"),
            ("artifact-type", "type"),
        ):
            text = options.text(flag)
            if text is not None:
                artifact[member] = text
        return artifact

    def _layer(self, path: str) -> dict[str, Any]:
        from storaged_client.media_types import HEAD, guess

        options = self._invocation.options
        name = os.path.basename(os.path.abspath(path))
        descriptor, size = _opened(path)
        try:
            kind = options.text("artifact-layer-type") or guess(name, _head(path, descriptor, HEAD))
            layer: dict[str, Any] = {"media_type": kind}
            if size <= self._room:
                layer["data"] = base64.b64encode(self._taken(path, descriptor)).decode()
            elif len(self.descriptors) < _FILES:
                layer["fd"] = len(self.descriptors)
                self.descriptors.append(descriptor)
                descriptor = -1
            else:
                raise UsageError(
                    f"more than {_FILES} files that are too large for one request: add them in parts, or use: "
                    f"{self._invocation.podmans_command()}"
                )
        finally:
            if descriptor >= 0:
                os.close(descriptor)
        if not options.on("artifact-exclude-titles"):
            layer["title"] = name
        return layer

    def _config(self, path: str) -> str:
        descriptor, size = _opened(path)
        try:
            if size > self._room:
                raise UsageError(f"{path}: a configuration is part of the manifest: at most {self._room} bytes")
            content = self._taken(path, descriptor)
        finally:
            os.close(descriptor)
        try:
            return content.decode()
        except UnicodeDecodeError as error:
            raise UsageError(f"{path}: the configuration of an artifact is text in UTF-8: {error}") from error

    def _taken(self, path: str, descriptor: int) -> bytes:
        """Read a whole file that fits into the request."""
        with open(descriptor, "rb", closefd=False) as file:
            content = file.read(self._room + 1)
        if len(content) > self._room:
            raise UsageError(f"{path}: it grew while it was read: try again when it is complete")
        self._room -= len(content)
        return content


def _opened(path: str) -> tuple[int, int]:
    """A descriptor of a regular file, and its size. Nothing is read."""
    try:
        # Without O_NONBLOCK, opening a pipe waits for its writer.
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        status = os.fstat(descriptor)
    except OSError as error:
        raise UsageError(f"{path}: {error.strerror}") from error
    if not stat.S_ISREG(status.st_mode):
        os.close(descriptor)
        raise UsageError(f"{path}: not a regular file, which podman could read again when it pushes the list")
    return descriptor, status.st_size


def _head(path: str, descriptor: int, size: int) -> bytes:
    try:
        return os.pread(descriptor, size, 0)
    except OSError as error:
        raise UsageError(f"{path}: {error.strerror}") from error
