"""The difference between two snapshots, by their records and contents."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Generic, TypeVar

from attrs import fields, frozen

from storaged.snapshot.model import Container, Image, Layer, Snapshot
from storaged.store.layout.records import ContainerID, ImageID, LayerID

_ID = TypeVar("_ID", bound=str)
_Item = TypeVar("_Item", Image, Layer, Container)


@frozen(kw_only=True)
class Changes(Generic[_ID]):
    """Ids that only one of the snapshots has, and ids whose record or content differs; each once."""

    added: tuple[_ID, ...] = ()
    removed: tuple[_ID, ...] = ()
    changed: tuple[_ID, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.added or self.removed or self.changed)


@frozen(kw_only=True)
class Difference:
    """``images`` are ordinary images only; one that became a list is removed there and added to ``lists``.

    ``changed`` means that a record or its content has changed, not a relation to others.
    """

    images: Changes[ImageID]
    lists: Changes[ImageID]
    layers: Changes[LayerID]
    containers: Changes[ContainerID]

    def __bool__(self) -> bool:
        return any(getattr(self, member.name) for member in fields(Difference))

    def summary(self) -> str:
        """One line for the log: ``images +1 -0 ~2, layers +3 -0 ~0``; ``nothing`` if nothing changed."""
        parts: list[str] = []
        for member in fields(Difference):
            changes = getattr(self, member.name)
            if changes:
                counts = (len(changes.added), len(changes.removed), len(changes.changed))
                parts.append("{} +{} -{} ~{}".format(member.name, *counts))
        return ", ".join(parts) or "nothing"


def difference(older: Snapshot, newer: Snapshot) -> Difference:
    """What was added, removed and changed. Linear, and cheap if little changed."""
    before, after = _middle(older.images, newer.images, _same_image)
    images, lists = (
        _changes(
            _by_id([image for image in before if image.is_list is kind]),
            _by_id([image for image in after if image.is_list is kind]),
            {key: True for key, image in older.by_id.items() if image.is_list is kind},
            {key: True for key, image in newer.by_id.items() if image.is_list is kind},
            _same_image,
        )
        for kind in (False, True)
    )
    old_layers, new_layers = _middle(older.layers, newer.layers, _same_row)
    old_containers, new_containers = _middle(older.containers, newer.containers, _same_row)
    return Difference(
        images=images,
        lists=lists,
        layers=_changes(_by_id(old_layers), _by_id(new_layers), older.layer_by_id, newer.layer_by_id, _same_row),
        containers=_changes(
            _by_id(old_containers), _by_id(new_containers), older.container_by_id, newer.container_by_id, _same_row
        ),
    )


def _same_image(one: Image, other: Image) -> bool:
    return one.store == other.store and one.record == other.record and one.content == other.content


def _same_row(one: Layer | Container, other: Layer | Container) -> bool:
    return one.store == other.store and one.volatile == other.volatile and one.record == other.record


def _middle(
    before: Sequence[_Item], after: Sequence[_Item], same: Callable[[_Item, _Item], bool]
) -> tuple[Sequence[_Item], Sequence[_Item]]:
    """Without the equal rows at both ends: most changes touch one row or append some."""
    shorter = min(len(before), len(after))
    start = 0
    while start < shorter and same(before[start], after[start]):
        start += 1
    end = 0
    while end < shorter - start and same(before[-1 - end], after[-1 - end]):
        end += 1
    return before[start : len(before) - end], after[start : len(after) - end]


def _by_id(items: Sequence[_Item]) -> dict[str, list[_Item]]:
    found: dict[str, list[_Item]] = {}
    for item in items:
        found.setdefault(item.id, []).append(item)
    return found


def _changes(
    before: Mapping[str, Sequence[_Item]],
    after: Mapping[str, Sequence[_Item]],
    known_before: Mapping[_ID, object],
    known_after: Mapping[_ID, object],
    same: Callable[[_Item, _Item], bool],
) -> Changes[_ID]:
    """``before`` and ``after`` are what differs; an id may be there twice, or be left at the ends as well."""
    added: list[_ID] = []
    removed: list[_ID] = []
    changed: list[_ID] = []
    for key in dict.fromkeys((*after, *before)):
        name: _ID = key  # type: ignore[assignment]
        if name not in known_before:
            added.append(name)
        elif name not in known_after:
            removed.append(name)
        else:
            old, new = before.get(key, ()), after.get(key, ())
            if len(old) != len(new) or not all(map(same, old, new)):
                changed.append(name)
    return Changes(added=tuple(added), removed=tuple(removed), changed=tuple(changed))
