"""Daemons that leave out one look before they remove something: the check must find each of them out."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Literal

from attrs import evolve
from msgspec import structs

from storaged.engine.leases import Leases
from storaged.engine.tokens import Plans
from storaged.metrics import Metrics
from storaged.operations.pruning import PrunePlan
from storaged.store.files import Files
from storaged.store.layout.records import ImageID
from storaged.store.locks.record_lock import RecordLock
from storaged.store.stamp import Stamp
from storaged.store.tables import StoreLocation
from storaged.store.writing.prepared import Prepared
from storaged.store.writing.publishing import Publisher
from storaged.store.writing.reserve import Reserve

Mistake = Literal["none", "stamp", "evidence", "replaced", "leases", "plan"]

MISTAKES: tuple[Mistake, ...] = ("stamp", "evidence", "replaced", "leases", "plan")
"""What is not looked at: whether the tables are those of the plan; whether the lists are what was read of them, at
all or once more under the locks; whether something is leased by now; whether the plan listed it."""


class CarelessPublisher(Publisher):
    """Compares nothing with the stamp of the plan, or does not ask whether a list's manifest was replaced."""

    def __init__(
        self, location: StoreLocation, files: Files, metrics: Metrics, reserve: Reserve, mistake: Mistake
    ) -> None:
        super().__init__(location, files, metrics, reserve)
        self._mistake = mistake

    def check(self, prepared: Prepared, locks: Sequence[RecordLock]) -> None:
        super().check(evolve(prepared, evidence=()) if self._mistake == "replaced" else prepared, locks)

    def compare(self, planned: Stamp, locks: Sequence[str]) -> None:
        if self._mistake != "stamp":
            super().compare(planned, locks)


class DeafLeases(Leases):
    """Lets a removal have its images, whoever leases one."""

    def claim(self, images: Iterable[ImageID]) -> None:
        super().claim(set(images) - self.by_image.keys())


class GenerousPlans(Plans[PrunePlan]):
    """Forgets which images a plan listed."""

    def take(self, uid: int, text: str, *, apply: bool = True) -> PrunePlan:
        return structs.replace(super().take(uid, text, apply=apply), images=None)
