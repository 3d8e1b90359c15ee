"""Handlers of ``images.tag``, ``untag``, ``remove`` and ``prune``."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from datetime import datetime
from functools import partial

from attrs import evolve, frozen
from msgspec import structs

from storaged.engine.transactions import Outcome
from storaged.operations import tagging
from storaged.operations.pruning import PrunePlan, Pruning, prune
from storaged.operations.removal_request import RequestedName, everything
from storaged.operations.removals import Batch, Refusal
from storaged.operations.removing import Removing, remove
from storaged.service.context import Call, Engine
from storaged.service.params import MOST_NAMES, refuse_many
from storaged.service.removal_batches import Item, Report, carry_out
from storaged.snapshot.model import Image, Snapshot
from storaged.store.changes import ChangeSet
from storaged.store.content import ITEM_LIMIT
from storaged.store.layout.records import ImageID
from storaged_client.contract import params as p
from storaged_client.contract import types as t
from storaged_client.contract.errors import InvalidParams, StoragedError


async def tag(call: Call, params: p.ImagesTag) -> Outcome[t.Tagged]:
    """``images.tag``; a list's name means the list."""
    if not params.tags:
        raise InvalidParams("give at least one name", path="$.tags")
    refuse_many(params.tags, "$.tags")
    return await call.change(
        lambda snapshot: tagging.tag(snapshot, params.name, params.tags, call.engine.query_context, reading(call))
    )


async def untag(call: Call, params: p.ImagesUntag) -> Outcome[t.Tagged]:
    """``images.untag``."""
    refuse_many(params.tags, "$.tags")
    return await call.change(
        lambda snapshot: tagging.untag(snapshot, params.name, params.tags, call.engine.query_context, reading(call))
    )


async def remove_images(call: Call, params: p.ImagesRemove) -> Outcome[t.PruneReport]:
    """``images.remove``: what cannot be removed is listed in ``failed``; the rest is removed."""
    if params.all and params.names:
        raise InvalidParams("with all, no image may be named", path="$.names")
    if not params.all and not params.names:
        raise InvalidParams("image name or ID must be specified", path="$.names")
    asked = Removing(force=params.force, ignore=params.ignore, no_prune=params.no_prune)
    return await remove_names(call, None if params.all else params.names, asked, dry_run=params.dry_run)


async def remove_names(
    call: Call, names: Sequence[str] | None, asked: Removing, *, dry_run: bool = False
) -> Outcome[t.PruneReport]:
    """Remove these, or every image of the writable store."""
    removal = _NamedRemoval(call.engine, asked)
    named: Sequence[RequestedName] | None = None
    if names is not None:
        named = await call.in_thread(partial(_requested, names)) if len(names) > MOST_NAMES else _requested(names)
    if not dry_run:
        return await carry_out(call, removal, named)
    decide = partial(removal.decide, call.view.snapshot, named, (), None)
    report, _ = await call.in_thread(partial(_dry_run, decide))
    return Outcome(result=report, view=call.view)


async def prune_images(call: Call, params: p.ImagesPrune) -> Outcome[t.PruneReport]:
    """``images.prune``. ``dry_run`` keeps the decision as a plan; ``plan`` applies or, with ``dry_run``, shows one."""
    plans, session, snapshot = call.engine.plans, call.session, call.view.snapshot
    uid = session.credentials.uid
    plan, listed = params.plan, None
    if plan is None:
        now = datetime.now().astimezone()
        asked = Pruning(filters=params.filters, all=params.all, external=params.external, now=now)
    elif params != p.ImagesPrune(plan=plan, dry_run=params.dry_run):
        raise InvalidParams("a plan is applied as it was made: it takes no other parameter than dry_run", path="$.plan")
    else:
        kept = plans.take(uid, plan, apply=not params.dry_run)
        asked, listed = kept.asked, kept.images
    if not params.dry_run:
        return await carry_out(call, _Prune(call.engine, asked), listed)
    decide = partial(prune, snapshot, asked, call.query_context, among=listed)
    report, images = await call.in_thread(partial(_dry_run, decide))
    if plan is None and snapshot.proven:
        plan = plans.keep(uid, PrunePlan(asked=asked, images=images), session.account)
    return Outcome(result=evolve(report, plan=plan), view=call.view)


@frozen
class _NamedRemoval:
    """The removal of images by name, or of all."""

    engine: Engine
    asked: Removing

    def decide(
        self,
        snapshot: Snapshot,
        items: Sequence[RequestedName] | None,
        gone: Collection[ImageID],
        most: int | None,
    ) -> ChangeSet[Batch[RequestedName]]:
        wanted = items if items is not None else everything(snapshot)
        return remove(snapshot, wanted, self.asked, self.engine.query_context, most=most, gone=gone)

    def refusal(self, item: RequestedName, error: StoragedError) -> Refusal:
        return Refusal(id=item.image, name=item.name, error=error)

    def narrower(self, item: RequestedName) -> RequestedName | None:
        return None if item.alone else structs.replace(item, alone=True)


@frozen
class _Prune:
    """The removal of what a prune lets go."""

    engine: Engine
    asked: Pruning

    def decide(
        self, snapshot: Snapshot, items: Sequence[ImageID] | None, gone: Collection[ImageID], most: int | None
    ) -> ChangeSet[Batch[ImageID]]:
        return prune(snapshot, self.asked, self.engine.query_context, among=items, most=most)

    def refusal(self, item: ImageID, error: StoragedError) -> Refusal:
        return Refusal(id=item, name=None, error=error)

    def narrower(self, item: ImageID) -> None:
        return None


def _requested(names: Sequence[str]) -> tuple[RequestedName, ...]:
    return tuple(RequestedName(name=name) for name in names)


def _dry_run(decide: Callable[[], ChangeSet[Batch[Item]]]) -> tuple[t.PruneReport, tuple[Item, ...]]:
    """The report of a decision that is not carried out, and the items that it would remove."""
    done = decide().result
    report: Report[Item] = Report()
    report.add(done)
    return report.made(), done.items


def reading(call: Call) -> tagging.Read:
    """A function for decisions that reads checked big data of an image; they run in a thread."""
    source = call.engine.content

    def read(image: Image, key: str) -> bytes:
        return source.blob(image.record, image.store, key, ITEM_LIMIT)

    return read
