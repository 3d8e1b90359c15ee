"""What may be sent again: the table at the head of ``retry``."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from storaged_client import ImageUnknown, OutcomeUnknown, ShuttingDown
from storaged_client.errors import ClientClosed
from storaged_client.retry import Again, Request, result_of

READ, MUTATION, UNKNOWN = "images.list", "images.tag", "images.melt"
ENDING = {"code": -32000, "message": "draining", "data": {"name": "ShuttingDown"}}
MISSING = {"code": 1001, "message": "nope", "data": {"name": "ImageUnknown"}}


def answer(**members: Any) -> Any:
    return SimpleNamespace(**{"lost": False, "sent": True, "result": None, "error": None, **members})


@pytest.mark.parametrize(
    ("method", "came", "closed", "raised"),
    [
        (READ, answer(lost=True, sent=False), False, Again),
        (MUTATION, answer(lost=True, sent=False), False, Again),
        (READ, answer(lost=True), False, Again),
        (MUTATION, answer(lost=True), False, OutcomeUnknown),
        (UNKNOWN, answer(lost=True), False, OutcomeUnknown),
        ("rpc.discover", answer(lost=True), False, Again),
        (READ, answer(lost=True), True, ClientClosed),
        (MUTATION, answer(lost=True), True, ClientClosed),
        (READ, answer(error=ENDING), False, Again),
        (MUTATION, answer(error=ENDING), False, ShuttingDown),
        (READ, answer(error=MISSING), False, ImageUnknown),
    ],
)
def test_what_came_of_a_request_says_whether_it_is_sent_again(
    method: str, came: Any, closed: bool, raised: type[Exception]
) -> None:
    with pytest.raises(raised):
        result_of(came, method, closed=closed)


def test_a_result_is_a_result_however_the_client_ended() -> None:
    assert result_of(answer(result=[1]), READ, closed=True) == [1]


def test_the_store_is_stated_by_name_only() -> None:
    store = {"graphroot": "/g"}
    assert Request("m").stating(store).params == {"store": store}
    assert Request("m", {"a": 1}).stating(store).params == {"store": store, "a": 1}
    assert Request("m", [1]).stating(store).params == [1]
    assert Request("m", {"a": 1}).stating(None).params == {"a": 1}
