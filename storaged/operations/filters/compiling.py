"""Compiles all filters of a listing into tests of one image.

All must match, also several of one key, but of several references one is enough (see ``reference``). A boolean key may
be repeated only with the same meaning (podman: only with the same spelling).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from difflib import get_close_matches
from typing import Final

from msgspec import Struct

from storaged.operations.filters.labels import label
from storaged.operations.filters.language import Asked, FilterContext, Test, divide, malformed
from storaged.operations.filters.reference import References, compile_references
from storaged.operations.filters.relations import containers, in_list, layer, unique_size
from storaged.operations.filters.times import before, since, until
from storaged.operations.globs import is_pattern
from storaged.operations.name_lookup import shortened
from storaged.snapshot.model import Image
from storaged_client.contract.errors import InvalidParams
from storaged_client.contract.params import Filter

MOST_FILTERS: Final = 256
"""The maximum number of filters in a listing except plain references: each is tested on every image."""

MOST_REFERENCES: Final = 10_000
"""The maximum number of references in a listing: each is looked up once."""

_LABORIOUS: Final = 1000
"""A listing with this many tests on images, or more, moves to a thread: two milliseconds of the event loop."""

_FLAGS: Final[dict[str, Test]] = {
    "damaged": lambda image: image.damage is not None,
    "dangling": lambda image: image.dangling,
    "intermediate": lambda image: image.intermediate,
    "manifest": lambda image: image.is_list if image.content.manifest is not None else None,
    "readonly": lambda image: image.read_only,
}


def _id(asked: Asked, query_context: FilterContext) -> Test:
    prefix = asked.text().removeprefix("sha256:")
    return lambda image: image.id.startswith(prefix)


def _digest(asked: Asked, query_context: FilterContext) -> Test:
    prefix = asked.text()
    if not prefix.startswith("sha256:"):
        raise asked.wrong(f'invalid value "{shortened(prefix)}" for digest filter: it must begin with sha256:')
    return lambda image: any(digest.startswith(prefix) for digest in image.digests)


_VALUED: Final[dict[str, Callable[[Asked, FilterContext], Test]]] = {
    "after": since,
    "before": before,
    "containers": containers,
    "digest": _digest,
    "id": _id,
    "in-list": in_list,
    "label": label,
    "layer": layer,
    "since": since,
    "unique-size": unique_size,
    "until": until,
}

_LONGEST_KEY: Final = 32
"""The maximum length of an unknown key for which a similar one is suggested."""

_TIMED: Final = frozenset({"until"})
"""Filters that depend on the time of day, ``FilterContext.now``."""

SERVED: Final = tuple(sorted((*_FLAGS, *_VALUED, "reference")))


class Compiled(Struct, frozen=True, kw_only=True):
    """The tests, all of which must match, and the values of the boolean keys.

    ``lasting``: they select the same as long as nothing changes.
    """

    tests: tuple[Callable[[Image], bool], ...]
    flags: Mapping[str, bool]
    references: References | None
    lasting: bool


def compile_filters(filters: Sequence[Filter], query_context: FilterContext) -> Compiled:
    """Compile them; names in them are looked up now.

    Raises:
        InvalidParams: a filter is malformed, unknown, contradicted by another one, names something that does not
            exist, or there are too many; ``path`` says which.
    """
    if len(filters) > MOST_REFERENCES:
        raise InvalidParams(f"{len(filters)} filters are too many: a listing takes {MOST_REFERENCES}", path="$.filters")
    every = [divide(given, f"$.filters[{at}]") for at, given in enumerate(filters)]
    named = [asked for asked in every if asked.key == "reference"]
    asked_of_all = len(every) - sum(not is_pattern(asked.text()) for asked in named)
    if asked_of_all > MOST_FILTERS:
        raise InvalidParams(
            f"{asked_of_all} filters are too many: a listing takes {MOST_FILTERS}, and {MOST_REFERENCES} names",
            path="$.filters",
        )
    flags: dict[str, bool] = {}
    tests = [_test(asked, query_context, flags) for asked in every if asked.key != "reference"]
    references = compile_references(named, query_context) if named else None
    if references is not None:
        tests.append(references)
    lasting = _TIMED.isdisjoint(asked.key for asked in every)
    return Compiled(tests=tuple(tests), flags=flags, references=references, lasting=lasting)


def laborious(filters: Sequence[Filter], images: int) -> bool:
    """Whether compiling and testing this many images may take so long that it belongs in a thread.

    Patterns always do; for others the product of filters and images counts.
    """
    return len(filters) * max(images, 1) > _LABORIOUS or any(
        is_pattern(value)
        for given in filters
        if isinstance(value := given.get("value") if isinstance(given, Mapping) else given, str)
    )


def _test(asked: Asked, query_context: FilterContext, flags: dict[str, bool]) -> Callable[[Image], bool]:
    flag = _FLAGS.get(asked.key)
    if flag is not None:
        wanted = asked.boolean() is not asked.negate
        _claim(asked, flags, asked.key, wanted)
        return lambda image: flag(image) is wanted
    make = _VALUED.get(asked.key)
    if make is None:
        near = get_close_matches(asked.key[:_LONGEST_KEY], SERVED, 1, 0.7)
        meant = f'did you mean "{near[0]}"? ' if near else ""
        raise asked.wrong(f"{malformed(asked.key)}; {meant}there are {', '.join(SERVED)}", ".key")
    wanted = not asked.negate
    if asked.key == "containers":
        wanted = _claim_containers(asked, flags)
    test = make(asked, query_context)
    return lambda image: test(image) is wanted


def _claim(asked: Asked, flags: dict[str, bool], key: str, wanted: bool) -> None:
    if flags.setdefault(key, wanted) is not wanted:
        raise asked.wrong(f'filter "{asked.key}" is given twice with opposite meanings: nothing can match both', "")


def _claim_containers(asked: Asked, flags: dict[str, bool]) -> bool:
    if asked.value == "external":
        _claim(asked, flags, "containers=external", not asked.negate)
        return not asked.negate
    if asked.value is not True and asked.value is not False and asked.value not in ("true", "false"):
        raise asked.wrong(
            f"unsupported value {shortened(repr(asked.value))} for containers filter: it takes true, false or external"
        )
    wanted = (asked.value is True or asked.value == "true") is not asked.negate
    _claim(asked, flags, "containers", wanted)
    return wanted
