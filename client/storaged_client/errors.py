"""Errors before the daemon's answer; the answers themselves are in ``contract.errors``."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import ClassVar


class ClientError(Exception):
    """The base class; ``exit_status`` is that of ``storagectl``."""

    exit_status: ClassVar[int] = 125


class AddressError(ClientError, ValueError):
    """The socket's path is invalid: too long, or an abstract name."""


class ClientClosed(ClientError):
    """The client was closed, before or during the call."""


class StorageConfError(ClientError, ValueError):
    """storage.conf does not determine the store; ``file``, ``key`` and ``line`` if known."""

    def __init__(self, text: str, *, file: str | None = None, key: str | None = None, line: int | None = None) -> None:
        super().__init__(text)
        self.file = file
        self.key = key
        self.line = line


class DaemonUnavailable(ClientError, ConnectionError):
    """Nothing answers at the socket, and no daemon was or could be started. Nothing was done."""

    exit_status = 69


class OutcomeUnknown(ClientError, ConnectionError):
    """The daemon went away after a mutation was sent and before its answer came: check before repeating it."""

    exit_status = 69


class ForeignLoop(ClientError, RuntimeError):
    """The async client was entered in another event loop, or before a fork: this one needs its own client."""


class RequestTimeout(ClientError, TimeoutError):
    """No answer within the caller's time; the request was cancelled, but a mutation may still finish."""

    exit_status = 75


class VersionSkew(ClientError):
    """The daemon has another version, and its answer lacks something that this one needs."""


class SocketForbidden(ClientError, PermissionError):
    """This user may not use the socket, or its folder."""

    exit_status = 77
