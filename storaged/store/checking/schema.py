"""Checks what Go accepts in a record: the types of the members, times and digests.

One value that Go cannot decode makes the whole table unusable: an error from containers/storage 1.44 on, an empty store
before. storaged itself reads more leniently, so this is a separate check.

Go takes ``null`` for "not set" everywhere, matches member names in any case, and ignores unknown members.

Source: containers/storage ``images.go`` ``layers.go`` ``containers.go`` (struct tags), go-digest ``Validate``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

from storaged.store.inventory import TableKind
from storaged.store.layout.digest_forms import UPSTREAM, hasher_of, is_digest
from storaged_client.times import instant


def valid_digest(text: str) -> bool:
    """Whether go-digest accepts it: a known algorithm and its number of lower-case hexadecimal digits."""
    return is_digest(text) and text.partition(":")[0] in UPSTREAM


def _string(value: Any) -> str | None:
    return None if isinstance(value, str) else "no string"


def _integer(value: Any) -> str | None:
    if isinstance(value, bool) or not isinstance(value, int):
        return "no integer"
    return None if -(1 << 63) <= value < 1 << 63 else "beyond 64 bits"


def _unsigned(value: Any) -> str | None:
    wrong = _integer(value)
    return wrong if wrong or 0 <= value < 1 << 32 else "beyond 32 bits"


def _boolean(value: Any) -> str | None:
    return None if isinstance(value, bool) else "no boolean"


def _object(value: Any) -> str | None:
    return None if isinstance(value, dict) else "no object"


def _time(value: Any) -> str | None:
    return None if isinstance(value, str) else "no time"


def _list_of(element: Callable[[Any], str | None]) -> Callable[[Any], str | None]:
    def check(value: Any) -> str | None:
        if not isinstance(value, list):
            return "no array"
        return next((wrong for each in value if each is not None and (wrong := element(each))), None)

    return check


def _map_of(element: Callable[[Any], str | None]) -> Callable[[Any], str | None]:
    def check(value: Any) -> str | None:
        if not isinstance(value, dict):
            return "no object"
        return next((wrong for each in value.values() if each is not None and (wrong := element(each))), None)

    return check


_STRINGS: Final = _list_of(_string)
_ID_MAP: Final = _list_of(_map_of(_integer))
_COMMON: Final[dict[str, Callable[[Any], str | None]]] = {
    "id": _string,
    "names": _STRINGS,
    "metadata": _string,
    "big-data-names": _STRINGS,
    "created": _time,
    "flags": _object,
}
_SIZED: Final = {"big-data-sizes": _map_of(_integer), "big-data-digests": _map_of(_string)}
_MEMBERS: Final[dict[TableKind, dict[str, Callable[[Any], str | None]]]] = {
    "images": {
        **_COMMON,
        **_SIZED,
        "digest": _string,
        "names-history": _STRINGS,
        "layer": _string,
        "mapped-layers": _STRINGS,
    },
    "layers": {
        **_COMMON,
        "parent": _string,
        "mountlabel": _string,
        "compressed-diff-digest": _string,
        "compressed-size": _integer,
        "diff-digest": _string,
        "diff-size": _integer,
        "toc-digest": _string,
        "compression": _integer,
        "uidset": _list_of(_unsigned),
        "gidset": _list_of(_unsigned),
        "uidmap": _ID_MAP,
        "gidmap": _ID_MAP,
    },
    "containers": {**_COMMON, **_SIZED, "image": _string, "layer": _string, "uidmap": _ID_MAP, "gidmap": _ID_MAP},
}


def wrong_types(kind: TableKind, members: Mapping[str, Any]) -> Iterator[str]:
    """Describe every member that Go cannot decode."""
    known = _MEMBERS[kind]
    for name, value in members.items():
        check = known.get(name.lower())
        if check is not None and value is not None and (wrong := check(value)):
            yield f"{name!r} is or holds {wrong}"


def wrong_time(members: Mapping[str, Any]) -> str | None:
    """Why Go cannot decode ``created``; None if it can, or if it is absent or of another type."""
    value = members.get("created")
    if not isinstance(value, str):
        return None
    try:
        instant(value)
    except ValueError as error:
        return str(error)
    return None


def wrong_digests(kind: TableKind, members: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Every digest that not all tools accept: the name of the finding, and its text.

    ``image_digest_invalid`` makes the whole table fail, because images are searched by it. A digest with an algorithm
    that upstream does not know yet does so, too, for those tools.
    """
    singles = {"images": ("digest",), "layers": ("compressed-diff-digest", "diff-digest", "toc-digest")}
    for name in singles.get(kind, ()):
        value = members.get(name)
        if isinstance(value, str) and value and not valid_digest(value):
            yield _judged(value, searched=kind == "images"), f"{name!r} is {value[:160]!r}"
    digests = members.get("big-data-digests")
    for key, value in digests.items() if isinstance(digests, dict) else ():
        if isinstance(value, str) and not valid_digest(value):
            searched = kind == "images" and key.startswith("manifest")
            yield _judged(value, searched=searched), f"the digest of {key[:80]!r} is {value[:160]!r}"


def _judged(digest: str, *, searched: bool) -> str:
    if is_digest(digest):
        return "digest_not_verifiable" if hasher_of(digest) is None else "digest_unusual"
    return "image_digest_invalid" if searched else "digest_invalid"
