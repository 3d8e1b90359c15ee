"""``reference=VALUE``: images by name, by pattern, by anything a name can be (container-libs ``libimage/filters.go``).

A value matches an image that it refers to (``resolving``: short names, digests, ids and their beginnings; for a list,
the instance here), and an image with a name that it spells, exactly or as a pattern, in one of six ways::

    quay.io/ns/foo:v1    ns/foo:v1    foo:v1
    quay.io/ns/foo       ns/foo       foo

Of several values one must match (of all other filters all must); of negated ones none may. ``*`` and ``?`` stop at
``/``, classes do not.

**Names.** A single value that is a full name (registry, path, and tag or digest) asks for that name: the image answers
with it and not with its others; for a digest, with all names of the repository. An image found otherwise, as the
instance of a list of that name, or with its copy in another store, keeps all names (podman leaves it none).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from functools import lru_cache
from typing import Final

from msgspec import Struct

from storaged.operations.filters.language import LONGEST_PATTERN, Asked, FilterContext
from storaged.operations.globs import BadPattern, as_regular_expression, is_pattern
from storaged.operations.name_lookup import shortened
from storaged.operations.resolving import find
from storaged.snapshot.lookup import split_name
from storaged.snapshot.model import Image
from storaged.store.layout import references
from storaged.store.layout.records import ImageID
from storaged.store.layout.references import Reference
from storaged_client.contract.errors import AmbiguousName, ImageUnknown, InvalidName

_REGISTRY: Final = re.compile(
    r"(?:[a-zA-Z0-9](?:[a-zA-Z0-9-]*[a-zA-Z0-9])?(?:\.[a-zA-Z0-9](?:[a-zA-Z0-9-]*[a-zA-Z0-9])?)*|\[[a-fA-F0-9:]+\])"
    r"(?::[0-9]+)?"
)
"""A first component that the grammar takes for a registry: ``ns`` of ``ns/foo`` is one, ``a_b`` of ``a_b/foo`` is
not."""

_CACHED: Final = 16384
_PATTERNS: Final = 8
"""The number of patterns whose matches are cached, for as many names each."""


class References(Struct, frozen=True, kw_only=True):
    """All values of one listing in one test."""

    wanted: _Values | None
    unwanted: _Values | None
    query: Reference | None
    """The full name that was the only value."""

    def __call__(self, image: Image) -> bool:
        if self.unwanted is not None and self.unwanted.fit(image):
            return False
        return self.wanted is None or self.wanted.fit(image)

    def names(self, image: Image) -> tuple[str, ...]:
        """The names with which a matching image answers."""
        query = self.query
        if query is None:
            return image.names
        if query.digest is None:
            found = tuple(name for name in image.names if name == query.text)
        else:
            found = tuple(name for name in image.names if split_name(name)[0] == query.repository)
        return found or image.names


class _Values(Struct, frozen=True, kw_only=True):
    ids: frozenset[ImageID]
    spelled: frozenset[str]
    matched: frozenset[str]
    """Names of the store that a pattern matches."""

    def fit(self, image: Image) -> bool:
        if image.id in self.ids or not self.matched.isdisjoint(image.names):
            return True
        if self.spelled:
            for name in image.names:
                if not self.spelled.isdisjoint(spellings(name)):
                    return True
        return False


def compile_references(asked: Sequence[Asked], query_context: FilterContext) -> References:
    """Look each value up once, and combine all into one test: n images and k values cost n + k.

    Patterns are the exception: each may have to be tested on each name. The latest matches are cached.

    Raises:
        InvalidParams: a pattern is malformed or too long.
    """
    wanted = [each for each in asked if not each.negate]
    unwanted = [each for each in asked if each.negate]
    alone = len(wanted) == 1 and not unwanted
    return References(
        wanted=_values(wanted, query_context) if wanted else None,
        unwanted=_values(unwanted, query_context) if unwanted else None,
        query=_full_name(wanted[0].text()) if alone else None,
    )


@lru_cache(maxsize=_CACHED)
def spellings(name: str) -> tuple[str, ...]:
    """The ways in which a stored name may be spelled; does not check whether it is a reference."""
    repository, _, _ = split_name(name)
    ending = name[len(repository) :]
    first, slash, rest = repository.partition("/")
    path = rest if slash and _REGISTRY.fullmatch(first) else repository
    last = repository.rpartition("/")[2]
    return tuple(dict.fromkeys((name, repository, path + ending, path, last + ending, last)))


def _values(asked: Iterable[Asked], query_context: FilterContext) -> _Values:
    ids: set[ImageID] = set()
    spelled: set[str] = set()
    patterns: list[str] = []
    for each in asked:
        value = each.text()
        if is_pattern(value):
            patterns.append(_pattern(each, value))
            continue
        spelled.add(value)
        image = _meant(value, query_context)
        if image is not None:
            ids.add(image.id)
    # The empty value means nothing, not the last component of a name that ends in a slash.
    spelled.discard("")
    matched: frozenset[str] = frozenset()
    if patterns:
        # Not the index of names: a copy in another store may have its own names.
        known = {name for image in query_context.snapshot.images for name in image.names}
        matched = frozenset(filter(_matching("|".join(f"(?:{each})" for each in patterns)), known))
    return _Values(ids=frozenset(ids), spelled=frozenset(spelled), matched=matched)


@lru_cache(maxsize=_PATTERNS)
def _matching(pattern: str) -> Callable[[str], bool]:
    """The test of a stored name: whether one of its spellings matches. The same names recur with each listing."""
    match = re.compile(pattern, re.DOTALL).fullmatch

    @lru_cache(maxsize=_CACHED)
    def matches(name: str) -> bool:
        return any(map(match, spellings(name)))

    return matches


def _meant(value: str, query_context: FilterContext) -> Image | None:
    try:
        return find(query_context.snapshot, value, manifest=False, or_list=False, view=query_context.view).image
    except (ImageUnknown, AmbiguousName, InvalidName):
        return None


def _pattern(asked: Asked, value: str) -> str:
    if len(value) > LONGEST_PATTERN:
        raise asked.wrong(f"a pattern has at most {LONGEST_PATTERN} characters, not {len(value)}")
    try:
        return as_regular_expression(value)
    except BadPattern as error:
        raise asked.wrong(f'the pattern "{shortened(value)}" is malformed: {error}') from error


def _full_name(value: str) -> Reference | None:
    """The value as a reference in its full form, with a tag or a digest; None if it is not one (ParseNamed)."""
    try:
        reference = references.parse_docker(value)
    except InvalidName:
        return None
    full = reference.text == value and (reference.tag is not None or reference.digest is not None)
    return reference if full else None
