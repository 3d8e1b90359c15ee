"""Handlers of ``images.tag``, ``untag``, ``remove`` and ``prune``."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from datetime import datetime
from typing import Any

from attrs import evolve
from msgspec import structs

from storaged.engine.transactions import Outcome
from storaged.operations import tagging
from storaged.operations.pruning import PrunePlan, Pruning, prune
from storaged.operations.removal_request import RequestedName, everything
from storaged.operations.removals import MOST_MOVES, Batch, Refusal
from storaged.operations.removing import Removing, remove
from storaged.service.context import Call
from storaged.service.params import MOST_NAMES, refuse_many
from storaged.service.removal_batches import Report, carry_out
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
    named = await _requested(call, names) if names is not None else None

    def decide(
        snapshot: Snapshot,
        items: Sequence[RequestedName] | None,
        gone: Collection[ImageID],
        most: int | None = MOST_MOVES,
    ) -> ChangeSet[Batch[RequestedName]]:
        wanted = items if items is not None else everything(snapshot)
        return remove(snapshot, wanted, asked, call.engine.query_context, most=most, gone=gone)

    if dry_run:
        return Outcome(
            result=await call.in_thread(lambda: _reported(decide(call.view.snapshot, named, (), None).result)),
            view=call.view,
        )
    return await carry_out(
        call,
        decide,
        first=named,
        refusal=lambda item, error: Refusal(id=item.image, name=item.name, error=error),
        narrower=lambda item: None if item.alone else structs.replace(item, alone=True),
    )


async def _requested(call: Call, names: Sequence[str]) -> tuple[RequestedName, ...]:
    def requested() -> tuple[RequestedName, ...]:
        return tuple(RequestedName(name=name) for name in names)

    return await call.in_thread(requested) if len(names) > MOST_NAMES else requested()


async def prune_images(call: Call, params: p.ImagesPrune) -> Outcome[t.PruneReport]:
    """``images.prune``. ``dry_run`` keeps the decision as a plan; ``plan`` applies or, with ``dry_run``, shows one."""
    plans, session = call.engine.plans, call.session
    uid = session.credentials.uid
    if params.plan is not None:
        if params != p.ImagesPrune(plan=params.plan, dry_run=params.dry_run):
            raise InvalidParams(
                "a plan is applied as it was made: it takes no other parameter than dry_run", path="$.plan"
            )
        kept = plans.take(uid, params.plan, apply=not params.dry_run)
        if not params.dry_run:
            return await _carry_out_prune(call, kept.asked, kept.images)
        return await _dry_run(call, kept.asked, kept.images, lambda _: params.plan)
    asked = Pruning(filters=params.filters, all=params.all, external=params.external, now=datetime.now().astimezone())
    if not params.dry_run:
        return await _carry_out_prune(call, asked, None)

    def keep(images: tuple[ImageID, ...]) -> str | None:
        return (
            plans.keep(uid, PrunePlan(asked=asked, images=images), session.account)
            if call.view.snapshot.proven
            else None
        )

    return await _dry_run(call, asked, None, keep)


async def _dry_run(
    call: Call,
    asked: Pruning,
    listed: tuple[ImageID, ...] | None,
    keep: Callable[[tuple[ImageID, ...]], str | None],
) -> Outcome[t.PruneReport]:
    """Report what would be removed now, only of ``listed`` if given; ``keep`` keeps those images as a plan."""
    snapshot = call.view.snapshot

    def decide() -> tuple[t.PruneReport, tuple[ImageID, ...]]:
        done = prune(snapshot, asked, call.query_context, among=listed).result
        return _reported(done), done.items

    report, images = await call.in_thread(decide)
    return Outcome(result=evolve(report, plan=keep(images)), view=call.view)


def _reported(done: Batch[Any]) -> t.PruneReport:
    report: Report[Any] = Report()
    report.add(done)
    return report.made()


async def _carry_out_prune(call: Call, asked: Pruning, listed: tuple[ImageID, ...] | None) -> Outcome[t.PruneReport]:
    def refusal(item: ImageID, error: StoragedError) -> Refusal:
        return Refusal(id=item, name=None, error=error)

    return await carry_out(
        call,
        lambda snapshot, items, gone: prune(snapshot, asked, call.engine.query_context, among=items, most=MOST_MOVES),
        first=listed,
        refusal=refusal,
        narrower=lambda item: None,
    )


def reading(call: Call) -> tagging.Read:
    """A function for decisions that reads checked big data of an image; they run in a thread."""
    source = call.engine.content

    def read(image: Image, key: str) -> bytes:
        return source.blob(image.record, image.store, key, ITEM_LIMIT)

    return read
