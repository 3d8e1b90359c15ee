"""Plans of dry runs: sixteen a uid, an hour, nobody else's."""

from __future__ import annotations

import anyio
import pytest
from trio.testing import MockClock

from storaged.engine.plans import PER_UID, SECONDS, Plans
from storaged.metrics import Metrics
from storaged_client.contract.errors import PlanStale

pytestmark = pytest.mark.anyio


async def test_a_plan_is_kept_for_its_uid_and_can_be_taken_more_than_once() -> None:
    plans: Plans[str] = Plans()
    text = plans.keep(7, "plan")
    assert (plans.take(7, text), plans.take(7, text)) == ("plan", "plan")
    for uid, asked in ((8, text), (7, "another"), (7, "")):
        with pytest.raises(PlanStale):
            plans.take(uid, asked)


async def test_a_plan_that_was_applied_is_no_limit_that_was_reached() -> None:
    metrics = Metrics()
    plans: Plans[str] = Plans(metrics, per_uid=1)
    plans.take(7, looked_at := plans.keep(7, "applied"))
    plans.take(7, looked_at, apply=False)
    plans.take(7, plans.keep(7, "not applied"), apply=False)
    assert metrics.counters["limits.plans"] == 0
    plans.keep(7, "another")
    assert metrics.counters["limits.plans"] == 1


async def test_the_seventeenth_plan_of_a_uid_drops_its_oldest_and_nobody_elses() -> None:
    plans: Plans[str] = Plans()
    other = plans.keep(8, "other")
    texts = [plans.keep(7, str(number)) for number in range(PER_UID + 1)]
    with pytest.raises(PlanStale):
        plans.take(7, texts[0])
    assert [plans.take(7, text) for text in texts[1:]] == [str(number) for number in range(1, PER_UID + 1)]
    assert plans.take(8, other) == "other"


@pytest.mark.parametrize("anyio_backend", [("trio", {"clock": MockClock(autojump_threshold=0)})])
async def test_a_plan_ends_after_an_hour_however_often_it_is_taken(anyio_backend: object) -> None:
    plans: Plans[str] = Plans()
    text = plans.keep(7, "plan")
    await anyio.sleep(SECONDS - 1)
    assert plans.take(7, text) == "plan"
    await anyio.sleep(2)
    assert len(plans) == 0
    with pytest.raises(PlanStale):
        plans.take(7, text)
