"""Pinned listings: four a uid, sixty seconds unused, nobody else's."""

from __future__ import annotations

import anyio
import pytest
from trio.testing import MockClock

from storaged.engine.cursors import PER_UID, UNUSED_SECONDS, Cursors, cursor_text
from storaged_client.contract.errors import GenerationGone, InvalidParams

pytestmark = pytest.mark.anyio


async def test_cursor_leads_back_to_its_listing() -> None:
    cursors: Cursors[str] = Cursors()
    token = cursors.pin(7, "listing")
    assert cursors.take(7, cursor_text(token, 20)) == (token, 20, "listing")


async def test_fifth_listing_of_a_uid_drops_its_oldest_and_nobody_elses() -> None:
    cursors: Cursors[str] = Cursors()
    other = cursors.pin(8, "other")
    tokens = [cursors.pin(7, str(number)) for number in range(PER_UID + 1)]
    with pytest.raises(GenerationGone):
        cursors.take(7, cursor_text(tokens[0], 0))
    assert [cursors.take(7, cursor_text(token, 0))[2] for token in tokens[1:]] == ["1", "2", "3", "4"]
    assert cursors.take(8, cursor_text(other, 0))[2] == "other"


async def test_cursor_of_another_uid_is_unknown() -> None:
    cursors: Cursors[str] = Cursors()
    token = cursors.pin(7, "listing")
    with pytest.raises(GenerationGone):
        cursors.take(8, cursor_text(token, 0))


@pytest.mark.parametrize("text", ["", "x", "x.", "x.-1", "x.1e3", "x.٣", "x." + "9" * 13, ".5x"])
async def test_text_that_is_no_cursor_is_invalid(text: str) -> None:
    with pytest.raises(InvalidParams):
        Cursors[str]().take(7, text)


@pytest.mark.parametrize("anyio_backend", [("trio", {"clock": MockClock(autojump_threshold=0)})])
async def test_listing_unused_for_a_minute_is_gone_and_use_renews_it(anyio_backend: object) -> None:
    cursors: Cursors[str] = Cursors()
    used, unused = cursors.pin(7, "used"), cursors.pin(7, "unused")
    await anyio.sleep(UNUSED_SECONDS - 1)
    cursors.take(7, cursor_text(used, 0))
    await anyio.sleep(2)
    assert cursors.take(7, cursor_text(used, 0))[2] == "used"
    assert len(cursors) == 1
    with pytest.raises(GenerationGone):
        cursors.take(7, cursor_text(unused, 0))
