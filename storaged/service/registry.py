"""The method table bound to its handlers; a method without a handler fails at import.

Most methods answer from one view of the store. A few concern the daemon itself and must answer even when
the store cannot be read: they take the engine.
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from typing import Any

from storaged.errors import StoreError
from storaged.operations.naming import shortened
from storaged.service import containers, images, layers, manifests, server, store
from storaged.service.access import Access
from storaged.service.context import Call, Engine
from storaged.service.discover import document
from storaged.service.encoding import Encoded, encode_value, encode_view
from storaged.service.errors import to_contract
from storaged.service.session import Session
from storaged_client.contract import types as t
from storaged_client.contract import wire
from storaged_client.contract.errors import InvalidParams, MethodNotFound, StoragedError
from storaged_client.contract.methods import METHODS
from storaged_client.contract.params import Common

Reader = Callable[[Call, Any], Awaitable[t.Result | Encoded]]
Steward = Callable[[Engine, Session, Common, Any], Awaitable[bytes]]

_READERS: dict[str, Reader] = {
    "images.list": images.list_images,
    "images.get": images.get,
    "images.exists": images.exists,
    "images.resolve": images.resolve,
    "images.why": images.why,
    "images.relations": images.relations,
    "images.history": images.history,
    "images.tree": images.tree,
    "images.data": images.data,
    "layers.list": layers.list_layers,
    "layers.get": layers.get,
    "layers.tree": layers.tree,
    "manifests.list": manifests.list_manifests,
    "manifests.get": manifests.get,
    "manifests.exists": manifests.exists,
    "manifests.referenced": manifests.referenced,
    "containers.list": containers.list_containers,
    "store.usage": store.usage,
}


async def _info(engine: Engine, session: Session, common: Common, params: Any) -> bytes:
    return await server.info(engine, common)


async def _ping(engine: Engine, session: Session, common: Common, params: Any) -> bytes:
    return server.ping(engine)


async def _stats(engine: Engine, session: Session, common: Common, params: Any) -> bytes:
    return await server.stats(engine)


async def _shutdown(engine: Engine, session: Session, common: Common, params: Any) -> bytes:
    return server.shutdown(engine, session)


async def _refresh(engine: Engine, session: Session, common: Common, params: Any) -> bytes:
    return await store.refresh(engine, common)


async def _check(engine: Engine, session: Session, common: Common, params: Any) -> bytes:
    return await store.check(engine, params)


_STEWARDS: dict[str, Steward] = {
    "server.info": _info,
    "server.ping": _ping,
    "server.stats": _stats,
    "server.shutdown": _shutdown,
    "store.refresh": _refresh,
    "store.check": _check,
}

if METHODS.keys() != _READERS.keys() | _STEWARDS.keys():
    raise ImportError(
        f"methods without a handler, or the reverse: {METHODS.keys() ^ (_READERS.keys() | _STEWARDS.keys())}"
    )


class Service:
    """Answers requests. One instance a daemon; any number of requests at once."""

    def __init__(self, engine: Engine, access: Access) -> None:
        self._engine = engine
        self._access = access

    async def handle(self, session: Session, method: str, params: object) -> bytes:
        """The encoded ``result`` of one request.

        Raises:
            StoragedError: the answer is an error of the contract.
        """
        engine = self._engine
        began = time.perf_counter()
        try:
            return await self._answer(session, method, params)
        except StoreError as error:
            engine.metrics.add(f"errors.{type(error).__name__}")
            raise to_contract(error) from error
        except StoragedError as error:
            engine.metrics.add(f"errors.{error.name}")
            raise
        finally:
            engine.metrics.spend(f"requests.{method if method in METHODS else 'unknown'}", time.perf_counter() - began)

    async def _answer(self, session: Session, method: str, params: object) -> bytes:
        engine = self._engine
        if method == "rpc.discover":
            return encode_value(document())
        row = METHODS.get(method)
        if row is None:
            short = shortened(method)
            raise MethodNotFound(f"there is no method {short!r}; rpc.discover lists all", {"method": short})
        if params is not None and not isinstance(params, dict | list):
            raise InvalidParams("params must be an object or an array", {"path": "$"})
        common, own = wire.split_common(params)
        structured: Any = wire.structure_params(row.params, own)
        self._access.check(session, row)
        steward = _STEWARDS.get(method)
        if steward is not None:
            return await steward(engine, session, common, structured)
        view = await engine.cache.view(common.consistency, common.timeout)
        if common.if_generation is not None and common.if_generation == view.snapshot.generation:
            return encode_view(t.Unchanged(), view)
        call = Call(session=session, common=common, view=view, engine=engine)
        return encode_view(await _READERS[method](call, structured), view)
