"""Every method that reads as a function of its parameters: what to send, said once for both clients.

Positional order is that of ``contract.params``; what all methods share is by keyword only. A value
that is the default is not sent.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from typing import TYPE_CHECKING, Any, Generic, Literal, TypeAlias, TypeVar, overload

if TYPE_CHECKING:
    from .contract import types as t
    from .progress import Listener

R = TypeVar("R")

Consistency = Literal["fresh", "strict", "cached"]
Texts: TypeAlias = list[str] | tuple[str, ...] | AbstractSet[str]
"""Several strings. Not ``Sequence[str]``, which a single one is, too."""
FilterValue: TypeAlias = str | int | bool
FilterValues: TypeAlias = (
    FilterValue
    | list[str]
    | list[int]
    | list[bool]
    | list[FilterValue]
    | tuple[FilterValue, ...]
    | AbstractSet[str]
    | AbstractSet[int]
)
Filter: TypeAlias = str | Mapping[str, Any]
Filters: TypeAlias = (
    Mapping[str, FilterValues]
    | list[str]
    | list[Mapping[str, Any]]
    | list[Filter]
    | tuple[Filter, ...]
    | AbstractSet[str]
)
"""``{"dangling": True, "label!": ["a", "b=c"]}``, or podman's ``"key=value"``, or the wire's objects."""
Sort: TypeAlias = Literal["store", "created", "id", "repository", "size", "tag"]
Part: TypeAlias = Literal["instances", "annotations"]
Parts: TypeAlias = list[Part] | tuple[Part, ...] | AbstractSet[Part]
Scope: TypeAlias = Literal["records", "files", "contents"]


class Call(Generic[R]):
    """A method and its parameters. ``R`` is the type of its result, ``progress`` is told how far it has come.

    ``settle`` makes ``R`` of what the daemon answers, where that is not it. ``descriptors`` are passed with it.
    """

    __slots__ = ("descriptors", "method", "params", "progress", "settle")

    def __init__(self, method: str, params: dict[str, Any]) -> None:
        self.method = method
        self.params = params
        self.progress: Listener | None = None
        self.settle: Callable[[Any], R] | None = None
        self.descriptors: Sequence[int] = ()

    def __repr__(self) -> str:
        return f"Call({self.method!r}, {self.params!r})"


def request(
    method: str,
    consistency: Consistency,
    timeout: float | None,
    required: dict[str, Any] | None = None,
    **optional: Any,
) -> Call[Any]:
    """A call; of the optional parameters those that are None or false are not sent."""
    params = dict(required or {})
    params.update((name, value) for name, value in optional.items() if value is not None and value is not False)
    if consistency != "fresh":
        params["consistency"] = consistency
    if timeout is not None:
        params["timeout"] = timeout
    return Call(method, params)


def texts(name: str, values: Iterable[str]) -> tuple[str, ...]:
    """Several strings.

    Raises: TypeError, a single one was given.
    """
    if isinstance(values, str):
        raise TypeError(f"{name} takes several strings, not one: [{values!r}]")
    return tuple(values)


def _word(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def wire_filters(filters: Filters) -> tuple[Any, ...] | None:
    """The filters as the protocol has them; None where there is none.

    ``"label!"`` negates; several values of one key are several filters.
    """
    one: object = filters
    if isinstance(one, str):
        raise TypeError(f"filters takes a mapping or several strings, not one: [{one!r}]")
    if not filters:
        return None
    if not isinstance(filters, Mapping):
        return tuple(dict(one) if isinstance(one, Mapping) else one for one in filters)
    found: list[dict[str, Any]] = []
    for key, given in filters.items():
        values = given if isinstance(given, (list, tuple, set, frozenset)) else (given,)
        name = key.removesuffix("!")
        found.extend({"key": name, "value": _word(value), "negate": name != key} for value in values)
    return tuple(found)


# ---------------------------------------------------------------- server


def server_info(*, consistency: Consistency = "fresh", timeout: float | None = None) -> Call[t.ServerInfo]:
    """Which daemon this is, which store it serves, and what is wrong with it."""
    return request("server.info", consistency, timeout)


def server_ping(*, consistency: Consistency = "fresh", timeout: float | None = None) -> Call[t.Empty]:
    """Answer, and nothing else."""
    return request("server.ping", consistency, timeout)


def server_stats(*, consistency: Consistency = "fresh", timeout: float | None = None) -> Call[t.ServerStats]:
    """Counters, times and gauges of this daemon."""
    return request("server.stats", consistency, timeout)


def server_shutdown(*, consistency: Consistency = "fresh", timeout: float | None = None) -> Call[t.Empty]:
    """Drain and end the daemon."""
    return request("server.shutdown", consistency, timeout)


# ---------------------------------------------------------------- images


def images_list(
    filters: Filters = (),
    all: bool = False,
    sort: Sort = "store",
    limit: int | None = None,
    cursor: str | None = None,
    fields: Texts | None = None,
    *,
    consistency: Consistency = "fresh",
    timeout: float | None = None,
) -> Call[t.ImageList]:
    """List images and manifest lists, filtered, sorted, in pages.

    With ``fields`` the members not asked for are None.
    """
    return request(
        "images.list",
        consistency,
        timeout,
        filters=wire_filters(filters),
        all=all,
        sort=None if sort == "store" else sort,
        limit=limit,
        cursor=cursor,
        fields=None if fields is None else texts("fields", fields),
    )


@overload
def images_get(
    names: str, *, consistency: Consistency = "fresh", timeout: float | None = None
) -> Call[t.ImageDetails]: ...
@overload
def images_get(
    names: Texts, *, consistency: Consistency = "fresh", timeout: float | None = None
) -> Call[t.ImageDetailsList]: ...
def images_get(
    names: str | Texts, *, consistency: Consistency = "fresh", timeout: float | None = None
) -> Call[t.ImageDetails] | Call[t.ImageDetailsList]:
    """Everything known of one image; or of several, of which one bad name fails no other.

    Raises: ImageUnknown, AmbiguousName, InvalidName, of the one.
    """
    several = (names,) if isinstance(names, str) else texts("names", names)
    call: Call[Any] = request("images.get", consistency, timeout, {"names": several})
    if isinstance(names, str):
        call.settle = _the_one
    return call


def _the_one(found: t.ImageDetailsList) -> t.ImageDetails:
    lookup = found[0]
    if lookup.image is None:
        from .contract.errors import from_wire

        raise from_wire(lookup.error.to_dict() if lookup.error is not None else {}, "images.get")
    return lookup.image


def images_exists(
    name: str, manifest: bool = False, *, consistency: Consistency = "fresh", timeout: float | None = None
) -> Call[t.Exists]:
    """Whether a name means an image.

    Raises: AmbiguousName, InvalidName.
    """
    return request("images.exists", consistency, timeout, {"name": name}, manifest=manifest)


def images_resolve(
    name: str, manifest: bool = False, *, consistency: Consistency = "fresh", timeout: float | None = None
) -> Call[t.Resolved]:
    """The image a name means, and by which rule.

    Raises: ImageUnknown, AmbiguousName, InvalidName.
    """
    return request("images.resolve", consistency, timeout, {"name": name}, manifest=manifest)


def images_why(
    name: str, manifest: bool = False, *, consistency: Consistency = "fresh", timeout: float | None = None
) -> Call[t.Why]:
    """Why an image is kept, or would go.

    Raises: ImageUnknown, AmbiguousName, InvalidName.
    """
    return request("images.why", consistency, timeout, {"name": name}, manifest=manifest)


def images_relations(
    name: str, manifest: bool = False, *, consistency: Consistency = "fresh", timeout: float | None = None
) -> Call[t.Relations]:
    """Parent, children, ancestors and siblings of an image.

    Raises: ImageUnknown, AmbiguousName, InvalidName.
    """
    return request("images.relations", consistency, timeout, {"name": name}, manifest=manifest)


def images_history(
    name: str, *, consistency: Consistency = "fresh", timeout: float | None = None
) -> Call[t.ImageHistory]:
    """The instructions an image was made by, newest first, with their sizes and images.

    Raises: ImageDamaged, ImageUnknown, AmbiguousName, InvalidName.
    """
    return request("images.history", consistency, timeout, {"name": name})


def images_tree(
    name: str, what_requires: bool = False, *, consistency: Consistency = "fresh", timeout: float | None = None
) -> Call[t.ImageTree]:
    """The layers of an image, base first, or all layers that stand on it.

    Raises: ImageUnknown, AmbiguousName, InvalidName.
    """
    return request("images.tree", consistency, timeout, {"name": name}, what_requires=what_requires)


def images_data(
    name: str, key: str, *, consistency: Consistency = "fresh", timeout: float | None = None
) -> Call[t.Data]:
    """One item of an image's big data, up to 1 MiB, base64.

    Raises: DataUnknown, TooLarge, ImageDamaged, and as ``resolve``.
    """
    return request("images.data", consistency, timeout, {"name": name, "key": key})


# ---------------------------------------------------------------- layers


def layers_list(
    limit: int | None = None,
    cursor: str | None = None,
    *,
    consistency: Consistency = "fresh",
    timeout: float | None = None,
) -> Call[t.LayerList]:
    """All layers, in the order of the store."""
    return request("layers.list", consistency, timeout, limit=limit, cursor=cursor)


def layers_get(id: str, *, consistency: Consistency = "fresh", timeout: float | None = None) -> Call[t.LayerDetails]:
    """One layer, its chain to the base, and its child layers.

    Raises: LayerUnknown.
    """
    return request("layers.get", consistency, timeout, {"id": id})


def layers_tree(
    id: str | None = None,
    limit: int | None = None,
    cursor: str | None = None,
    *,
    consistency: Consistency = "fresh",
    timeout: float | None = None,
) -> Call[t.LayerList]:
    """The layer forest, or the tree above one layer, parents first.

    Raises: LayerUnknown.
    """
    return request("layers.tree", consistency, timeout, id=id, limit=limit, cursor=cursor)


# ---------------------------------------------------------------- manifest lists


def manifests_list(
    include: Parts = (),
    *,
    consistency: Consistency = "fresh",
    timeout: float | None = None,
) -> Call[t.ManifestLists]:
    """All local manifest lists, with instances and annotations on request."""
    return request("manifests.list", consistency, timeout, include=texts("include", include) or None)


def manifests_get(
    name: str, *, consistency: Consistency = "fresh", timeout: float | None = None
) -> Call[t.ManifestDetails]:
    """One manifest list and the JSON of its manifest.

    Raises: ManifestListUnknown, NotAManifestList, AmbiguousName, InvalidName.
    """
    return request("manifests.get", consistency, timeout, {"name": name})


def manifests_exists(name: str, *, consistency: Consistency = "fresh", timeout: float | None = None) -> Call[t.Exists]:
    """Whether a name means a manifest list.

    Raises: NotAManifestList, AmbiguousName, InvalidName.
    """
    return request("manifests.exists", consistency, timeout, {"name": name})


def manifests_referenced(
    digest: str | None = None, *, consistency: Consistency = "fresh", timeout: float | None = None
) -> Call[t.ReferencedDigests]:
    """The digests that local lists name, and which lists name them."""
    return request("manifests.referenced", consistency, timeout, digest=digest)


# ---------------------------------------------------------------- containers, store


def containers_list(*, consistency: Consistency = "fresh", timeout: float | None = None) -> Call[t.ContainerList]:
    """Storage containers of every tool."""
    return request("containers.list", consistency, timeout)


def store_check(
    scope: Scope = "files",
    slice: float | None = None,
    resume: str | None = None,
    *,
    consistency: Consistency = "fresh",
    timeout: float | None = None,
) -> Call[t.CheckReport]:
    """Whether records and files agree: what is wrong, what it endangers, and what mends it.

    Where the report has a ``resume``, ask again with it and the same scope.
    """
    return request(
        "store.check", consistency, timeout, scope=None if scope == "files" else scope, slice=slice, resume=resume
    )


def store_usage(*, consistency: Consistency = "fresh", timeout: float | None = None) -> Call[t.StoreUsage]:
    """What takes how much room: images, containers, volumes."""
    return request("store.usage", consistency, timeout)


def store_refresh(*, consistency: Consistency = "fresh", timeout: float | None = None) -> Call[t.Empty]:
    """Look at the store again now.

    Raises: StoreBusy, StoreCorrupt.
    """
    return request("store.refresh", consistency, timeout)
