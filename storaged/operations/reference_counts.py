"""Counts the remaining relations of images during a removal: children, and lists that name an image.

So chains of dangling ancestors, and the instances of removed lists, are found in one pass, in time linear in the
relations. ``dangling`` is the predicate of the snapshot, applied to what is left.

An id in two stores is removed only with its last record: the other is still a child, or still names its instances.
"""

from __future__ import annotations

from collections import Counter

from storaged.snapshot.model import Image, Snapshot
from storaged.store.layout.records import ImageID


class ReferenceCounts:
    """The relations of one snapshot, without those of removed images."""

    def __init__(self, snapshot: Snapshot) -> None:
        self.gone: dict[ImageID, Image] = {}
        """Removed images of the writable store, in order."""
        self._copies: Counter[ImageID] = Counter(image.id for image in snapshot.images)
        self._provable = snapshot.proven and not snapshot.evidence
        # Images that share their children share the tuple of them: counted once for all of them.
        self._families: dict[int, int] = {}
        self._families_of: dict[ImageID, list[int]] = {}
        self._parents: dict[int, list[Image]] = {}
        self._lists: dict[int, int] = {}
        self._instances: dict[ImageID, list[Image]] = {}
        self._named_by_themselves: set[ImageID] = set()
        for image in snapshot.images:
            if image.store == 0:
                self._enter(image)

    def leave(self, image: Image) -> tuple[list[Image], list[Image]]:
        """Remove an image; returns the images that now have no child, and those now in no list, in store order."""
        self.gone[image.id] = image
        self._copies[image.id] -= 1
        if self._copies[image.id]:
            return [], []
        childless: list[Image] = []
        for family in self._families_of.get(image.id, ()):
            self._families[family] -= 1
            if not self._families[family]:
                childless += self._parents[family]
        unlisted: list[Image] = []
        for instance in self._instances.get(image.id, ()):
            self._lists[id(instance)] -= 1
            if not self._lists[id(instance)]:
                unlisted.append(instance)
        return [i for i in childless if i.id not in self.gone], [i for i in unlisted if i.id not in self.gone]

    def dangling(self, image: Image) -> bool:
        """Whether an image of the writable store is dangling among the remaining ones."""
        return (
            self._provable
            and not (image.content.kin_in_doubt or image.possible_children)
            and not (image.names or self._families.get(id(image.children), 0) or self._lists.get(id(image), 0))
            and image.id not in self._named_by_themselves
        )

    def listed(self, image: Image) -> bool:
        """Whether another remaining list names it."""
        return bool(self._lists.get(id(image), 0))

    def is_left(self, image: ImageID) -> bool:
        """Whether a record with this id remains, in any store."""
        return self._copies[image] > 0 or (image not in self.gone and image not in self._copies)

    def _enter(self, image: Image) -> None:
        family = id(image.children)
        if image.children:
            if family not in self._families:
                self._families[family] = len(image.children)
                for child in image.children:
                    self._families_of.setdefault(child, []).append(family)
            self._parents.setdefault(family, []).append(image)
        if image.in_lists:
            others = [found for found in image.in_lists if found != image.id]
            if len(others) < len(image.in_lists):
                self._named_by_themselves.add(image.id)
            self._lists[id(image)] = len(others)
            for found in others:
                self._instances.setdefault(found, []).append(image)
