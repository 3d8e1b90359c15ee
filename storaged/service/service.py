"""One request, from its method and parameters to its encoded answer.

::

    begin   the snapshot is current, and this was asked of it before ..... the answer of then
            the snapshot is current, and the reader waits for nothing ... the answer, at once
            anything else ............................................... what waits for it, for a task of its own
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any, TypeAlias, TypeVar

from anyio import CancelScope, get_cancelled_exc_class
from anyio.to_thread import run_sync

from storaged.engine.change_scope import change_scope
from storaged.engine.response_cache import CacheKey, cache_key
from storaged.engine.views import View
from storaged.operations.name_lookup import shortened
from storaged.service.access import (
    Access,
    audit,
    audit_refused,
    audit_unbegun,
    removed_of,
    result_of,
    structure,
    target_of,
)
from storaged.service.context import Call, Engine
from storaged.service.discover import document
from storaged.service.encoding import Encoded, encode_read, encode_value, encode_view
from storaged.service.large_params import bulky
from storaged.service.later import Later, have, then
from storaged.service.paging import encode_change
from storaged.service.progress import Progress
from storaged.service.registry import CHANGERS, HERALDS, HOLDING, READERS, REPEATED, STEWARDS, Found
from storaged.service.request_metrics import RequestMetrics
from storaged.service.session import Session
from storaged_client.contract import types as t
from storaged_client.contract.errors import InvalidParams, MethodNotFound, NotPermitted, StoragedError, WrongStore
from storaged_client.contract.methods import METHODS, Method
from storaged_client.contract.params import Common
from storaged_client.contract.store import check_store
from storaged_client.contract.wire import is_own, split_store

Answer: TypeAlias = bytes | list[bytes]
"""An encoded ``result``, a long one in pieces to be joined."""

_LONGEST_TOKEN = 200

_LONG_TARGET = 64 << 10
"""Characters from which on a thread writes the line of a mutation."""

T = TypeVar("T")


class Service:
    """Answers requests. One instance a daemon; any number of requests at once."""

    def __init__(self, engine: Engine, access: Access) -> None:
        self._engine = engine
        self._access = access

    def begin(
        self, session: Session, method: str, params: object, descriptors: Sequence[int] = ()
    ) -> Answer | Later[Answer]:
        """Answer one request: at once, or by what is returned where something has to be waited for.

        ``descriptors`` came with it; they stay the caller's, who closes them when the answer is there.

        Raises:
            StoragedError: the answer is an error of the contract; what is returned raises it, too.
        """
        if type(params) is dict and "store" in params:
            params = self._of_this_store(session, method, params)
        if method in HERALDS or (method in READERS and method not in HOLDING):
            with RequestMetrics(self._engine.metrics, method) as attempt:
                answer = self._at_once(session, method, params)
                if answer is not None and not callable(answer):
                    return answer
                attempt.continued = True
                if answer is not None:
                    return partial(self._finish, session, method, answer)
        return partial(self._handle, session, method, params, descriptors)

    async def handle(self, session: Session, method: str, params: object, descriptors: Sequence[int] = ()) -> Answer:
        """``begin``, and the wait where there is one.

        Raises:
            StoragedError: as ``begin``.
        """
        return await have(self.begin(session, method, params, descriptors))

    # -------------------------------------------------------------- within

    def _of_this_store(self, session: Session, method: str, params: dict[str, Any]) -> dict[str, Any]:
        """The parameters without ``store``, which is the one served here.

        Raises:
            WrongStore: it is another. InvalidParams: it is none.
        """
        stated, rest = split_store(params)
        if stated is not None:
            try:
                check_store(stated, self._engine.served)
            except WrongStore as error:
                audit_unbegun(session, method, rest, error.name)
                raise
        return rest

    def _at_once(self, session: Session, method: str, params: object) -> Answer | Later[Answer] | None:
        """None: the view has to be waited for, progress is to be told, or the parameters are many."""
        if bulky(params):
            return None
        asked: CacheKey | None = None
        view: View | None = None
        if method in REPEATED and is_own(params):
            view = self._engine.cache.view_now()
            if view is None:
                return None
            asked = cache_key(view.context.number, method, params)
            known = view.rows.kept.find(asked) if asked is not None else None
            if known is not None:
                self._engine.metrics.add("answers.repeated")
                self._engine.cursors.sweep()
                return known
        common, structured = structure(METHODS[method], params)
        if common.progress_token is not None:
            return None
        if method in HERALDS:
            return HERALDS[method](self._engine, common)
        view = view or self._engine.cache.view_now(common.consistency)
        if view is None:
            return None
        return self._read(method, self._call(session, common, view, Progress(session, None), asked), structured)

    async def _finish(self, session: Session, method: str, answer: Later[Answer]) -> Answer:
        with RequestMetrics(self._engine.metrics, method), session.shares.answering():
            return await answer()

    async def _handle(self, session: Session, method: str, params: object, descriptors: Sequence[int]) -> Answer:
        with RequestMetrics(self._engine.metrics, method), session.shares.answering():
            return await self._answer(session, method, params, descriptors)

    async def _answer(self, session: Session, method: str, params: object, descriptors: Sequence[int]) -> Answer:
        if method == "rpc.discover":
            return encode_value(document())
        row = METHODS.get(method)
        if row is None:
            short = shortened(method)
            raise MethodNotFound(f"there is no method {short!r}; rpc.discover lists all", {"method": short})
        if row.mutates:
            return await self._audited(session, row, params, descriptors)
        common, structured = await self._of_many(session, params, partial(structure, row, params))
        if method in HOLDING:
            _refuse_if_generation(common)
        with _progress(session, common) as progress:
            if method in HERALDS:
                return HERALDS[method](self._engine, common)
            steward = STEWARDS.get(method)
            if steward is not None:
                return await steward(self._engine, session, common, structured, progress, self._access)
            view = await self._engine.cache.view(common.consistency, common.timeout)
            call = self._call(session, common, view, progress, _question(view, method, params))
            return await have(self._read(method, call, structured))

    async def _of_many(self, session: Session, params: object, work: Callable[[], T]) -> T:
        """Do it, in a thread where the parameters are many."""
        if not bulky(params):
            return work()
        async with session.shares.threads:
            return await run_sync(work, limiter=self._engine.blob_threads)

    def _call(
        self,
        session: Session,
        common: Common,
        view: View,
        progress: Progress,
        asked: CacheKey | None = None,
        descriptors: Sequence[int] = (),
    ) -> Call:
        self._engine.cursors.sweep()
        return Call(
            session=session,
            common=common,
            view=view,
            engine=self._engine,
            progress=progress,
            asked=asked,
            descriptors=descriptors,
        )

    def _read(self, method: str, call: Call, params: Any) -> Answer | Later[Answer]:
        if call.common.if_generation is not None and call.common.if_generation == call.view.generation:
            return encode_view(t.Unchanged(), call.view)

        found = READERS[method](call, params)
        return then(found, partial(_encoded, call))

    async def _audited(self, session: Session, row: Method, params: object, descriptors: Sequence[int]) -> Answer:
        """A mutation: one line in the log, whatever becomes of it."""

        def read() -> tuple[Common, Any, str]:
            common, structured = structure(row, params)
            return common, structured, target_of(structured, whole=self._access.may_mutate(session))

        target, word = "-", "InternalError"
        removed: list[str] = []
        answer: Answer
        try:
            try:
                if bulky(params):
                    self._access.check(session, row)
                common, structured, target = await self._of_many(session, params, read)
            finally:
                # Also before an error of the parameters: who may not change anything need not learn how it is done.
                self._access.check(session, row)
            _refuse_if_generation(common)
            with _progress(session, common) as progress:
                if row.name in STEWARDS:
                    steward = STEWARDS[row.name]
                    answer = await steward(self._engine, session, common, structured, progress, self._access)
                    word = "ok"
                    return answer
                # Nothing may be awaited between the end of this scope and the answer: see its docstring.
                with change_scope():
                    view = await self._engine.cache.view(common.consistency, common.timeout)
                    call = self._call(session, common, view, progress, descriptors=descriptors)
                    outcome = await CHANGERS[row.name](call, structured)
                    answer = await encode_change(outcome.result, outcome.view)
            word, removed = result_of(outcome.result), [*removed_of(structured, outcome.result)]
            return answer
        except get_cancelled_exc_class():
            word = "RequestCancelled"
            raise
        except StoragedError as error:
            word = error.name
            raise
        finally:
            if word == NotPermitted.__name__:
                audit_refused(session, row.name, target=target, result=word)
            elif len(target) <= _LONG_TARGET:
                audit(session, row.name, target=target, result=word, removed=removed)
            else:
                with CancelScope(shield=True):
                    await run_sync(partial(audit, session, row.name, target=target, result=word, removed=removed))


def _question(view: View, method: str, params: object) -> CacheKey | None:
    """None: its answer is not the same each time, or is of other than the current state."""
    if method not in REPEATED or view.stale is not None or not is_own(params) or bulky(params):
        return None
    return cache_key(view.context.number, method, params)


def _encoded(call: Call, found: Found) -> Answer:
    answer = encode_read(found, call.view)
    if call.asked is not None and (found.lasting if isinstance(found, Encoded) else True):
        call.view.rows.kept.keep(call.asked, answer)
    return answer


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
