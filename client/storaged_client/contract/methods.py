"""The method table: the single source of truth for daemon, clients, commands and documentation.

A row is listed only when it works. Adding a method is one row here, its operation, its handler and its
command; tests fail until all are there. What the clients and documents say of it is made from the row.
"""

from __future__ import annotations

from attrs import frozen

from . import params as p
from . import types as t


@frozen(kw_only=True)
class Method:
    """One method: its parameters, its result, and how requests for it are treated.

    ``mutates``: it changes something for others. ``holds``: it takes effect, but for the connection alone. Neither is
    ever answered by ``unchanged``. ``progress``: the daemon tells how far it has come. ``descriptors``: it takes some
    with its message; those sent with other methods are closed.
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
"""What ``manifest`` and a list's own methods can meet besides."""
_CHANGE = ("StoreUnsupported", "StoreReadOnly", "NoSpace", "DiskFailure", "NotPermitted")
"""What every change of the store can meet."""
_EDIT = ("ManifestListUnknown", "AmbiguousName", "InvalidName", *_LIST_LOOKUP, *_CHANGE)

_ROWS = (
    Method(
        name="server.info",
        summary="Which daemon this is, which store it serves, and what is wrong with it.",
        params=p.NoParams,
        result=t.ServerInfo,
    ),
    Method(name="server.ping", summary="Answer, and nothing else.", params=p.NoParams, result=t.Empty),
    Method(
        name="server.stats",
        summary="Counters, times and gauges of this daemon.",
        params=p.NoParams,
        result=t.ServerStats,
    ),
    Method(
        name="server.shutdown",
        summary="Drain and end the daemon.",
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
        summary="Everything known of several images; one bad name fails no other.",
        params=p.ImagesGet,
        result=t.ImageDetailsList,
        errors=_LOOKUP,
    ),
    Method(
        name="images.exists",
        summary="Whether a name means an image.",
        params=p.ImageName,
        result=t.Exists,
        errors=("AmbiguousName", "InvalidName"),
    ),
    Method(
        name="images.resolve",
        summary="The image a name means, and by which rule.",
        params=p.ImageName,
        result=t.Resolved,
        errors=(*_LOOKUP, *_LIST_LOOKUP),
    ),
    Method(
        name="images.why",
        summary="Why an image is kept, or would go.",
        params=p.ImageName,
        result=t.Why,
        errors=(*_LOOKUP, *_LIST_LOOKUP),
    ),
    Method(
        name="images.relations",
        summary="Parent, children, ancestors and siblings of an image.",
        params=p.ImageName,
        result=t.Relations,
        errors=(*_LOOKUP, *_LIST_LOOKUP),
    ),
    Method(
        name="images.history",
        summary="The instructions an image was made by, newest first, with their sizes and images.",
        params=p.ImagesHistory,
        result=t.ImageHistory,
        errors=(*_LOOKUP, "ImageDamaged"),
    ),
    Method(
        name="images.tree",
        summary="The layers of an image, base first, or all layers that stand on it.",
        params=p.ImagesTree,
        result=t.ImageTree,
        errors=_LOOKUP,
    ),
    Method(
        name="images.data",
        summary="One item of an image's big data, up to 1 MiB.",
        params=p.ImagesData,
        result=t.Data,
        errors=(*_LOOKUP, "DataUnknown", "ImageDamaged", "StoreBusy"),
    ),
    Method(
        name="images.create",
        summary="Make an image of a configuration alone, without layers.",
        params=p.ImagesCreate,
        result=t.Created,
        errors=("InvalidName", "ImageDamaged", "StoreBusy", *_CHANGE),
        mutates=True,
    ),
    Method(
        name="images.tag",
        summary="Give names to an image or list; a name that another bears is taken from it.",
        params=p.ImagesTag,
        result=t.Tagged,
        mutates=True,
        errors=(*_LOOKUP, *_CHANGE, "ImageDamaged", "ReadOnlyImage"),
    ),
    Method(
        name="images.untag",
        summary="Take names from an image or list, or all of them; it stays.",
        params=p.ImagesUntag,
        result=t.Tagged,
        mutates=True,
        errors=(*_LOOKUP, *_CHANGE, "ImageDamaged", "ReadOnlyImage", "TagUnknown"),
    ),
    Method(
        name="images.remove",
        summary="Remove names, and images with their last one; one failure hinders no other.",
        params=p.ImagesRemove,
        result=t.PruneReport,
        progress=True,
        mutates=True,
        errors=(*_CHANGE, "ImageDamaged"),
    ),
    Method(
        name="images.prune",
        summary="Remove images that nothing needs, or tell which and why; one failure hinders no other.",
        params=p.ImagesPrune,
        result=t.PruneReport,
        progress=True,
        mutates=True,
        errors=(*_CHANGE, "ImageDamaged", "PlanStale"),
    ),
    Method(
        name="layers.list",
        summary="All layers, in the order of the store.",
        params=p.LayersList,
        result=t.LayerList,
        errors=("GenerationGone",),
    ),
    Method(
        name="layers.get",
        summary="One layer, its chain to the base, and its child layers.",
        params=p.LayersGet,
        result=t.LayerDetails,
        errors=("LayerUnknown",),
    ),
    Method(
        name="layers.tree",
        summary="The layer forest, or the tree above one layer, parents first.",
        params=p.LayersTree,
        result=t.LayerList,
        errors=("LayerUnknown", "GenerationGone"),
    ),
    Method(
        name="manifests.list",
        summary="All local manifest lists, with instances and annotations on request.",
        params=p.ManifestsList,
        result=t.ManifestLists,
    ),
    Method(
        name="manifests.get",
        summary="One manifest list and the JSON of its manifest.",
        params=p.ManifestName,
        result=t.ManifestDetails,
        errors=("ManifestListUnknown", "AmbiguousName", "InvalidName", *_LIST_LOOKUP),
    ),
    Method(
        name="manifests.exists",
        summary="Whether a name means a manifest list.",
        params=p.ManifestName,
        result=t.Exists,
        errors=("NotAManifestList", "AmbiguousName", "InvalidName"),
    ),
    Method(
        name="manifests.referenced",
        summary="The digests that local lists name, and which lists name them.",
        params=p.ManifestsReferenced,
        result=t.ReferencedDigests,
    ),
    Method(
        name="manifests.create",
        summary="Make a manifest list of local images, all of them or nothing.",
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
        summary="Take an entry out of a manifest list; the image it names stays.",
        params=p.ManifestsRemoveInstance,
        result=t.ListEdited,
        errors=("InstanceUnknown", "ImageUnknown", "ReadOnlyImage", *_EDIT),
        mutates=True,
    ),
    Method(
        name="manifests.remove",
        summary="Remove manifest lists, or one of their names; what fails is told and hinders no other.",
        params=p.ManifestsRemove,
        result=t.PruneReport,
        progress=True,
        errors=(*_CHANGE, "ImageDamaged"),
        mutates=True,
    ),
    Method(
        name="containers.list", summary="Storage containers of every tool.", params=p.NoParams, result=t.ContainerList
    ),
    Method(
        name="store.check",
        summary="Whether records and files agree: what is wrong, what it endangers, and what mends it.",
        params=p.StoreCheck,
        result=t.CheckReport,
        progress=True,
    ),
    Method(
        name="store.usage",
        summary="What takes how much room: images, containers, volumes.",
        params=p.NoParams,
        result=t.StoreUsage,
    ),
    Method(
        name="store.refresh",
        summary="Look at the store again now.",
        params=p.NoParams,
        result=t.Empty,
        errors=("StoreBusy", "StoreCorrupt"),
    ),
    Method(
        name="store.lease",
        summary="Keep images from every prune and removal of this daemon, while the connection lasts.",
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
"""By name. ``rpc.discover`` is not a row: it answers with this table as an OpenRPC document."""


def mutates(name: str) -> bool:
    """Whether the table has a method of this name that changes anything for others."""
    row = METHODS.get(name)
    return row is not None and row.mutates


def takes_descriptors(name: str) -> bool:
    """Whether the table has a method of this name that takes descriptors."""
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
