"""The method table bound to its handlers; a method without a handler fails at import.

Most methods answer from one view of the store: readers. A few concern the daemon itself and must answer even when
the store cannot be read: stewards, which take the engine. Changers plan on a view of their own (``Call.change``); what
they answer is of the generation they made.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any, TypeAlias

from storaged.engine.transactions import Outcome
from storaged.service import containers, image_changes, images, layers, leases, list_changes, manifests, server, store
from storaged.service.access import Access
from storaged.service.context import Call, Engine
from storaged.service.encoding import Encoded
from storaged.service.later import Later
from storaged.service.progress import Progress
from storaged.service.session import Session
from storaged_client.contract import types as t
from storaged_client.contract.methods import METHODS
from storaged_client.contract.params import Common

Found: TypeAlias = t.Result | Encoded
Reader = Callable[[Call, Any], Found | Later[Found]]
Steward = Callable[[Engine, Session, Common, Any, Progress, Access], Awaitable[bytes]]
Herald = Callable[[Engine, Common], bytes]
"""A steward that waits for nothing."""
Changer = Callable[[Call, Any], Awaitable[Outcome[Any]]]
"""The result is a ``t.Result``; a dry run's view is ``call.view``."""


def _waiting(read: Callable[[Call, Any], Awaitable[Found]]) -> Reader:
    """A reader that may have to wait whatever is asked."""
    return lambda call, params: partial(read, call, params)


_OF_THE_VIEW: dict[str, Reader] = {
    "images.list": images.list_images,
    "images.exists": images.exists,
    "images.resolve": images.resolve,
    "images.why": images.why,
    "images.relations": images.relations,
    "images.tree": images.tree,
    "layers.list": layers.list_layers,
    "layers.get": layers.get,
    "layers.tree": layers.tree,
    "manifests.list": manifests.list_manifests,
    "manifests.get": manifests.get,
    "manifests.exists": manifests.exists,
    "manifests.referenced": manifests.referenced,
    "containers.list": containers.list_containers,
}
"""Made of the view and the parameters alone, by nobody's leave and at no cost to anybody."""

READERS: dict[str, Reader] = {
    **_OF_THE_VIEW,
    "images.get": _waiting(images.get),
    "images.history": _waiting(images.history),
    "images.data": _waiting(images.data),
    "store.usage": _waiting(store.usage),
    "store.lease": _waiting(leases.lease),
}

REPEATED = frozenset(_OF_THE_VIEW)
"""The same question of the same view has the same answer, unless that says otherwise (``Encoded.lasting``)."""

HOLDING = frozenset(name for name, row in METHODS.items() if row.holds)
"""What takes effect though it changes nothing for others: it is never answered by ``unchanged``."""


async def _release(
    engine: Engine, session: Session, common: Common, params: Any, progress: Progress, access: Access
) -> bytes:
    return leases.release(engine, session, params)


async def _info(
    engine: Engine, session: Session, common: Common, params: Any, progress: Progress, access: Access
) -> bytes:
    return await server.info(engine, session, common)


async def _stats(
    engine: Engine, session: Session, common: Common, params: Any, progress: Progress, access: Access
) -> bytes:
    async with session.shares.threads:
        return await server.stats(engine, common)


async def _shutdown(
    engine: Engine, session: Session, common: Common, params: Any, progress: Progress, access: Access
) -> bytes:
    return server.shutdown(engine, session)


async def _refresh(
    engine: Engine, session: Session, common: Common, params: Any, progress: Progress, access: Access
) -> bytes:
    return await store.refresh(engine, common)


async def _check(
    engine: Engine, session: Session, common: Common, params: Any, progress: Progress, access: Access
) -> bytes:
    async with session.shares.checks:
        return await store.check(engine, params, progress, may_change=access.may_mutate(session))


HERALDS: dict[str, Herald] = {
    "server.ping": server.ping,
}

STEWARDS: dict[str, Steward] = {
    "server.info": _info,
    "server.stats": _stats,
    "server.shutdown": _shutdown,
    "store.refresh": _refresh,
    "store.check": _check,
    "store.release": _release,
}

CHANGERS: dict[str, Changer] = {
    "images.tag": image_changes.tag,
    "images.untag": image_changes.untag,
    "images.remove": image_changes.remove_images,
    "images.prune": image_changes.prune_images,
    "images.create": list_changes.create_image,
    "manifests.create": list_changes.create,
    "manifests.add": list_changes.add,
    "manifests.annotate": list_changes.annotate,
    "manifests.remove_instance": list_changes.remove_instance,
    "manifests.remove": list_changes.remove,
}

_HANDLED = READERS.keys() | HERALDS.keys() | STEWARDS.keys() | CHANGERS.keys()
if METHODS.keys() != _HANDLED:
    raise ImportError(f"methods without a handler, or the reverse: {METHODS.keys() ^ _HANDLED}")
