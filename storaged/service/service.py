"""One request, from its method and parameters to its encoded answer.

::

    begin   the snapshot is current, and was asked the same before ... the kept answer
            the view is there, and the handler does not wait ......... the answer, at once
            anything else ............................................ an async function, for a task of its own
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, TypeVar

from anyio.to_thread import run_sync

from storaged.engine.cancellation import change_scope
from storaged.engine.response_cache import CacheKey, cache_key
from storaged.engine.transactions import Outcome
from storaged.engine.views import Staleness, View
from storaged.operations.name_lookup import shortened
from storaged.service.access import Access, audit_unbegun, audited, target_of
from storaged.service.context import Call, Engine, Waiting
from storaged.service.discover import document
from storaged.service.encoding import Answer, Encoded, Found, encode, encode_in_turns, encode_value
from storaged.service.params import bulky, structure
from storaged.service.progress import Progress
from storaged.service.registry import HANDLERS, Handler
from storaged.service.request_metrics import RequestMetrics
from storaged.service.session import Session
from storaged_client.contract import types as t
from storaged_client.contract.errors import InvalidParams, MethodNotFound, NotPermitted, WrongStore
from storaged_client.contract.store import check_store
from storaged_client.contract.wire import is_own, split_store

T = TypeVar("T")


class Service:
    """Answers requests. One instance a daemon; any number of requests at once."""

    def __init__(self, engine: Engine, access: Access) -> None:
        self._engine = engine
        self._access = access

    def begin(
        self, session: Session, method: str, params: object, descriptors: Sequence[int] = ()
    ) -> Answer | Waiting[Answer]:
        """Answer one request at once, or return an async function that answers it if that takes a wait.

        ``descriptors`` came with it; the caller closes them when the answer is there.

        Raises:
            StoragedError: the answer is an error of the contract; the async function raises it, too.
        """
        if type(params) is dict and "store" in params:
            params = self._of_this_store(session, method, params)
        with RequestMetrics(self._engine.metrics, method) as stretch:
            answer = self._begin(session, method, params, descriptors)
            if not callable(answer):
                return answer
            stretch.continued = True
        return partial(self._in_task, session, method, answer)

    async def handle(self, session: Session, method: str, params: object, descriptors: Sequence[int] = ()) -> Answer:
        """Answer one request, and wait if necessary.

        Raises:
            StoragedError: as ``begin``.
        """
        answer = self.begin(session, method, params, descriptors)
        return await answer() if callable(answer) else answer

    # -------------------------------------------------------------- within

    def _of_this_store(self, session: Session, method: str, params: dict[str, Any]) -> dict[str, Any]:
        """The parameters without ``store``, which must be the store served here.

        Raises:
            WrongStore: it is another one. InvalidParams: it is malformed.
        """
        stated, rest = split_store(params)
        if stated is not None:
            try:
                check_store(stated, self._engine.served)
            except WrongStore as error:
                audit_unbegun(session, method, rest, error.name)
                raise
        return rest

    async def _in_task(self, session: Session, method: str, answer: Waiting[Answer]) -> Answer:
        with RequestMetrics(self._engine.metrics, method), session.shares.answering():
            return await answer()

    def _begin(
        self, session: Session, method: str, params: object, descriptors: Sequence[int]
    ) -> Answer | Waiting[Answer]:
        handler = HANDLERS.get(method)
        if handler is None:
            return _of_no_handler(method)
        if handler.method.mutates:
            return partial(self._change, session, handler, params, descriptors)
        if bulky(params):
            return partial(self._read_many, session, handler, params)
        self._engine.cursors.sweep()
        view: View | None = None
        key: CacheKey | None = None
        if handler.repeats and is_own(params):
            view = self._engine.cache.view_now()
            if view is not None:
                key = cache_key(view.context.number, method, params)
                known = view.rows.kept.find(key) if key is not None else None
                if known is not None:
                    self._engine.metrics.add("answers.repeated")
                    return known
        call, own = self._call(session, handler, params)
        if handler.waits or call.common.progress_token is not None:
            return partial(self._read, handler, call, own)
        if handler.reads:
            view = view or self._engine.cache.view_now(call.common.consistency)
            if view is None:
                return partial(self._read, handler, call, own)
            call.current, call.key = view, key
        found = _found(handler, call, own)
        if callable(found):
            return partial(self._finish, call, found)
        return self._kept(call, found, encode(*self._origin(call, found)))

    def _call(
        self, session: Session, handler: Handler, params: object, descriptors: Sequence[int] = ()
    ) -> tuple[Call, Any]:
        """The request with its common parameters, and the method's own parameters.

        Raises:
            InvalidParams: one is wrong or unknown.
        """
        common, own = structure(handler.method, params)
        if common.if_generation is not None and (handler.method.mutates or handler.method.holds):
            raise InvalidParams("if_generation is only for reads: leave it out", path="$.if_generation")
        call = Call(
            session=session,
            engine=self._engine,
            access=self._access,
            common=common,
            asked=params,
            progress=Progress(session, common.progress_token),
            descriptors=descriptors,
        )
        return call, own

    async def _off_loop(self, session: Session, params: object, work: Callable[[], T]) -> T:
        """Do it, in a thread if there are many parameters."""
        if not bulky(params):
            return work()
        async with session.shares.threads:
            return await run_sync(work, limiter=self._engine.blob_threads)

    async def _read_many(self, session: Session, handler: Handler, params: object) -> Answer:
        call, own = await self._off_loop(session, params, partial(self._call, session, handler, params))
        return await self._read(handler, call, own)

    async def _read(self, handler: Handler, call: Call, own: Any) -> Answer:
        return await self._finish(call, partial(self._ask, handler, call, own))

    async def _change(self, session: Session, handler: Handler, params: object, descriptors: Sequence[int]) -> Answer:
        """Answer a mutation, which is logged whatever happens."""
        name = handler.method.name
        try:
            # Checked before the parameters: a peer that may not change anything need not learn how it is done.
            self._access.check(session, handler.method)
        except NotPermitted as error:
            audit_unbegun(session, name, None if bulky(params) else params, error.name)
            raise

        def read() -> tuple[Call, Any, str]:
            call, own = self._call(session, handler, params, descriptors)
            return call, own, target_of(own)

        async with audited(session, name) as entry:
            call, own, entry.target = await self._off_loop(session, params, read)
            # Nothing may be awaited between the end of this scope and the answer: see its docstring.
            with change_scope():
                result, generation, stale = self._origin(call, await self._ask(handler, call, own))
                answer = await encode_in_turns(result, generation, stale)
            entry.succeed(own, result)
            return answer

    async def _ask(self, handler: Handler, call: Call, own: Any) -> Found:
        """Wait for a view if the handler needs one, and for the handler."""
        try:
            if handler.reads:
                view = call.current = await self._engine.cache.view(call.common.consistency, call.common.timeout)
                if handler.repeats and view.stale is None and is_own(call.asked):
                    call.key = cache_key(view.context.number, handler.method.name, call.asked)
            found = _found(handler, call, own)
            return await found() if callable(found) else found
        finally:
            call.progress.end()

    async def _finish(self, call: Call, waiting: Waiting[Found]) -> Answer:
        found = await waiting()
        return self._kept(call, found, await encode_in_turns(*self._origin(call, found)))

    def _origin(self, call: Call, found: Found) -> tuple[t.Result | Encoded, str, Staleness | None]:
        """The result, with the generation and staleness of the view that it was made from."""
        if isinstance(found, Outcome):
            return found.result, found.view.generation, found.view.stale
        view = found.view if isinstance(found, Encoded) and found.view is not None else call.current
        if view is None:
            return found, self._engine.cache.generation, None
        return found, view.generation, view.stale

    def _kept(self, call: Call, found: Found, answer: Answer) -> Answer:
        if call.key is not None and (found.lasting if isinstance(found, Encoded) else True):
            call.view.rows.kept.keep(call.key, answer)
        return answer


def _of_no_handler(method: str) -> Answer:
    if method == "rpc.discover":
        return encode_value(document())
    short = shortened(method)
    raise MethodNotFound(f"there is no method {short!r}; rpc.discover lists all", {"method": short})


def _found(handler: Handler, call: Call, own: Any) -> Found | Waiting[Found]:
    known = call.common.if_generation
    if handler.reads and known is not None and known == call.view.generation:
        return t.Unchanged()
    return handler.run(call, own)
