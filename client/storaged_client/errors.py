"""What can go wrong before the daemon has answered; its own answers are in ``contract.errors``."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import ClassVar


class ClientError(Exception):
    """The base; ``exit_status`` is that of ``storagectl``."""

    exit_status: ClassVar[int] = 125


class AddressError(ClientError, ValueError):
    """The socket's path cannot be one: too long, or an abstract name."""


class ClientClosed(ClientError):
    """The client was closed, here or while the call ran."""


class StorageConfError(ClientError, ValueError):
    """storage.conf does not say which store is meant; ``file``, ``key`` and ``line`` where there is one."""

    def __init__(self, text: str, *, file: str | None = None, key: str | None = None, line: int | None = None) -> None:
        super().__init__(text)
        self.file = file
        self.key = key
        self.line = line


class DaemonUnavailable(ClientError, ConnectionError):
    """Nothing answers at the socket, and nothing was or could be started. Nothing was done."""

    exit_status = 69


class OutcomeUnknown(ClientError, ConnectionError):
    """The daemon went away after a mutation was sent and before its answer came: look before repeating it."""

    exit_status = 69


class ForeignLoop(ClientError, RuntimeError):
    """The async client was entered in another event loop, or before a fork: this one needs a client of its own."""


class RequestTimeout(ClientError, TimeoutError):
    """No answer within the time the caller allowed; the request was cancelled, a mutation may still finish."""

    exit_status = 75


class VersionSkew(ClientError):
    """The daemon is of another version, and its answer lacks what this one needs."""


class SocketForbidden(ClientError, PermissionError):
    """The socket, or the folder it lies in, is not for this user."""

    exit_status = 77
