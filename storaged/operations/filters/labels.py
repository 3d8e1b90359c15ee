"""``label=KEY`` and ``label=KEY=VALUE`` (container-libs ``common/pkg/filters``: MatchLabelFilters).

``KEY=`` is ``KEY``. A key with ``*`` matches anywhere in a label's key, ``/`` being an ordinary character; the value
must be equal. A list has no labels.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cache

from storaged.operations.filters.language import LONGEST_PATTERN, Asked, FilterContext, Test
from storaged.operations.globs import BadPattern, compile_glob
from storaged.operations.name_lookup import shortened
from storaged.snapshot.model import Image


def label(asked: Asked, query_context: FilterContext) -> Test:
    """An image has such a label; unknown if its configuration cannot be read.

    Raises:
        InvalidParams: the pattern is malformed or too long.
    """
    key, _, value = asked.text().partition("=")
    fits = _pattern(asked, key) if "*" in key else None

    def test(image: Image) -> bool | None:
        labels = _labels(image)
        if labels is None:
            return None
        if fits is None:
            return key in labels and (not value or labels[key] == value)
        return any((not value or found == value) and fits(name) for name, found in labels.items())

    return test


def _pattern(asked: Asked, key: str) -> Callable[[str], bool]:
    if len(key) > LONGEST_PATTERN:
        raise asked.wrong(f"a label pattern has at most {LONGEST_PATTERN} characters, not {len(key)}")
    try:
        glob = compile_glob(f"*{key}*".replace("/", "|"))
    except BadPattern as error:
        raise asked.wrong(f'the label pattern "{shortened(key)}" is malformed: {error}') from error

    @cache
    def fits(name: str) -> bool:
        """Images have few different keys among them."""
        return name == key or glob(name.replace("/", "|"))

    return fits


def _labels(image: Image) -> Mapping[str, str] | None:
    if image.is_list:
        return {}
    config = image.content.config
    if config is None:
        return None if image.content.damage else {}
    return config.labels or {}
