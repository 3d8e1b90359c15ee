"""Where storaged's answers to filters differ from podman's on purpose: the rows of docs/differences.md, each as narrow
as it can be told."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping

from attrs import frozen

from storaged.sample import Sample

from .filter_questions import Question

Row = tuple[str, tuple[str, ...]]
Answer = tuple[Row, ...] | None
"""Ids and names in order; None where it was refused."""


@frozen(kw_only=True)
class Known:
    """What lies in the store."""

    sample: Sample
    names: Mapping[str, tuple[str, ...]]
    """Of each image, all names in both stores."""
    created: Mapping[str, frozenset[str]]
    """Of each image, the seconds its records were made."""


@frozen(kw_only=True)
class Again:
    """To ask podman once more, in other words, and storaged what a digest means."""

    podman: Callable[[Question], Answer]
    resolve: Callable[[str], str]


def row_of(question: Question, podman: Answer, ours: Answer, known: Known, again: Again) -> str | None:
    """The row of docs/differences.md that explains why the answers differ; None where none does."""
    if ours is None and _malformed(question, again):
        return "a malformed pattern"
    return _row(question, podman, ours, known) or _said_otherwise(question, ours, known, again)


def _row(question: Question, podman: Answer, ours: Answer, known: Known) -> str | None:
    if podman is None or ours is None:
        return next((row for row, holds in _REFUSALS.items() if holds(question, podman, ours, known)), None)
    if [image for image, _ in podman] == [image for image, _ in ours]:
        pairs = zip(podman, ours, strict=True)
        kept = all(
            names == mine or (not names and set(mine) <= set(known.names[image])) for (image, names), (_, mine) in pairs
        )
        return _KEEPS_NAMES if kept else None
    differing = {image for image, _ in podman} ^ {image for image, _ in ours}
    return next((row for row, holds in _ROWS.items() if holds(question, differing, known)), None)


def _said_otherwise(question: Question, ours: Answer, known: Known, again: Again) -> str | None:
    """The row by which podman, asked in other words for what is meant, gives our answer."""
    row = ""
    filters: dict[tuple[str, str, bool], None] = {}
    shown = question.all
    for key, value, negate in question.filters:
        meant = value
        if key == "id" and value.startswith("sha256:"):
            row, meant = "id=sha256:…", value.removeprefix("sha256:")
        elif _DIGEST.fullmatch(value) and key in ("after", "before", "reference", "since"):
            row, meant = "a bare manifest digest", again.resolve(value)
        elif key in _BOOLEAN and value in _TRUE + _FALSE:
            meant, negate = ("true" if (value in _TRUE) is not negate else "false"), False
            shown = shown or (key == "intermediate" and meant == "true")
        filters[key, meant, negate] = None
    said = Question(filters=tuple(filters), all=shown)
    answer = again.podman(said)
    if answer != ours and _row(said, answer, ours, known) is None:
        return None
    keys = [key for key, _, _ in question.filters if key in _BOOLEAN]
    return row or ("a filter key given twice" if len(keys) > len(set(keys)) else "intermediate in any spelling")


def _external(question: Question, podman: Answer, ours: Answer, known: Known) -> bool:
    return podman is None and any(key == "containers" and value == "external" for key, value, _ in question.filters)


def _malformed(question: Question, again: Again) -> bool:
    """One of its patterns, asked alone, matches nothing for podman."""
    return any(
        again.podman(Question(filters=((key, value, False),), all=True)) == ()
        for key, value, _ in question.filters
        if key in ("label", "reference") and ("[" in value or "\\" in value)
    )


def _contradiction(question: Question, podman: Answer, ours: Answer, known: Known) -> bool:
    """The same key with the same value and its negation: nothing can match."""
    negations: dict[str, set[bool]] = {}
    for key, _, negate in question.filters:
        if key in _BOOLEAN:
            negations.setdefault(key, set()).add(negate)
    return ours is None and podman == () and any(len(each) > 1 for each in negations.values())


def _other_digest(question: Question, differing: set[str], known: Known) -> bool:
    odd = known.sample.podman_dangling ^ known.sample.dangling
    return differing <= odd and any(key == "dangling" for key, _, _ in question.filters)


def _nameless(question: Question, differing: set[str], known: Known) -> bool:
    """podman takes an image's names from it and asks, in some order, whether it has any."""
    references = [negate for key, _, negate in question.filters if key == "reference"]
    asks = not question.all or any(key in ("dangling", "intermediate") for key, _, _ in question.filters)
    return references == [False] and asks and all(known.names[image] for image in differing)


_KEEPS_NAMES = "an image found otherwise than by its own full name keeps its names"
_BOOLEAN = ("containers", "dangling", "intermediate", "manifest", "readonly")
_TRUE = ("true", "1", "T")
_FALSE = ("false", "0", "False")
_DIGEST = re.compile("sha256:[0-9a-f]{64}")

_REFUSALS: Mapping[str, Callable[[Question, Answer, Answer, Known], bool]] = {
    "opposite filters": _contradiction,
    "containers=external": _external,
}
_ROWS: Mapping[str, Callable[[Question, set[str], Known], bool]] = {
    "is an image in a manifest list?": _other_digest,
    _KEEPS_NAMES: _nameless,
}
