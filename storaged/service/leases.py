"""Handlers of ``store.lease`` and ``store.release``: this daemon removes no image that a client leases."""

from __future__ import annotations

import time
from collections.abc import Iterator
from functools import partial
from typing import cast

import anyio

from storaged.engine.leases import LONGEST, Held
from storaged.engine.transactions import Outcome
from storaged.engine.views import View
from storaged.operations.change_target import itself
from storaged.service.context import Call
from storaged.service.params import refuse_many
from storaged.snapshot.model import Image
from storaged.store.layout.records import ImageID
from storaged_client.contract import params as p
from storaged_client.contract import types as t
from storaged_client.contract.errors import InvalidParams, StoreBusy
from storaged_client.times import NANOSECONDS, rfc3339


async def lease(call: Call, params: p.StoreLease) -> Outcome[t.Lease]:
    """``store.lease``; the name of a manifest list means the list and all its images in the store.

    Raises:
        InvalidParams: no image is named, or the time is not allowed.
        ImageUnknown, AmbiguousName, InvalidName: of any name; nothing is leased then.
        TooManyRequests: this uid has as many leases as it may.
        StoreBusy: a removal of one of the images did not end in time.
    """
    if not params.images:
        raise InvalidParams("name the images to protect", path="$.images")
    refuse_many(params.images, "$.images")
    if not 0 < params.ttl <= LONGEST:
        raise InvalidParams(f"ttl must be more than 0 and at most {LONGEST:.0f} seconds", path="$.ttl")
    held = _take(call, params)
    with anyio.move_on_after(call.common.timeout):
        while held is None:
            await call.engine.leases.settled()
            await call.engine.cache.pending_readback.over()
            held = _take(call, params)
    if held is None:
        raise StoreBusy("one of the images is being removed, which did not finish in time; try again")
    expires = rfc3339(*divmod(time.time_ns() + int(params.ttl * NANOSECONDS), NANOSECONDS))
    result = t.Lease(lease=held.lease, images=held.images, expires=cast("t.Timestamp", expires))
    return Outcome(result=result, view=call.engine.cache.known())


def release(call: Call, params: p.StoreRelease) -> Outcome[t.Empty]:
    """``store.release``, without reading the store.

    Raises:
        LeaseUnknown: this connection has no such lease.
    """
    call.engine.leases.release(params.lease, owner=call.session)
    return Outcome(result=t.Empty(), view=call.engine.cache.known())


def _take(call: Call, params: p.StoreLease) -> Held | None:
    """Resolve and take without an await, on the current snapshot, which must show every finished removal of ours.

    None if it does not, or if a removal is under way.
    """
    if call.engine.cache.pending_readback.lasts:
        return None
    leases, view = call.engine.leases, call.engine.cache.known()
    images = dict.fromkeys(image for name in params.images for image in _meant(view, name))
    session = call.session
    taken = leases.take(tuple(images), owner=session, uid=session.account, ttl=params.ttl, favoured=session.favoured)
    if taken is not None:
        # Keep nothing of the call: it refers to a whole snapshot.
        call.session.at_end(leases, partial(leases.end, call.session))
    return taken


def _meant(view: View, name: str) -> Iterator[ImageID]:
    image = itself(view.snapshot, name, view.context.query_context).image
    yield image.id
    yield from (instance.id for instance in _instances(view, image))


def _instances(view: View, image: Image) -> Iterator[Image]:
    manifest = image.content.manifest
    if manifest is not None and manifest.is_list:
        for entry in manifest.instances:
            yield from view.snapshot.by_digest.get(entry.digest, ())
