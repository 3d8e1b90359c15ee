"""What is wrong with a REST request, in podman's words and with podman's status."""

from __future__ import annotations

import re


class ApiError(Exception):
    """The answer is an error body.

    ``message`` is the whole chain of causes as podman writes it, ``cause`` its innermost text; without one it is the
    message itself.
    """

    def __init__(self, status: int, message: str, cause: str | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.message = message
        self.cause = message if cause is None else cause


class BadParameter(ApiError):
    """A parameter of the query, or a body, that cannot be understood: 400, or what ``status`` says."""

    def __init__(self, message: str, cause: str | None = None, status: int = 400) -> None:
        super().__init__(status, message, cause)


_PREFIX = re.compile(r"(?:parsing reference|normalizing name) \".*?\": ", re.DOTALL)


def innermost(message: str) -> str:
    """The innermost of a chain of causes that is about a reference."""
    return _PREFIX.sub("", message, count=1)
