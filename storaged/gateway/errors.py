"""Errors in a REST request, in podman's words and with podman's status."""

from __future__ import annotations

import re


class ApiError(Exception):
    """An error whose answer is an error body.

    ``message`` is the whole chain of causes as podman writes it, ``cause`` its innermost text. Without ``cause`` it is
    the message itself.
    """

    def __init__(self, status: int, message: str, cause: str | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.message = message
        self.cause = message if cause is None else cause


class BadParameter(ApiError):
    """A query parameter or a body that is not valid: 400, or the given ``status``."""

    def __init__(self, message: str, cause: str | None = None, status: int = 400) -> None:
        super().__init__(status, message, cause)


_PREFIX = re.compile(r"(?:parsing reference|normalizing name) \".*?\": ", re.DOTALL)


def innermost(message: str) -> str:
    """The innermost cause in a chain that concerns a reference."""
    return _PREFIX.sub("", message, count=1)
