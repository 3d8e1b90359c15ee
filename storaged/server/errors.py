"""What can keep the daemon from having a socket, named by what its operator can do about it."""

from __future__ import annotations


class ServerError(Exception):
    """The base of this package's errors; the text is for the operator."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self.text = text


class SocketUnusable(ServerError):
    """The path cannot become our socket: too long, no socket, or in a folder others can change."""


class SocketTaken(ServerError):
    """Somebody listens there already; ``pid`` is who began to, None where the kernel does not say."""

    def __init__(self, text: str, *, pid: int | None) -> None:
        super().__init__(text)
        self.pid = pid


class ActivationError(ServerError):
    """What the service manager handed over is no socket that can be served."""
