"""Errors that keep the daemon from getting its socket, named by what the operator can do about them."""

from __future__ import annotations


class ServerError(Exception):
    """The base class of this package's errors; the text is for the operator."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self.text = text


class SocketUnusable(ServerError):
    """The path cannot become our socket: too long, not a socket, or in a folder that others can change."""


class SocketTaken(ServerError):
    """Another process listens there already; ``pid`` is the one that bound it, None if the kernel does not tell."""

    def __init__(self, text: str, *, pid: int | None) -> None:
        super().__init__(text)
        self.pid = pid


class ActivationError(ServerError):
    """The service manager passed something that is not a usable socket."""
