"""Every error that can cross the socket: its stable name, number and exit status.

Numbers follow the order of the rows in ``docs/protocol.md`` and are never reused; a new error is appended to its row.
The class *is* the table: its name is ``error.data.name`` on the wire.

::

    -327xx -32600.. -32800 -32050    JSON-RPC, LSP and jsonrpc-fdpass
    -32000 .. -32004                 the connection and the right to use it
     1001 ..                         the named object does not exist, or is of another kind
     2001 ..                         the state of an image forbids the request
     3001 ..                         the store itself
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar


class StoragedError(Exception):
    """An error answered by the daemon; ``data`` has the details, the message is for people.

    Code that raises it may also give details as keywords.
    """

    code: int = -32603
    exit_status: ClassVar[int] = 125

    def __init__(self, message: str = "", data: Mapping[str, Any] | None = None, **evidence: Any) -> None:
        super().__init__(message)
        self.message = message
        self.data: dict[str, Any] = {**(data or {}), **evidence}
        self.method = ""
        """The method that was called, as the protocol names it; empty for an error inside a report."""
        self.hint = ""
        """What the client adds for people if the daemon has another version."""

    def __str__(self) -> str:
        return f"{self.message}; {self.hint}" if self.hint else self.message

    @property
    def name(self) -> str:
        """The stable name, ``error.data.name``. A class of another module has that of its base in this one."""
        return next(cls.__name__ for cls in type(self).__mro__ if cls.__module__ == __name__)

    def wire_data(self) -> dict[str, Any]:
        """``error.data`` as it is sent: the details and the name."""
        return {**self.data, "name": self.name}


class ParseError(StoragedError):
    code = -32700


class InvalidRequest(StoragedError):
    code = -32600


class MethodNotFound(StoragedError):
    code = -32601


class InvalidParams(StoragedError):
    """A parameter, filter, reference, field or cursor is wrong; ``data["path"]`` says which."""

    code = -32602


class InternalError(StoragedError):
    code = -32603


class RequestCancelled(StoragedError):
    code = -32800


class DescriptorMismatch(StoragedError):
    """The announced number of descriptors did not come with the message."""

    code = -32050


class ShuttingDown(StoragedError):
    code = -32000
    exit_status = 69


class TooManyRequests(StoragedError):
    """A user or connection is at a limit; ``data`` has ``what`` and ``limit``."""

    code = -32001
    exit_status = 75


class MessageTooLarge(StoragedError):
    code = -32002


class NotPermitted(StoragedError):
    code = -32003
    exit_status = 77


class NotSupported(StoragedError):
    """Not a task of storaged; ``data["use"]`` is the podman command for it."""

    code = -32004


class ImageUnknown(StoragedError, LookupError):
    """No image has this name, id or digest."""

    code = 1001


class LayerUnknown(StoragedError, LookupError):
    """No layer has this id."""

    code = 1002


class ManifestListUnknown(StoragedError, LookupError):
    """No manifest list has this name."""

    code = 1003


class NotAManifestList(StoragedError):
    """The name refers to an ordinary image."""

    code = 1004


class InstanceUnknown(StoragedError, LookupError):
    """The manifest list has no such entry."""

    code = 1005


class TagUnknown(StoragedError, LookupError):
    """The image does not have this name."""

    code = 1006


class AmbiguousName(StoragedError, LookupError):
    """A prefix matches several images; ``data["candidates"]`` lists their ids."""

    code = 1007


class InvalidName(StoragedError, ValueError):
    """The text is not an image reference."""

    code = 1008


class GenerationGone(StoragedError, LookupError):
    """The generation of a cursor is no longer kept; start the listing again."""

    code = 1009


class LeaseUnknown(StoragedError, LookupError):
    """The connection has no lease of this name, ``data["lease"]``."""

    code = 1010


class DataUnknown(StoragedError, LookupError):
    """The image has no big data with this key."""

    code = 1011


class ContainerUnknown(StoragedError, LookupError):
    code = 1012


class ImageInUse(StoragedError):
    """A container or a mount uses what was to be removed; the text names it and says how to end that."""

    code = 2001
    exit_status = 2


class NameInUse(StoragedError):
    """The name belongs to another image, ``data["image"]``, and is not moved."""

    code = 2002


class MultipleNames(StoragedError):
    """The image has several names, ``data["names"]``, and was addressed by none of them."""

    code = 2003


class ReadOnlyImage(StoragedError):
    """The image is in an additional image store, which is read-only."""

    code = 2004


class Leased(StoragedError):
    """A lease protects an image; ``data`` has ``images`` and ``leases``."""

    code = 2005


class PlanStale(StoragedError):
    """The plan of a dry run is no longer kept, or never existed."""

    code = 2006


class StoreBusy(StoragedError, TimeoutError):
    """A writer held the store longer than the time allowed; ``data["holder"]`` names it. Or the machine could not read
    the store: descriptors or memory ran out, or the disk failed."""

    code = 3001
    exit_status = 75


class StoreCorrupt(StoragedError):
    """A table cannot be read; ``data["file"]`` says which."""

    code = 3002


class StoreUnsupported(StoragedError):
    """The store is of a kind that storaged does not support."""

    code = 3003


class StoreReadOnly(StoragedError):
    """Nothing can be written to this store; ``data["file"]`` is what cannot be written."""

    code = 3004


class NoSpace(StoragedError):
    """The file system or a quota is full; ``data["file"]`` could not be written."""

    code = 3005


class BadArchive(StoragedError):
    code = 3006


class DigestMismatch(StoragedError):
    code = 3007


class ImageDamaged(StoragedError):
    """The bytes of an image are not those its record names."""

    code = 3008


class TooLarge(StoragedError):
    """The item is larger than may be sent; ``data`` has ``size`` and ``limit`` in bytes."""

    code = 3009


class DiskFailure(StoragedError):
    """The file system failed during a change; ``data`` has ``file`` and ``detail``. With ``partial``, part or all of
    the change was made: check before you try again."""

    code = 3010


class WrongStore(StoragedError):
    """The daemon serves another store than the client means: ``data`` has ``asked`` and ``serves``. Nothing was
    done."""

    code = 3011


def _tree(base: type[StoragedError]) -> list[type[StoragedError]]:
    return [cls for child in base.__subclasses__() for cls in (child, *_tree(child))]


BY_NAME: dict[str, type[StoragedError]] = {cls.__name__: cls for cls in _tree(StoragedError)}
BY_CODE: dict[int, type[StoragedError]] = {cls.code: cls for cls in BY_NAME.values()}


def from_wire(error: dict[str, Any], method: str = "") -> StoragedError:
    """Make the exception for an ``error`` object: by name, else by code, else the base class with that code."""
    data = error.get("data")
    data = data if isinstance(data, dict) else {}
    code = error.get("code")
    code = code if isinstance(code, int) else StoragedError.code
    made = (BY_NAME.get(str(data.get("name"))) or BY_CODE.get(code) or StoragedError)(
        str(error.get("message", "")), data
    )
    if type(made) is StoragedError:
        made.code = code
    made.method = method
    return made
