"""Tokens of listings (four a uid, sixty seconds unused) and of plans (sixteen a uid, an hour): nobody else's."""

from __future__ import annotations

import anyio
import pytest
from trio.testing import MockClock

from storaged.engine.tokens import Bounds, Cursors, Plans, cursor_text
from storaged.metrics import Metrics
from storaged_client.contract.errors import GenerationGone, InvalidParams, PlanStale

pytestmark = pytest.mark.anyio


async def test_cursor_leads_back_to_its_listing() -> None:
    cursors: Cursors[str] = Cursors()
    token = cursors.keep(7, "listing")
    assert cursors.take(7, cursor_text(token, 20)) == (token, 20, "listing")


async def test_fifth_listing_of_a_uid_drops_its_oldest_and_nobody_elses() -> None:
    cursors: Cursors[str] = Cursors()
    other = cursors.keep(8, "other")
    tokens = [cursors.keep(7, str(number)) for number in range(Cursors.usual.per_uid + 1)]
    with pytest.raises(GenerationGone):
        cursors.take(7, cursor_text(tokens[0], 0))
    assert [cursors.take(7, cursor_text(token, 0))[2] for token in tokens[1:]] == ["1", "2", "3", "4"]
    assert cursors.take(8, cursor_text(other, 0))[2] == "other"


async def test_cursor_of_another_uid_is_unknown() -> None:
    cursors: Cursors[str] = Cursors()
    token = cursors.keep(7, "listing")
    with pytest.raises(GenerationGone):
        cursors.take(8, cursor_text(token, 0))


@pytest.mark.parametrize("text", ["", "x", "x.", "x.-1", "x.1e3", "x.٣", "x." + "9" * 13, ".5x"])
async def test_text_that_is_no_cursor_is_invalid(text: str) -> None:
    with pytest.raises(InvalidParams):
        Cursors[str]().take(7, text)


@pytest.mark.parametrize("anyio_backend", [("trio", {"clock": MockClock(autojump_threshold=0)})])
async def test_listing_unused_for_a_minute_is_gone_and_use_renews_it(anyio_backend: object) -> None:
    cursors: Cursors[str] = Cursors()
    used, unused = cursors.keep(7, "used"), cursors.keep(7, "unused")
    await anyio.sleep(Cursors.usual.seconds - 1)
    cursors.take(7, cursor_text(used, 0))
    await anyio.sleep(2)
    assert cursors.take(7, cursor_text(used, 0))[2] == "used"
    assert len(cursors) == 1
    with pytest.raises(GenerationGone):
        cursors.take(7, cursor_text(unused, 0))


async def test_a_plan_is_kept_for_its_uid_and_can_be_taken_more_than_once() -> None:
    plans: Plans[str] = Plans()
    text = plans.keep(7, "plan")
    assert (plans.take(7, text), plans.take(7, text)) == ("plan", "plan")
    for uid, asked in ((8, text), (7, "another"), (7, "")):
        with pytest.raises(PlanStale):
            plans.take(uid, asked)


async def test_a_plan_that_was_applied_is_no_limit_that_was_reached() -> None:
    metrics = Metrics()
    plans: Plans[str] = Plans(metrics, Bounds(per_uid=1, total=9, seconds=9))
    plans.take(7, looked_at := plans.keep(7, "applied"))
    plans.take(7, looked_at, apply=False)
    plans.take(7, plans.keep(7, "not applied"), apply=False)
    assert metrics.counters["limits.plans"] == 0
    plans.keep(7, "another")
    assert metrics.counters["limits.plans"] == 1


async def test_the_seventeenth_plan_of_a_uid_drops_its_oldest_and_nobody_elses() -> None:
    plans: Plans[str] = Plans()
    other = plans.keep(8, "other")
    texts = [plans.keep(7, str(number)) for number in range(Plans.usual.per_uid + 1)]
    with pytest.raises(PlanStale):
        plans.take(7, texts[0])
    assert [plans.take(7, text) for text in texts[1:]] == [str(number) for number in range(1, Plans.usual.per_uid + 1)]
    assert plans.take(8, other) == "other"


@pytest.mark.parametrize("anyio_backend", [("trio", {"clock": MockClock(autojump_threshold=0)})])
async def test_a_plan_ends_after_an_hour_however_often_it_is_taken(anyio_backend: object) -> None:
    plans: Plans[str] = Plans()
    text = plans.keep(7, "plan")
    await anyio.sleep(Plans.usual.seconds - 1)
    assert plans.take(7, text) == "plan"
    await anyio.sleep(2)
    assert len(plans) == 0
    with pytest.raises(PlanStale):
        plans.take(7, text)
