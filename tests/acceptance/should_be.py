"""What a store should hold after each change: names, parents, lists and containers, by the rules alone.

A slow model that shares nothing with the daemon: it looks at every image at every question. It knows parents because
it is told what an image was built on, and containers because it is told of each.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from attrs import define, field, frozen


@define(kw_only=True)
class Entry:
    """One image in a manifest list: what was said of it."""

    architecture: str = "amd64"
    annotations: dict[str, str] = field(factory=dict)


@define(kw_only=True)
class Known:
    """One image. ``names`` are the newest first; ``entries`` is None for what is no manifest list."""

    id: str
    names: list[str] = field(factory=list)
    digest: str = ""
    parent: str | None = None
    diff_ids: tuple[str, ...] = ()
    entries: dict[str, Entry] | None = None
    containers: set[str] = field(factory=set)


@frozen(kw_only=True)
class Gone:
    """What a removal should report."""

    removed: frozenset[str]
    untagged: frozenset[tuple[str, str]]
    failed: tuple[str, ...] = ()


@define
class Model:
    """The images in the order of the store."""

    images: dict[str, Known] = field(factory=dict)

    def add(self, image: Known) -> None:
        """A new image; names that others bear are taken from them."""
        names, image.names = image.names, []
        self.images[image.id] = image
        self.give(image.id, reversed(names))

    def give(self, image: str, names: Iterator[str] | Sequence[str]) -> list[tuple[str, str]]:
        """Names put in front, one after the other; returns what was taken, from whom."""
        taken = []
        for name in names:
            for other in self.images.values():
                if name in other.names:
                    other.names.remove(name)
                    if other.id != image:
                        taken.append((name, other.id))
            self.images[image].names.insert(0, name)
        return taken

    def take(self, image: str, names: Sequence[str]) -> None:
        for name in names:
            self.images[image].names.remove(name)

    @property
    def plain(self) -> list[Known]:
        return [image for image in self.images.values() if image.entries is None]

    @property
    def lists(self) -> list[Known]:
        return [image for image in self.images.values() if image.entries is not None]

    def listed(self, image: Known) -> bool:
        return any(image.digest in (found.entries or ()) for found in self.lists if found is not image)

    def dangling(self, image: Known) -> bool:
        """No name, no child, in no list."""
        children = any(found.parent == image.id for found in self.images.values())
        return not (image.names or children or self.listed(image))

    def remove(self, names: Sequence[str], *, force: bool, no_prune: bool) -> Gone:
        """One after the other, each by a name or an id; those that are not known must not be in it.

        What went as an ancestor of an earlier one is done.
        """
        removed: list[str] = []
        untagged: list[tuple[str, str]] = []
        failed = []
        for name in names:
            if name in removed:
                continue
            image = self.images.get(name) or self._named(name)
            by_name = name != image.id
            if by_name and len(image.names) > 1:
                self.take(image.id, [name])
                untagged.append((image.id, name))
            elif not by_name and len(image.names) > 1 and not force:
                failed.append("MultipleNames")
            elif image.containers and not force:
                failed.append("ImageInUse")
            else:
                untagged += [(image.id, borne) for borne in image.names]
                removed += self._leave(image, force=force, alone=no_prune)
        return Gone(removed=frozenset(removed), untagged=frozenset(untagged), failed=tuple(failed))

    def prune(self, *, everything: bool = False, external: bool = False) -> Gone:
        """Again and again until nothing more goes."""
        removed: list[str] = []
        untagged: list[tuple[str, str]] = []
        while True:
            going = [
                image
                for image in self.images.values()
                if (external or not image.containers)
                and (not self.listed(image) if everything else self.dangling(image))
            ]
            if not going:
                return Gone(removed=frozenset(removed), untagged=frozenset(untagged))
            for image in going:
                untagged += [(image.id, name) for name in image.names]
                removed.append(image.id)
                del self.images[image.id]

    def _leave(self, image: Known, *, force: bool, alone: bool) -> list[str]:
        del self.images[image.id]
        parent = self.images.get(image.parent or "")
        if alone or parent is None or not self.dangling(parent) or (parent.containers and not force):
            return [image.id]
        return [image.id, *self._leave(parent, force=force, alone=False)]

    def _named(self, name: str) -> Known:
        (found,) = [image for image in self.images.values() if name in image.names]
        return found
