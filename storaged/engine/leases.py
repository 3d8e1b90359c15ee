"""Leases: while one lasts, this daemon removes none of its images.

::

    lease     resolve names ─▶ take ────────────────────────────────▶ answered
                               │ one of them is being removed: wait until that is done, resolve again
    removal   plan, prepare ─▶ claim ─▶ commit ─▶ new snapshot ─▶ release
                               │ one of them is leased: decide again

Either ``take`` or ``claim`` comes first, whatever the threads do. So a lease that was answered before a removal
claimed its images holds; one that comes later waits and is then told that there is no such image.

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
"""Leases that one uid may hold at a time."""

IMAGES_PER_UID = 4096
"""Images in all leases of one uid; one in several leases counts several times."""

TOTAL = 1024
TOTAL_IMAGES = 8192
"""Of all users. Each lease that begins or ends costs the event loop time in proportion."""

LONGEST = 24 * 3600.0
"""Longest lease in seconds."""


class Held(Struct, frozen=True, kw_only=True, eq=False):
    """One lease. ``expires`` is on the clock of ``anyio.current_time``."""

    lease: str
    images: tuple[ImageID, ...]
    owner: object
    uid: int
    expires: float


class Leases:
    """All leases of this daemon. Belongs to the event loop, except ``claim`` and ``by_image``.

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
        """The leases of each leased image. Replaced whenever a lease begins or ends; any thread may read it."""

    def revise(self, *, per_uid: int, images_per_uid: int, total: int, total_images: int) -> None:
        """Apply these bounds from now on; existing leases stay."""
        self._per_uid = per_uid
        self._images_per_uid = images_per_uid
        self._total = total
        self._total_images = total_images

    def __len__(self) -> int:
        return len(self._held)

    def listen(self, listener: Callable[[], None]) -> None:
        """Call ``listener`` after each change."""
        self._listeners.append(listener)

    # -------------------------------------------------------------- leasing

    def take(
        self, images: Collection[ImageID], *, owner: object, uid: int, ttl: float, favoured: bool = False
    ) -> Held | None:
        """Lease images for ``ttl`` seconds; None if one of them is being removed: see ``settled``.

        The lease counts against ``uid``. An eighth of the total is reserved for ``favoured`` connections.

        Raises:
            TooManyRequests: this uid, or all users together, hold as much as they may.
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
        """Wait until no removal is under way."""
        while self._going:
            await self._free.wait()

    def release(self, lease: str, *, owner: object) -> None:
        """End a lease.

        Raises:
            LeaseUnknown: its owner has no such lease, or no longer.
        """
        held = self._held.get(lease)
        if held is None or held.owner is not owner:
            raise LeaseUnknown(
                f"this connection has no lease {lease[:64]!r}: it was released, has expired, or is another's",
                lease=lease[:64],
            )
        self._end([held])

    def end(self, owner: object) -> None:
        """End all leases of an owner that has gone."""
        self._end([held for held in self._held.values() if held.owner is owner])

    async def run(self) -> None:
        """End leases when they expire, until cancelled."""
        while True:
            self._wake = anyio.Event()
            now = anyio.current_time()
            self._end([held for held in self._held.values() if held.expires <= now])
            soonest = min((held.expires for held in self._held.values()), default=float("inf"))
            with anyio.move_on_after(soonest - now):
                await self._wake.wait()

    # -------------------------------------------------------------- removing

    def claim(self, images: Iterable[ImageID]) -> None:
        """Claim images for a removal unless one is leased; until ``yield_claim`` none can be. Callable from any thread.

        Raises:
            Leased: one is; ``images`` and ``leases`` say which.
        """
        wanted = frozenset(images)
        with self._mutex:
            kept = {image: self.by_image[image] for image in sorted(wanted & self.by_image.keys())}
            if not kept:
                self._going = wanted
                return
        some = ", ".join(f"{image[:12]} by lease {leases[0]}" for image, leases in list(kept.items())[:10])
        raise Leased(
            f"held by a lease: {some}; wait until its client releases it or disconnects",
            images=list(kept),
            leases=sorted({lease for leases in kept.values() for lease in leases}),
        )

    def yield_claim(self) -> None:
        """End the claim: the current snapshot shows the removal, or it did not happen."""
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
