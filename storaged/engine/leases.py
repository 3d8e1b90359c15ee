"""Images that somebody is about to use: no removal of ours takes them while the lease lasts.

::

    lease     resolve names ─▶ take ────────────────────────────────▶ answered
                               │ one of them is just being removed: wait for the end of that, resolve again
    removal   plan, prepare ─▶ claim ─▶ commit ─▶ new snapshot ─▶ release
                               │ one of them is leased: plan again

Of ``take`` and ``claim`` one comes first, whatever the threads do. So a lease that was answered before a removal
claimed its images holds, and one that comes later waits and is then told that there is no such image.

A lease ends with its connection, its time or its release, whichever is first.
"""

from __future__ import annotations

import secrets
import threading
from collections.abc import Callable, Collection, Iterable, Mapping

import anyio
from msgspec import Struct

from storaged.metrics import Metrics
from storaged.store.layout.records import ImageID
from storaged_client.contract.errors import Leased, LeaseUnknown, TooManyRequests

PER_UID = 256
"""Leases that one uid may have at a time."""

IMAGES_PER_UID = 4096
"""Images in all leases of one uid, each time counted."""

TOTAL = 1024
TOTAL_IMAGES = 8192
"""Of all together. Each lease that comes or goes costs the event loop as much as there are."""

LONGEST = 24 * 3600.0
"""Seconds that a lease may last."""


class Held(Struct, frozen=True, kw_only=True, eq=False):
    """One lease. ``expires`` is on the clock of ``anyio.current_time``."""

    lease: str
    images: tuple[ImageID, ...]
    owner: object
    uid: int
    expires: float


class Leases:
    """All leases of this daemon. Belongs to the event loop, but for ``claim`` and ``by_image``.

    ``run`` must be running for leases to end by time.
    """

    def __init__(
        self,
        metrics: Metrics,
        *,
        per_uid: int = PER_UID,
        images_per_uid: int = IMAGES_PER_UID,
        total: int = TOTAL,
        total_images: int = TOTAL_IMAGES,
    ) -> None:
        self._metrics = metrics
        self.revise(per_uid=per_uid, images_per_uid=images_per_uid, total=total, total_images=total_images)
        self._mutex = threading.Lock()
        self._held: dict[str, Held] = {}
        self._going: frozenset[ImageID] = frozenset()
        self._listeners: list[Callable[[], None]] = []
        self._wake = anyio.Event()
        self._free = anyio.Event()
        self.by_image: Mapping[ImageID, tuple[str, ...]] = {}
        """The leases of each leased image. A new value whenever one comes or goes; may be read by any thread."""

    def revise(self, *, per_uid: int, images_per_uid: int, total: int, total_images: int) -> None:
        """Grant by these bounds from now on; what is held stays."""
        self._per_uid = per_uid
        self._images_per_uid = images_per_uid
        self._total = total
        self._total_images = total_images

    def __len__(self) -> int:
        return len(self._held)

    def listen(self, listener: Callable[[], None]) -> None:
        """Have ``listener`` called after each change."""
        self._listeners.append(listener)

    # -------------------------------------------------------------- leasing

    def take(
        self, images: Collection[ImageID], *, owner: object, uid: int, ttl: float, favoured: bool = False
    ) -> Held | None:
        """Hold images for ``ttl`` seconds; None where one of them is being removed: see ``settled``.

        It counts as ``uid``'s. Who is not ``favoured`` leaves an eighth of what there is in all to those who are.

        Raises:
            TooManyRequests: this uid holds as much as it may, or all together do.
        """
        self._check(len(images), uid)
        self._check_all(len(images), favoured=favoured)
        held = Held(
            lease=secrets.token_hex(6),
            images=tuple(dict.fromkeys(images)),
            owner=owner,
            uid=uid,
            expires=anyio.current_time() + ttl,
        )
        with self._mutex:
            if not self._going.isdisjoint(held.images):
                return None
            self._held[held.lease] = held
            self._publish()
        self._metrics.add("leases.taken")
        self._tell()
        return held

    async def settled(self) -> None:
        """Wait until nothing is being removed."""
        while self._going:
            await self._free.wait()

    def release(self, lease: str, *, owner: object) -> None:
        """End a lease.

        Raises:
            LeaseUnknown: its owner has none of this name, or not any more.
        """
        held = self._held.get(lease)
        if held is None or held.owner is not owner:
            raise LeaseUnknown(
                f"this connection has no lease {lease[:64]!r}: it was released, its time is over, or it is another's",
                lease=lease[:64],
            )
        self._end([held])

    def end(self, owner: object) -> None:
        """End all leases of an owner that is gone."""
        self._end([held for held in self._held.values() if held.owner is owner])

    async def run(self) -> None:
        """End leases when their time is over, until cancelled."""
        while True:
            self._wake = anyio.Event()
            now = anyio.current_time()
            self._end([held for held in self._held.values() if held.expires <= now])
            soonest = min((held.expires for held in self._held.values()), default=float("inf"))
            with anyio.move_on_after(soonest - now):
                await self._wake.wait()

    # -------------------------------------------------------------- removing

    def claim(self, images: Iterable[ImageID]) -> None:
        """Let a removal have these images, if nobody leases one; until ``yield_claim`` nobody can. From any thread.

        Raises:
            Leased: somebody does; ``images`` and ``leases`` say which.
        """
        wanted = frozenset(images)
        with self._mutex:
            kept = {image: self.by_image[image] for image in sorted(wanted & self.by_image.keys())}
            if not kept:
                self._going = wanted
                return
        some = ", ".join(f"{image[:12]} by lease {leases[0]}" for image, leases in list(kept.items())[:10])
        raise Leased(
            f"held by a lease: {some}; wait until its client releases it or goes",
            images=list(kept),
            leases=sorted({lease for leases in kept.values() for lease in leases}),
        )

    def yield_claim(self) -> None:
        """The removal is over: it shows in the current snapshot, or it did not happen."""
        if not self._going:
            return
        with self._mutex:
            self._going = frozenset()
        free, self._free = self._free, anyio.Event()
        free.set()

    # -------------------------------------------------------------- within

    def _check(self, images: int, uid: int) -> None:
        mine = [held for held in self._held.values() if held.uid == uid]
        more = images + sum(len(held.images) for held in mine)
        what, limit = ("leases", self._per_uid) if len(mine) >= self._per_uid else ("images", self._images_per_uid)
        if what == "leases" or more > limit:
            self._metrics.add("limits.leases" if what == "leases" else "limits.leased_images")
            raise TooManyRequests(
                f"a user may lease at most {self._per_uid} times and {self._images_per_uid} images: release some first",
                what=f"leased {what}" if what == "images" else what,
                limit=limit,
            )

    def _check_all(self, images: int, *, favoured: bool) -> None:
        room = 0 if favoured else 1
        leases, most = self._total - room * (self._total // 8), self._total_images - room * (self._total_images // 8)
        if len(self._held) >= leases:
            self._metrics.add("limits.total_leases")
            raise TooManyRequests(
                f"all users together may lease at most {leases} times: wait for some to be released",
                what="leases",
                limit=leases,
            )
        if images + sum(len(held.images) for held in self._held.values()) > most:
            self._metrics.add("limits.total_leased_images")
            raise TooManyRequests(
                f"all users together may lease at most {most} images: wait for some to be released",
                what="leased images",
                limit=most,
            )

    def _end(self, over: Collection[Held]) -> None:
        if not over:
            return
        with self._mutex:
            for held in over:
                del self._held[held.lease]
            self._publish()
        self._metrics.add("leases.ended", len(over))
        self._tell()

    def _publish(self) -> None:
        by_image: dict[ImageID, list[str]] = {}
        for held in self._held.values():
            for image in held.images:
                by_image.setdefault(image, []).append(held.lease)
        self.by_image = {image: tuple(leases) for image, leases in by_image.items()}

    def _tell(self) -> None:
        self._wake.set()
        for listener in self._listeners:
            listener()
