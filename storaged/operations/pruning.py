"""``images.prune``: decides which images are removed, which stay, and why; for a plan and for applying one.

::

    default          dangling images; then ancestors whose last child is removed, and instances only of removed lists
    all              every image without containers, except instances of lists that stay
    dangling=false   as all, of the images that are not dangling
    external         containers of other tools than podman are no reason to stay: they are removed, too

Always kept: images of additional stores, images with (podman's) containers, leased ones, and images and ancestors that
the user's filters do not select. While anything that may be a list cannot be read, nothing is removed.

Different from podman: filters apply to ancestors; a list's instances are removed in the same pass; with ``all``, too,
an image stays as long as its list does; unreadable evidence keeps everything.

Source: podman ``pkg/domain/infra/abi/images.go`` (Prune), libimage ``image.go`` (removeRecursive).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Collection, Iterator
from datetime import datetime
from itertools import islice
from typing import Final

from msgspec import Struct

from storaged.operations.filters import compile_filters
from storaged.operations.filters.language import FilterContext, divide
from storaged.operations.image_why import evidence_reasons, reasons
from storaged.operations.layer_gc import LayerGC
from storaged.operations.query_context import QueryContext
from storaged.operations.reference_counts import ReferenceCounts
from storaged.operations.removals import Batch, Removal, batch_change_set, within
from storaged.snapshot.model import Container, Image, Snapshot
from storaged.store.changes import ChangeSet
from storaged.store.layout.records import ImageID
from storaged_client.contract.params import Filter
from storaged_client.contract.types import Going, Kept, Reason, Untagged

_MOST_REASONS: Final = 10
"""The maximum number of reasons of one code that a report gives for one image."""

_MANY_REASONS: Final = 50_000
"""The number of reasons after which only one of each code is reported: a report covers every image and must stay small
enough to send."""

_KEEPING_ALL: Final = frozenset({"container", "lease", "read_only", "manifest_list", "unreadable_evidence"})
"""What keeps an image from ``all``: names and children do not."""


class Pruning(Struct, frozen=True, kw_only=True):
    """The request, and its time: durations of filters count back from ``now``, which is aware."""

    filters: tuple[Filter, ...] = ()
    all: bool = False
    external: bool = False
    now: datetime


class PrunePlan(Struct, frozen=True, kw_only=True):
    """The request of a dry run, and the images it listed, in their order."""

    asked: Pruning
    images: tuple[ImageID, ...]


def prune(
    snapshot: Snapshot,
    asked: Pruning,
    view: QueryContext,
    *,
    among: Collection[ImageID] | None = None,
    most: int | None = None,
) -> ChangeSet[Batch[ImageID]]:
    """Decide one batch.

    ``among`` are the images that an earlier decision would remove: no others are removed now. ``most`` limits the
    moves.

    Raises:
        InvalidParams: a filter is wrong.
    """
    decision = _Decision(snapshot, asked, view, among)
    removals = tuple(decision.removals())
    count = within((removal.moves for removal in removals), most)
    now, later = removals[:count], removals[count:]
    done = Batch(
        removals=now,
        untagged=tuple(Untagged(id=gone.image.id, name=name) for gone in now for name in gone.image.names),
        kept=tuple(decision.kept()),
        changed=tuple(decision.changed()),
        items=tuple(removal.image.id for removal in now),
        rest=tuple(removal.image.id for removal in later),
    )
    return batch_change_set(snapshot, done, judged=True)


class _Decision:
    def __init__(
        self, snapshot: Snapshot, asked: Pruning, view: QueryContext, among: Collection[ImageID] | None
    ) -> None:
        self._snapshot = snapshot
        self._view = view
        self._external = asked.external
        self._among = frozenset(among) if among is not None else None
        self._remaining = ReferenceCounts(snapshot)
        self._freeing = LayerGC(snapshot)
        self._readable = snapshot.proven and not snapshot.evidence
        query_context = FilterContext(snapshot=snapshot, view=view, now=asked.now)
        wanted = compile_filters(asked.filters, query_context).flags.get("dangling")
        self._dangling_only = wanted is True or (wanted is None and not asked.all)
        # Whether an image is dangling changes as images are removed; the other filters look at the image itself.
        others = [given for given in asked.filters if divide(given, "").key != "dangling"]
        self._tests: tuple[Callable[[Image], bool], ...] = compile_filters(others, query_context).tests
        self._not_dangling = wanted is False
        self._chosen: dict[int, bool] = {}
        self._told = 0

    # -------------------------------------------------------------- what goes

    def removals(self) -> Iterator[Removal]:
        """The removals in their order: the store's, an ancestor after its last child, an instance after its last
        list."""
        waiting = deque((image, self._first_reason(image)) for image in self._snapshot.images)
        while waiting:
            image, reason = waiting.popleft()
            if reason is None or not self._may_go(image):
                continue
            containers = self._containers(image)
            childless, unlisted = self._remaining.leave(image)
            yield Removal(
                image=image, reason=reason, freed=self._freeing.leave(image, containers), containers=containers
            )
            if self._dangling_only:
                waiting.extendleft((parent, _ancestor(image)) for parent in reversed(childless))
                waiting.extend((instance, _delisted(image)) for instance in unlisted)
            else:
                waiting.extend((instance, _UNUSED) for instance in unlisted)

    def _first_reason(self, image: Image) -> Going | None:
        if self._dangling_only:
            return _DANGLING if image.dangling else None
        return _UNUSED

    def _may_go(self, image: Image) -> bool:
        if image.id in self._remaining.gone or (self._among is not None and image.id not in self._among):
            return False
        if image.read_only or not self._readable or self._view.leases.get(image.id) or self._holding(image):
            return False
        held = not self._remaining.dangling(image) if self._dangling_only else self._remaining.listed(image)
        return not held and self._is_chosen(image)

    def _is_chosen(self, image: Image) -> bool:
        found = self._chosen.get(id(image))
        if found is None:
            found = all(test(image) for test in self._tests) and not (self._not_dangling and image.dangling)
            self._chosen[id(image)] = found
        return found

    def _holding(self, image: Image) -> bool:
        known = self._snapshot.container_by_id
        return any(not self._external or known[used_by].owner == "podman" for used_by in image.containers)

    def _containers(self, image: Image) -> tuple[Container, ...]:
        return tuple(self._snapshot.container_by_id[used_by] for used_by in image.containers)

    # -------------------------------------------------------------- what stays

    def kept(self) -> Iterator[Kept]:
        """The images that stay, with reasons; without those that an earlier decision kept and nothing else keeps."""
        for image in self._snapshot.images:
            if self._stays(image):
                found = self._why(image)
                if found and not (self._among is not None and image.id in self._among):
                    yield Kept(id=image.id, names=image.names, reasons=found)

    def changed(self) -> Iterator[Kept]:
        """The images that an earlier decision would have removed, and that stay now."""
        if self._among is None:
            return
        for image in self._snapshot.images:
            if image.store == 0 and image.id in self._among and self._stays(image):
                yield Kept(id=image.id, names=image.names, reasons=self._why(image))

    def _stays(self, image: Image) -> bool:
        return bool(image.store) or image.id not in self._remaining.gone

    def _why(self, image: Image) -> tuple[Reason, ...]:
        most = _MOST_REASONS if self._told < _MANY_REASONS else 1
        found = reasons(self._snapshot, image, self._view, is_left=self._remaining.is_left, most=most)
        if self._external:
            found = tuple(reason for reason in found if reason.code != "container" or reason.owner == "podman")
        if not self._dangling_only:
            found = tuple(reason for reason in found if reason.code in _KEEPING_ALL and reason.list != image.id)
            if not self._readable and not any(reason.code == "unreadable_evidence" for reason in found):
                found += tuple(islice(evidence_reasons(self._snapshot, image), most))
        self._told += len(found)
        if not found and not self._is_chosen(image):
            return (_FILTERED,)
        return found


_DANGLING: Final = Going(code="dangling", detail="no name, no child, and in no manifest list")
_UNUSED: Final = Going(code="unused", detail="no container uses it")
_FILTERED: Final = Reason(code="filtered", detail="a filter of this prune does not select it")


def _ancestor(child: Image) -> Going:
    return Going(
        code="ancestor",
        detail=f"no name, and {child.id[:12]}, its last child, is removed",
        image=child.id,
    )


def _delisted(gone: Image) -> Going:
    return Going(
        code="dangling",
        detail=f"no name, and {gone.id[:12]}, the last list that names it, is removed",
    )
