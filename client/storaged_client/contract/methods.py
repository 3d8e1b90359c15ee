"""The method table: the single source of truth for daemon, clients, commands and documentation.

A row is listed only when it works. To add a method, add one row here, its operation, its handler and its command; tests
fail until all exist. The texts of clients and documents are generated from the row.
"""

from __future__ import annotations

from attrs import frozen

from . import params as p
from . import types as t


@frozen(kw_only=True)
class Method:
    """One method: its parameters, its result, and how requests for it are handled.

    ``mutates``: it changes something for others. ``holds``: it has an effect, but only for the connection. Neither kind
    is ever answered with ``unchanged``. ``progress``: the daemon reports progress. ``descriptors``: it takes
    descriptors with its message; those sent with other methods are closed.
    """

    name: str
    summary: str
    params: type
    result: type[t.Result]
    mutates: bool = False
    holds: bool = False
    progress: bool = False
    descriptors: bool = False
    errors: tuple[str, ...] = ()

    @property
    def noun(self) -> str:
        return self.name.partition(".")[0]

    @property
    def verb(self) -> str:
        return self.name.partition(".")[2]


_LOOKUP = ("ImageUnknown", "AmbiguousName", "InvalidName")
_LIST_LOOKUP = ("NotAManifestList", "ImageDamaged")
"""Further errors of ``manifest`` and a list's own methods."""
_CHANGE = ("StoreUnsupported", "StoreReadOnly", "NoSpace", "DiskFailure", "NotPermitted")
"""Errors that every change of the store can have."""
_EDIT = ("ManifestListUnknown", "AmbiguousName", "InvalidName", *_LIST_LOOKUP, *_CHANGE)

_ROWS = (
    Method(
        name="server.info",
        summary="Describe the daemon, its store, and any problems.",
        params=p.NoParams,
        result=t.ServerInfo,
    ),
    Method(name="server.ping", summary="Answer without doing anything.", params=p.NoParams, result=t.Empty),
    Method(
        name="server.stats",
        summary="Return the daemon's counters, times and gauges.",
        params=p.NoParams,
        result=t.ServerStats,
    ),
    Method(
        name="server.shutdown",
        summary="Drain and stop the daemon.",
        params=p.NoParams,
        result=t.Empty,
        mutates=True,
        errors=("NotPermitted",),
    ),
    Method(
        name="images.list",
        summary="List images and manifest lists, filtered, sorted, in pages.",
        params=p.ImagesList,
        result=t.ImageList,
        errors=("GenerationGone",),
    ),
    Method(
        name="images.get",
        summary="Return everything known of several images; a bad name does not affect the others.",
        params=p.ImagesGet,
        result=t.ImageDetailsList,
        errors=_LOOKUP,
    ),
    Method(
        name="images.exists",
        summary="Tell whether an image has this name.",
        params=p.ImageName,
        result=t.Exists,
        errors=("AmbiguousName", "InvalidName"),
    ),
    Method(
        name="images.resolve",
        summary="Find the image that a name refers to, and the rule that applied.",
        params=p.ImageName,
        result=t.Resolved,
        errors=(*_LOOKUP, *_LIST_LOOKUP),
    ),
    Method(
        name="images.why",
        summary="Explain why an image is kept, or that nothing keeps it.",
        params=p.ImageName,
        result=t.Why,
        errors=(*_LOOKUP, *_LIST_LOOKUP),
    ),
    Method(
        name="images.relations",
        summary="Return parent, children, ancestors and siblings of an image.",
        params=p.ImageName,
        result=t.Relations,
        errors=(*_LOOKUP, *_LIST_LOOKUP),
    ),
    Method(
        name="images.history",
        summary="Return the instructions that built an image, newest first, with their sizes and images.",
        params=p.ImagesHistory,
        result=t.ImageHistory,
        errors=(*_LOOKUP, "ImageDamaged"),
    ),
    Method(
        name="images.tree",
        summary="Return the layers of an image, base first, or all layers on top of it.",
        params=p.ImagesTree,
        result=t.ImageTree,
        errors=_LOOKUP,
    ),
    Method(
        name="images.data",
        summary="Return one item of an image's big data, up to 1 MiB.",
        params=p.ImagesData,
        result=t.Data,
        errors=(*_LOOKUP, "DataUnknown", "ImageDamaged", "StoreBusy"),
    ),
    Method(
        name="images.create",
        summary="Create an image from a configuration, without layers.",
        params=p.ImagesCreate,
        result=t.Created,
        errors=("InvalidName", "ImageDamaged", "StoreBusy", *_CHANGE),
        mutates=True,
    ),
    Method(
        name="images.tag",
        summary="Give names to an image or list; a name is taken from the image that has it.",
        params=p.ImagesTag,
        result=t.Tagged,
        mutates=True,
        errors=(*_LOOKUP, *_CHANGE, "ImageDamaged", "ReadOnlyImage"),
    ),
    Method(
        name="images.untag",
        summary="Remove some or all names of an image or list; the image stays.",
        params=p.ImagesUntag,
        result=t.Tagged,
        mutates=True,
        errors=(*_LOOKUP, *_CHANGE, "ImageDamaged", "ReadOnlyImage", "TagUnknown"),
    ),
    Method(
        name="images.remove",
        summary="Remove names, and images with their last name; one failure does not stop the others.",
        params=p.ImagesRemove,
        result=t.PruneReport,
        progress=True,
        mutates=True,
        errors=(*_CHANGE, "ImageDamaged"),
    ),
    Method(
        name="images.prune",
        summary="Remove images that nothing needs, or report which and why; one failure does not stop the others.",
        params=p.ImagesPrune,
        result=t.PruneReport,
        progress=True,
        mutates=True,
        errors=(*_CHANGE, "ImageDamaged", "PlanStale"),
    ),
    Method(
        name="layers.list",
        summary="List all layers, in the order of the store.",
        params=p.LayersList,
        result=t.LayerList,
        errors=("GenerationGone",),
    ),
    Method(
        name="layers.get",
        summary="Return one layer, its chain to the base, and its child layers.",
        params=p.LayersGet,
        result=t.LayerDetails,
        errors=("LayerUnknown",),
    ),
    Method(
        name="layers.tree",
        summary="Return the forest of layers, or the tree on top of one layer, parents first.",
        params=p.LayersTree,
        result=t.LayerList,
        errors=("LayerUnknown", "GenerationGone"),
    ),
    Method(
        name="manifests.list",
        summary="List all local manifest lists, with instances and annotations on request.",
        params=p.ManifestsList,
        result=t.ManifestLists,
    ),
    Method(
        name="manifests.get",
        summary="Return one manifest list and the JSON of its manifest.",
        params=p.ManifestName,
        result=t.ManifestDetails,
        errors=("ManifestListUnknown", "AmbiguousName", "InvalidName", *_LIST_LOOKUP),
    ),
    Method(
        name="manifests.exists",
        summary="Tell whether a manifest list has this name.",
        params=p.ManifestName,
        result=t.Exists,
        errors=("NotAManifestList", "AmbiguousName", "InvalidName"),
    ),
    Method(
        name="manifests.referenced",
        summary="Return the digests that local lists name, and the lists that name them.",
        params=p.ManifestsReferenced,
        result=t.ReferencedDigests,
    ),
    Method(
        name="manifests.create",
        summary="Create a manifest list of local images, or nothing if one fails.",
        params=p.ManifestsCreate,
        result=t.ListEdited,
        errors=("NameInUse", *_LOOKUP, "ImageDamaged", "TooLarge", *_CHANGE),
        mutates=True,
    ),
    Method(
        name="manifests.add",
        summary="Add a local image, a list's entries, or an artifact made of data or files given here, to a list.",
        params=p.ManifestsAdd,
        result=t.ListEdited,
        progress=True,
        descriptors=True,
        errors=("ImageUnknown", "ReadOnlyImage", "TooLarge", *_EDIT),
        mutates=True,
    ),
    Method(
        name="manifests.annotate",
        summary="Change platform and annotations of an entry, or annotations and subject of the list itself.",
        params=p.ManifestsAnnotate,
        result=t.ListEdited,
        errors=("InstanceUnknown", "ImageUnknown", "ReadOnlyImage", "TooLarge", *_EDIT),
        mutates=True,
    ),
    Method(
        name="manifests.remove_instance",
        summary="Remove an entry of a manifest list; its image stays.",
        params=p.ManifestsRemoveInstance,
        result=t.ListEdited,
        errors=("InstanceUnknown", "ImageUnknown", "ReadOnlyImage", *_EDIT),
        mutates=True,
    ),
    Method(
        name="manifests.remove",
        summary="Remove manifest lists, or one of their names; failures are reported and do not stop the others.",
        params=p.ManifestsRemove,
        result=t.PruneReport,
        progress=True,
        errors=(*_CHANGE, "ImageDamaged"),
        mutates=True,
    ),
    Method(
        name="containers.list",
        summary="List the storage containers of all tools.",
        params=p.NoParams,
        result=t.ContainerList,
    ),
    Method(
        name="store.check",
        summary="Check that records and files match: what is wrong, what it endangers, and how to repair it.",
        params=p.StoreCheck,
        result=t.CheckReport,
        progress=True,
    ),
    Method(
        name="store.usage",
        summary="Return the disk usage of images, containers and volumes.",
        params=p.NoParams,
        result=t.StoreUsage,
    ),
    Method(
        name="store.refresh",
        summary="Check the store again now.",
        params=p.NoParams,
        result=t.Empty,
        errors=("StoreBusy", "StoreCorrupt"),
    ),
    Method(
        name="store.lease",
        summary="Protect images from every prune and removal by this daemon, while the connection lasts.",
        params=p.StoreLease,
        result=t.Lease,
        holds=True,
        errors=_LOOKUP,
    ),
    Method(
        name="store.release",
        summary="End a lease of this connection.",
        params=p.StoreRelease,
        result=t.Empty,
        holds=True,
        errors=("LeaseUnknown",),
    ),
)

METHODS: dict[str, Method] = {row.name: row for row in _ROWS}
"""By name. ``rpc.discover`` is not a row: it returns this table as an OpenRPC document."""


def mutates(name: str) -> bool:
    """Whether the table has a method with this name that changes something for others."""
    row = METHODS.get(name)
    return row is not None and row.mutates


def takes_descriptors(name: str) -> bool:
    """Whether the table has a method with this name that takes descriptors."""
    row = METHODS.get(name)
    return row is not None and row.descriptors


COMMON_ERRORS = (
    "InvalidParams",
    "InternalError",
    "RequestCancelled",
    "ShuttingDown",
    "TooManyRequests",
    "MessageTooLarge",
    "TooLarge",
    "StoreBusy",
    "StoreCorrupt",
)
