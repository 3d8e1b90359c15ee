"""Handlers of ``store.*`` and ``containers.*``."""

from __future__ import annotations

from functools import partial

from storaged.engine.transactions import Outcome
from storaged.operations import container_list
from storaged.operations.usage import usage as usage_of
from storaged.service.context import Call
from storaged.store.checking.findings import Finding
from storaged_client.contract import params as p
from storaged_client.contract import types as t
from storaged_client.contract.errors import InvalidParams

PATIENCE = 0.2
"""Seconds that ``store.usage`` waits for containers and volumes to be measured again."""


def list_containers(call: Call, params: p.NoParams) -> t.ContainerList:
    """``containers.list``."""
    return container_list.list_containers(call.view.snapshot)


async def usage(call: Call, params: p.NoParams) -> Outcome[t.StoreUsage]:
    """``store.usage``: measures first what changes without any table, as far as there is time.

    The answer is of the generation that has these sizes.
    """
    cache, common = call.engine.cache, call.common
    await call.engine.sizes.renew(cache, PATIENCE)
    view = call.view
    if cache.generation != view.generation:
        view = await cache.view(common.consistency, common.timeout)
    return Outcome(result=await call.in_thread(partial(usage_of, view.snapshot)), view=view)


async def refresh(call: Call, params: p.NoParams) -> Outcome[t.Result]:
    """``store.refresh``: reloads whatever the stamp says."""
    view = await call.engine.cache.refresh(call.common.timeout)
    unchanged = call.common.if_generation == view.generation
    return Outcome(result=t.Unchanged() if unchanged else t.Empty(), view=view)


async def check(call: Call, params: p.StoreCheck) -> t.CheckReport:
    """``store.check``: answers even if the tables cannot be read; that is its first finding.

    A peer that may change the store gets a result of this moment.
    """
    if params.slice is not None and params.slice <= 0:
        raise InvalidParams("slice must be more than 0 seconds", path="$.slice")
    async with call.session.shares.checks:
        checked = await call.engine.checker.run(
            scope=params.scope,
            slice=params.slice,
            resume=params.resume,
            progress=lambda done, total: call.progress.tell(done, total, "units", "checking"),
            may_change=call.may_change,
        )
    return t.CheckReport(
        findings=tuple(map(_finding, checked.findings)),
        done=checked.done,
        total=checked.total,
        resume=checked.resume,
        unsettled=checked.unsettled,
        notes=checked.notes,
        age=checked.age,
        begun=checked.begun,
    )


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
