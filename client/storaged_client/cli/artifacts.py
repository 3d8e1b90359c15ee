"""The files of an artifact, read here and sent whole: the daemon opens no path that a client names."""

from __future__ import annotations

import base64
import os
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
"""Bytes of all files together: base64 makes them a third longer, and a request has at most 1 MiB."""


def refuse_without_artifact(options: Options) -> None:
    """Raises:
    UsageError: a flag of artifacts, and the arguments are images.
    """
    for flag in FLAGS[1:]:
        if options.given(flag.name):
            raise UsageError(f"--{flag.name} requires --artifact")


def read(invocation: Invocation, paths: list[str]) -> dict[str, Any]:
    """The artifact of ``manifests.add``.

    Raises:
        UsageError: a file cannot be read, or they are too large together.
    """
    options = invocation.options
    config = options.text("artifact-config")
    contents = [_content(path) for path in (*paths, *([config] if config is not None else []))]
    total = sum(map(len, contents))
    if total > _MOST:
        raise UsageError(
            f"the files have {total} bytes, more than the {_MOST} that one request holds; "
            f"use: {invocation.podmans_command()}"
        )
    layers = []
    for path, content in zip(paths, contents, strict=False):
        layer = {"data": base64.b64encode(content).decode()}
        media_type = options.text("artifact-layer-type")
        if not options.on("artifact-exclude-titles"):
            layer["title"] = os.path.basename(path)
        elif media_type is None:
            media_type = _media_type(path)  # elsewhere the daemon tells it by the title
        if media_type is not None:
            layer["media_type"] = media_type
        layers.append(layer)
    artifact: dict[str, Any] = {"layers": layers}
    if config is not None:
        artifact["config"] = _text(config, contents[-1])
    for flag, member in (
        ("artifact-config-type", "config_type"),
        ("artifact-subject", "subject"),
        ("artifact-type", "type"),
    ):
        text = options.text(flag)
        if text is not None:
            artifact[member] = text
    return artifact


def _content(path: str) -> bytes:
    try:
        with open(path, "rb") as file:
            return file.read(_MOST + 1)
    except OSError as error:
        raise UsageError(f"{path}: {error.strerror}") from error


def _text(path: str, content: bytes) -> str:
    try:
        return content.decode()
    except UnicodeDecodeError as error:
        raise UsageError(f"{path}: the configuration of an artifact is text in UTF-8: {error}") from error


def _media_type(path: str) -> str | None:
    import mimetypes

    return mimetypes.guess_type(path)[0]
