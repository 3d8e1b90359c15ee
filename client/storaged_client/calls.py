"""Turns Python arguments into the parameters of a method, for both clients, and provides the signatures.

Names, order and defaults are those of the classes in ``contract.params``. The tables below list where Python has a
handier type than the wire.
"""

from __future__ import annotations

import inspect
from base64 import b64encode
from collections.abc import Callable, Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from functools import cache
from typing import TYPE_CHECKING, Any, Generic, Protocol, TypeAlias, TypedDict, TypeVar

import attrs

from .contract.params import Part

if TYPE_CHECKING:
    from .contract import types as t
    from .contract.methods import Method
    from .progress import Listener

R = TypeVar("R")

Texts: TypeAlias = list[str] | tuple[str, ...] | AbstractSet[str]
"""Several strings. Not ``Sequence[str]``, because a single string is one."""
Parts: TypeAlias = list[Part] | tuple[Part, ...] | AbstractSet[Part]
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


class PlatformMembers(TypedDict, total=False):
    """Changes to the platform of an entry; a missing member stays as it is."""

    architecture: str
    os: str
    variant: str
    os_version: str
    os_features: Sequence[str]
    features: Sequence[str]


class HasFileno(Protocol):
    """An open file."""

    def fileno(self) -> int:
        """Its descriptor."""
        ...


class LayerMembers(TypedDict, total=False):
    """A layer of an artifact: either ``data`` (as text: base64) or ``file``. A missing ``media_type`` is guessed as
    podman does.

    The file is open for reading. Leave it open, and in its place: the list keeps its path for podman's pushes.
    """

    data: bytes | str
    file: int | HasFileno
    media_type: str
    title: str


class ArtifactMembers(TypedDict, total=False):
    """An artifact to create; missing members get podman's defaults."""

    type: str
    config: str
    config_type: str
    layers: list[LayerMembers] | tuple[LayerMembers, ...]
    subject: str
    annotations: dict[str, str]


_SPELLED = {
    "tuple[str, ...]": "Texts",
    "tuple[Filter, ...]": "Filters",
    "tuple[Part, ...]": "Parts",
    "dict[str, str]": "Mapping[str, str]",
    "Config": "Mapping[str, Any]",
    "PlatformChoice": "PlatformMembers",
    "Artifact": "ArtifactMembers",
}
"""The Python spelling of a type of ``contract.params``."""

_SHARED: dict[str, tuple[str, str | None]] = {
    "consistency": ("Consistency", "fresh"),
    "timeout": ("float | None", None),
}
"""Type and default of the parameters that every method has."""

SINGLE = "images.get"
"""The method that also takes a single name: it then returns that image, or raises that image's error."""


class Call(Generic[R]):
    """A method and its parameters. ``R`` is the type of its result; ``progress`` receives its progress.

    ``settle`` turns the daemon's answer into ``R``, if that differs. ``descriptors`` are passed with it.
    """

    __slots__ = ("descriptors", "method", "params", "progress", "settle")

    def __init__(self, method: str) -> None:
        self.method = method
        self.params: dict[str, Any] = {}
        self.progress: Listener | None = None
        self.settle: Callable[[Any], R] | None = None
        self.descriptors: list[int] = []

    def __repr__(self) -> str:
        return f"Call({self.method!r}, {self.params!r})"


def signature(row: Method) -> inspect.Signature:
    """The signature of a method in Python; annotations are strings, types of results below ``t``."""
    parameters = [_parameter(field, row) for field in attrs.fields(row.params)]
    shared = dict(_SHARED)
    if not (row.mutates or row.holds):
        shared["if_generation"] = ("str | None", None)
    if row.progress:
        shared["progress"] = ("Listener | None", None)
    keyword_only = inspect.Parameter.KEYWORD_ONLY
    parameters += [
        inspect.Parameter(name, keyword_only, default=default, annotation=kind)
        for name, (kind, default) in shared.items()
    ]
    result = f"t.{row.result.__name__}"
    if row.name == SINGLE:
        result = f"t.ImageDetails | {result}"
    return inspect.Signature(parameters, return_annotation=result)


def _parameter(field: attrs.Attribute[Any], row: Method) -> inspect.Parameter:
    kind, optional, _ = row.params.__annotations__[field.name].partition(" | None")
    kind = f"{_SPELLED.get(kind, kind)}{optional}"
    return inspect.Parameter(
        field.name,
        inspect.Parameter.POSITIONAL_OR_KEYWORD,
        default=inspect.Parameter.empty if field.default is attrs.NOTHING else field.default,
        annotation=f"str | {kind}" if row.name == SINGLE else kind,
    )


@cache
def _defaults(params: type) -> dict[str, Any]:
    return {field.name: field.default for field in attrs.fields(params)}


def request(row: Method, given: dict[str, Any]) -> Call[Any]:
    """The request for these arguments. Default values are not sent.

    Raises:
        TypeError: an argument has the wrong type.
    """
    call: Call[Any] = Call(row.name)
    call.progress = given.pop("progress", None)
    if row.name == SINGLE and isinstance(given["names"], str):
        given["names"] = (given["names"],)
        call.settle = _the_one
    defaults, kinds = _defaults(row.params), row.params.__annotations__
    for name, value in given.items():
        if name in defaults:
            wire, default = _on_the_wire(call, name, kinds[name], value), defaults[name]
        else:
            wire, default = value, "fresh"
        if default is attrs.NOTHING or wire not in (None, default):
            call.params[name] = wire
    return call


def _on_the_wire(call: Call[Any], name: str, kind: str, value: Any) -> Any:
    """The value as the type that ``contract.params`` spells so has it."""
    if value is None and kind.endswith(" | None"):
        return None
    match kind.removesuffix(" | None"):
        case "tuple[str, ...]" | "tuple[Part, ...]":
            return texts(name, value)
        case "tuple[Filter, ...]":
            return wire_filters(value)
        case "Artifact":
            return _wire_artifact(value, call.descriptors)
    return value


def texts(name: str, values: Iterable[str]) -> tuple[str, ...]:
    """Several strings.

    Raises:
        TypeError: a single one was given.
    """
    if isinstance(values, str):
        raise TypeError(f"{name} takes several strings, not one: [{values!r}]")
    return tuple(values)


def wire_filters(filters: Filters) -> tuple[Any, ...] | None:
    """The filters in the protocol's form; None if there are none.

    ``"label!"`` negates; several values of one key are several filters.

    Raises:
        TypeError: a single string was given.
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


def _word(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _wire_artifact(artifact: ArtifactMembers, descriptors: list[int]) -> dict[str, Any]:
    """The artifact in the protocol's form. Appends the descriptors of its files to ``descriptors``."""
    wire: dict[str, Any] = {**artifact}
    if "layers" in artifact:
        wire["layers"] = [_wire_layer(layer, descriptors) for layer in artifact["layers"]]
    return wire


def _wire_layer(layer: LayerMembers, descriptors: list[int]) -> dict[str, Any]:
    wire: dict[str, Any] = {**layer}
    data = layer.get("data")
    if isinstance(data, bytes):
        wire["data"] = b64encode(data).decode()
    if "file" in layer:
        file = wire.pop("file")
        wire["fd"] = len(descriptors)
        descriptors.append(file if isinstance(file, int) else file.fileno())
    return wire


def _the_one(found: t.ImageDetailsList) -> t.ImageDetails:
    lookup = found[0]
    if lookup.image is None:
        from .contract.errors import from_wire

        raise from_wire(lookup.error.to_dict() if lookup.error is not None else {}, SINGLE)
    return lookup.image
