"""``store.*``: structure, call, encode."""

from __future__ import annotations

from storaged.operations.usage import usage as usage_of
from storaged.service.context import Call, Engine
from storaged.service.encoding import Encoded, encode, encode_view, members
from storaged.service.progress import Progress
from storaged.store.checking.findings import Finding
from storaged_client.contract import params as p
from storaged_client.contract import types as t
from storaged_client.contract.errors import InvalidParams
from storaged_client.contract.params import Common

PATIENCE = 0.2
"""Seconds a reply waits for containers and volumes to be measured anew."""


async def usage(call: Call, params: p.NoParams) -> Encoded:
    """``store.usage``: what changes without any table is measured again first, as far as there is time.

    The answer is of the generation that knows these sizes.
    """
    cache, common = call.engine.cache, call.common
    await call.engine.sizes.renew(cache, PATIENCE)
    view = call.view
    if cache.generation != view.generation:
        view = await cache.view(common.consistency, common.timeout)
    snapshot = view.snapshot
    result = await call.in_thread(lambda: usage_of(snapshot))
    return Encoded(members=members(result), view=view)


async def refresh(engine: Engine, common: Common) -> bytes:
    """``store.refresh``: a reload whatever the stamp says."""
    view = await engine.cache.refresh(common.timeout)
    return encode_view(t.Unchanged() if common.if_generation == view.generation else t.Empty(), view)


async def check(engine: Engine, params: p.StoreCheck, progress: Progress, *, may_change: bool) -> bytes:
    """``store.check``: answers when the tables cannot be read, too; that is its first finding.

    ``may_change``: who asks may change the store, and gets a look of this moment.
    """
    if params.slice is not None and params.slice <= 0:
        raise InvalidParams("slice must be more than 0 seconds", path="$.slice")
    checked = await engine.checker.run(
        scope=params.scope,
        slice=params.slice,
        resume=params.resume,
        progress=lambda done, total: progress.tell(done, total, "units", "checking"),
        may_change=may_change,
    )
    report = t.CheckReport(
        findings=tuple(map(_finding, checked.findings)),
        done=checked.done,
        total=checked.total,
        resume=checked.resume,
        unsettled=checked.unsettled,
        notes=checked.notes,
        age=checked.age,
        begun=checked.begun,
    )
    return encode(report, engine.cache.generation, None)


def _finding(found: Finding) -> t.Finding:
    return t.Finding(
        name=found.name,
        severity=found.severity,
        kind=found.kind,
        id=found.id,
        store=found.store,
        file=found.file,
        detail=found.detail,
        endangers=found.endangers,
        images=found.images,
        mend=found.mend,
    )
