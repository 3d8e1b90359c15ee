"""The method table bound to its handlers; a method without a handler fails at import.

Most methods answer from one view of the store: readers. A few concern the daemon itself and must answer even when
the store cannot be read: stewards, which take the engine. Changers plan on a view of their own (``Call.change``); what
they answer is of the generation they made.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import Any

from anyio import get_cancelled_exc_class

from storaged.engine.change_scope import change_scope
from storaged.engine.transactions import Outcome
from storaged.errors import StoreError
from storaged.operations.naming import shortened
from storaged.service import containers, image_changes, images, layers, leasing, list_changes, manifests, server, store
from storaged.service.access import Access, audit, result_of, structure, target_of
from storaged.service.context import Call, Engine
from storaged.service.discover import document
from storaged.service.encoding import Encoded, encode_read, encode_value, encode_view
from storaged.service.errors import to_contract
from storaged.service.progress import Progress
from storaged.service.session import Session
from storaged_client.contract import types as t
from storaged_client.contract.errors import InvalidParams, MethodNotFound, StoragedError
from storaged_client.contract.methods import METHODS, Method
from storaged_client.contract.params import Common

_LONGEST_TOKEN = 200

Reader = Callable[[Call, Any], Awaitable[t.Result | Encoded]]
Steward = Callable[[Engine, Session, Common, Any, Progress], Awaitable[bytes]]
Changer = Callable[[Call, Any], Awaitable[Outcome[Any]]]
"""The result is a ``t.Result``; a dry run's view is ``call.view``."""

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
    "store.lease": leasing.lease,
}

_HOLDING = frozenset({"store.lease", "store.release"})
"""What takes effect though it changes nothing for others: it is never answered by ``unchanged``."""


async def _release(engine: Engine, session: Session, common: Common, params: Any, progress: Progress) -> bytes:
    return leasing.release(engine, session, params)


async def _info(engine: Engine, session: Session, common: Common, params: Any, progress: Progress) -> bytes:
    return await server.info(engine, session, common)


async def _ping(engine: Engine, session: Session, common: Common, params: Any, progress: Progress) -> bytes:
    return server.ping(engine, common)


async def _stats(engine: Engine, session: Session, common: Common, params: Any, progress: Progress) -> bytes:
    async with session.shares.threads:
        return await server.stats(engine, common)


async def _shutdown(engine: Engine, session: Session, common: Common, params: Any, progress: Progress) -> bytes:
    return server.shutdown(engine, session)


async def _refresh(engine: Engine, session: Session, common: Common, params: Any, progress: Progress) -> bytes:
    return await store.refresh(engine, common)


async def _check(engine: Engine, session: Session, common: Common, params: Any, progress: Progress) -> bytes:
    async with session.shares.checks:
        return await store.check(engine, params, progress)


_STEWARDS: dict[str, Steward] = {
    "server.info": _info,
    "server.ping": _ping,
    "server.stats": _stats,
    "server.shutdown": _shutdown,
    "store.refresh": _refresh,
    "store.check": _check,
    "store.release": _release,
}

_CHANGERS: dict[str, Changer] = {
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

_HANDLED = _READERS.keys() | _STEWARDS.keys() | _CHANGERS.keys()
if METHODS.keys() != _HANDLED:
    raise ImportError(f"methods without a handler, or the reverse: {METHODS.keys() ^ _HANDLED}")

_COUNTED = METHODS.keys() | {"rpc.discover"}
"""Methods with numbers of their own: what else a client may call shares those of ``unknown``."""

_log = logging.getLogger(__name__)


class Service:
    """Answers requests. One instance a daemon; any number of requests at once."""

    def __init__(self, engine: Engine, access: Access) -> None:
        self._engine = engine
        self._access = access

    async def handle(self, session: Session, method: str, params: object) -> bytes | list[bytes]:
        """The encoded ``result`` of one request, a long one in pieces to be joined.

        Raises:
            StoragedError: the answer is an error of the contract.
        """
        metrics = self._engine.metrics
        name = f"requests.{method if method in _COUNTED else 'unknown'}"
        failed = True
        began = time.perf_counter()
        try:
            with session.shares.answering():
                answer = await self._answer(session, method, params)
            failed = False
            return answer
        except StoreError as error:
            contracted = to_contract(error)
            metrics.add(f"errors.{contracted.name}")
            # With its traceback the cause has this frame, and so what is raised and all that was asked: a circle.
            raise contracted from error.with_traceback(None)
        except StoragedError as error:
            metrics.add(f"errors.{error.name}")
            raise
        finally:
            seconds = time.perf_counter() - began
            metrics.spend(name, seconds)
            if failed:
                metrics.add(f"{name}.errors")
            _log.debug("request method=%s seconds=%.6f failed=%s", method, seconds, failed)

    async def _answer(self, session: Session, method: str, params: object) -> bytes | list[bytes]:
        if method == "rpc.discover":
            return encode_value(document())
        row = METHODS.get(method)
        if row is None:
            short = shortened(method)
            raise MethodNotFound(f"there is no method {short!r}; rpc.discover lists all", {"method": short})
        if row.mutates:
            return await self._audited(session, row, params)
        common, structured = structure(row, params)
        if method in _HOLDING:
            _refuse_if_generation(common)
        with _progress(session, common) as progress:
            steward = _STEWARDS.get(method)
            if steward is not None:
                return await steward(self._engine, session, common, structured, progress)
            call = await self._call(session, common, progress)
            if common.if_generation is not None and common.if_generation == call.view.generation:
                return encode_view(t.Unchanged(), call.view)
            return encode_read(await _READERS[method](call, structured), call.view)

    async def _call(self, session: Session, common: Common, progress: Progress) -> Call:
        engine = self._engine
        engine.cursors.sweep()
        view = await engine.cache.view(common.consistency, common.timeout)
        return Call(session=session, common=common, view=view, engine=engine, progress=progress)

    async def _audited(self, session: Session, row: Method, params: object) -> bytes:
        """A mutation: one line in the log, whatever becomes of it."""
        target, word = "-", "InternalError"
        try:
            try:
                common, structured = structure(row, params)
                target = target_of(structured)
            finally:
                # Also before an error of the parameters: who may not change anything need not learn how it is done.
                self._access.check(session, row)
            _refuse_if_generation(common)
            with _progress(session, common) as progress:
                if row.name in _STEWARDS:
                    answer = await _STEWARDS[row.name](self._engine, session, common, structured, progress)
                    word = "ok"
                    return answer
                # Nothing may be awaited between the end of this scope and the answer: see its docstring.
                with change_scope():
                    outcome = await _CHANGERS[row.name](await self._call(session, common, progress), structured)
            word = result_of(outcome.result)
            return encode_view(outcome.result, outcome.view)
        except get_cancelled_exc_class():
            word = "RequestCancelled"
            raise
        except StoreError as error:
            word = to_contract(error).name
            raise
        except StoragedError as error:
            word = error.name
            raise
        finally:
            audit(session, row.name, target=target, result=word)


def _refuse_if_generation(common: Common) -> None:
    if common.if_generation is not None:
        raise InvalidParams("if_generation is for reading: leave it out", {"path": "$.if_generation"})


@contextmanager
def _progress(session: Session, common: Common) -> Iterator[Progress]:
    token = common.progress_token
    if isinstance(token, str) and len(token) > _LONGEST_TOKEN:
        text = f"progress_token may have at most {_LONGEST_TOKEN} characters: it comes back with every message"
        raise InvalidParams(text, {"path": "$.progress_token"})
    progress = Progress(session, token)
    try:
        yield progress
    finally:
        progress.end()
