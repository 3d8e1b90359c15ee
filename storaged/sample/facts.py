"""The facts about a sample store, derived from its recipes and not from its files.

Independent of ``storaged.snapshot`` on purpose: tests compare the two.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping

from attrs import frozen

from .plan import Plan
from .records import ImageDraft


@frozen(kw_only=True)
class Sample:
    """A store on disk and the answers that a reader of it must give. Ids are in store order."""

    graphroot: str
    runroot: str
    driver: str
    additional: str | None
    """The additional read-only store, if one was written."""
    images: tuple[str, ...]
    """All records of images.json, including lists and those of the additional store."""
    lists: tuple[str, ...]
    layers: int
    containers: tuple[str, ...]
    names: Mapping[str, str]
    """Name to id."""
    dangling: frozenset[str]
    """No name, no child, in no list by any digest."""
    podman_dangling: frozenset[str]
    """As podman 5.8 answers: it looks only for the record's own digest in lists."""
    intermediate: frozenset[str]
    parent: Mapping[str, str | None]
    """By podman's rule (libimage 1.2 and 1.3), the first match."""
    in_lists: Mapping[str, tuple[str, ...]]
    """Image id to the ids of the lists that name it by any digest; images in none are absent."""


def sample_of(plan: Plan, graphroot: str, runroot: str, driver: str, additional: str | None) -> Sample:
    """The facts of a plan."""
    drafts = [draft for store in plan.images for draft in store]
    lists = [draft for draft in drafts if draft.is_list]
    naming: defaultdict[str, dict[str, None]] = defaultdict(dict)
    for each in lists:
        for digest in each.listed:
            naming[digest][each.id] = None
    in_lists: dict[str, tuple[str, ...]] = {}
    for draft in drafts:
        found = {each: None for digest in draft.digests for each in naming.get(digest, ())}
        if found:
            in_lists[draft.id] = tuple(each.id for each in lists if each.id in found)
    parent, with_children = _kinship(drafts, {layer.id: layer.parent for store in plan.layers for layer in store})
    childless = [draft for draft in drafts if not draft.names and draft.id not in with_children]
    return Sample(
        graphroot=graphroot,
        runroot=runroot,
        driver=driver,
        additional=additional,
        images=tuple(draft.id for draft in drafts),
        lists=tuple(draft.id for draft in lists),
        layers=sum(map(len, plan.layers)),
        containers=tuple(container.id for container in plan.containers),
        names={name: draft.id for draft in reversed(drafts) for name in draft.names},
        dangling=frozenset(draft.id for draft in childless if draft.id not in in_lists),
        podman_dangling=frozenset(draft.id for draft in childless if draft.digest not in naming),
        intermediate=frozenset(draft.id for draft in drafts if not draft.names and draft.id in with_children),
        parent=parent,
        in_lists=in_lists,
    )


_History = tuple[tuple[int | None, str, str, str, bool], ...]


def _kinship(drafts: list[ImageDraft], below: dict[str, str | None]) -> tuple[dict[str, str | None], set[str]]:
    """The parent of each image, and the ids of all images that have a child."""
    by_place: defaultdict[tuple[str | None, _History], list[ImageDraft]] = defaultdict(list)
    for draft in drafts:
        if draft.recipe is not None:
            by_place[draft.recipe.top, _history(draft)].append(draft)
    parent: dict[str, str | None] = {}
    with_children: set[str] = set()
    for draft in drafts:
        parent.setdefault(draft.id, None)
        recipe = draft.recipe
        if recipe is None or not recipe.history:
            continue
        places = [recipe.top]
        if recipe.top is not None and below[recipe.top] is not None:
            places.append(below[recipe.top])
        matches = [
            other
            for place in places
            for other in by_place.get((place, _history(draft)[:-1]), ())
            if other.id != draft.id
            and other.recipe is not None
            and recipe.diff_ids[: len(other.recipe.diff_ids)] == other.recipe.diff_ids
        ]
        with_children.update(other.id for other in matches)
        parent[draft.id] = matches[0].id if matches else None
    return parent, with_children


def _history(draft: ImageDraft) -> _History:
    assert draft.recipe is not None
    return tuple(step.key for step in draft.recipe.history)
