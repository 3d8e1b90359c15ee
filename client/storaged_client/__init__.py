"""The client of storaged, the resident daemon for the image store of podman, buildah and skopeo.

::

    import storaged_client

    with storaged_client.connect() as store:                          # threads
        for image in store.images.list({"dangling": True}):
            print(image.short_id, image.created, image.size)
        try:
            print(store.images.get("localhost/app:latest").config)
        except storaged_client.ImageUnknown as error:
            print(error)

    async with storaged_client.aconnect() as store:                   # trio or asyncio
        lists = await store.manifests.list(["instances"])

``connect`` and ``aconnect`` make a client. Its nouns ``images``, ``layers``, ``manifests``, ``containers``, ``store``
and ``server`` have a verb for each method of the protocol; their results are in ``types``. An error answered by the
daemon is a ``StoragedError``; an error before its answer is a ``ClientError``.

Importing this package loads no anyio, attrs or cattrs; they are imported when first used.
"""

from __future__ import annotations

from .contract.version import VERSION as __version__

TYPE_CHECKING = False  # importing typing takes a third of a command's start-up time
if TYPE_CHECKING:
    from .aio import AsyncClient, aconnect
    from .contract import types
    from .contract.errors import (
        AmbiguousName,
        BadArchive,
        ContainerUnknown,
        DataUnknown,
        DescriptorMismatch,
        DigestMismatch,
        DiskFailure,
        GenerationGone,
        ImageDamaged,
        ImageInUse,
        ImageUnknown,
        InstanceUnknown,
        InternalError,
        InvalidName,
        InvalidParams,
        InvalidRequest,
        LayerUnknown,
        Leased,
        LeaseUnknown,
        ManifestListUnknown,
        MessageTooLarge,
        MethodNotFound,
        MultipleNames,
        NameInUse,
        NoSpace,
        NotAManifestList,
        NotPermitted,
        NotSupported,
        ParseError,
        PlanStale,
        ReadOnlyImage,
        RequestCancelled,
        ShuttingDown,
        StoragedError,
        StoreBusy,
        StoreCorrupt,
        StoreReadOnly,
        StoreUnsupported,
        TagUnknown,
        TooLarge,
        TooManyRequests,
        WrongStore,
    )
    from .contract.wire import MalformedResult
    from .errors import (
        AddressError,
        ClientClosed,
        ClientError,
        DaemonUnavailable,
        ForeignLoop,
        OutcomeUnknown,
        RequestTimeout,
        SocketForbidden,
        StorageConfError,
        VersionSkew,
    )
    from .progress import Progress
    from .sync import Client, connect

_WHERE = {
    "aconnect": "aio",
    "AsyncClient": "aio",
    "connect": "sync",
    "Client": "sync",
    "MalformedResult": "contract.wire",
    "Progress": "progress",
    "types": "contract.types",
}
_ERRORS = ("errors", "contract.errors")

__all__ = [
    "AddressError",
    "AmbiguousName",
    "AsyncClient",
    "BadArchive",
    "Client",
    "ClientClosed",
    "ClientError",
    "ContainerUnknown",
    "DaemonUnavailable",
    "DataUnknown",
    "DescriptorMismatch",
    "DigestMismatch",
    "DiskFailure",
    "ForeignLoop",
    "GenerationGone",
    "ImageDamaged",
    "ImageInUse",
    "ImageUnknown",
    "InstanceUnknown",
    "InternalError",
    "InvalidName",
    "InvalidParams",
    "InvalidRequest",
    "LayerUnknown",
    "LeaseUnknown",
    "Leased",
    "MalformedResult",
    "ManifestListUnknown",
    "MessageTooLarge",
    "MethodNotFound",
    "MultipleNames",
    "NameInUse",
    "NoSpace",
    "NotAManifestList",
    "NotPermitted",
    "NotSupported",
    "OutcomeUnknown",
    "ParseError",
    "PlanStale",
    "Progress",
    "ReadOnlyImage",
    "RequestCancelled",
    "RequestTimeout",
    "ShuttingDown",
    "SocketForbidden",
    "StorageConfError",
    "StoragedError",
    "StoreBusy",
    "StoreCorrupt",
    "StoreReadOnly",
    "StoreUnsupported",
    "TagUnknown",
    "TooLarge",
    "TooManyRequests",
    "VersionSkew",
    "WrongStore",
    "__version__",
    "aconnect",
    "connect",
    "types",
]

if not TYPE_CHECKING:  # type checkers must not take a misspelt name for a valid one

    def __getattr__(name: str) -> object:
        """Lazy names: the clients, ``types``, and every error of the daemon and of the client."""
        from importlib import import_module

        if name not in __all__:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        for module in (_WHERE[name],) if name in _WHERE else _ERRORS:
            loaded = import_module(f".{module}", __name__)
            found = loaded if name == "types" else getattr(loaded, name, None)
            if found is not None:
                break
        globals()[name] = found
        return found


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
