"""Common ends by identity, beside the plain count of them."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from storaged.snapshot.growth import same_ends

POOL = [object() for _ in range(4)]
FEW = st.lists(st.sampled_from(POOL), max_size=8)


def plainly(before: list[object], now: list[object]) -> tuple[int, int]:
    shorter = min(len(before), len(now))
    first = next((at for at in range(shorter) if before[at] is not now[at]), shorter)
    last = next((at for at in range(shorter - first) if before[-1 - at] is not now[-1 - at]), shorter - first)
    return first, last


@given(FEW, FEW)
def test_of_short_ones(before: list[object], now: list[object]) -> None:
    assert same_ends(before, now) == plainly(before, now)


@given(FEW, FEW, st.integers(0, 3000), st.integers(0, 3000))
def test_of_long_ones_that_differ_in_the_middle(
    before: list[object], now: list[object], above: int, below: int
) -> None:
    head, tail = [POOL[0]] * above, [POOL[1]] * below
    one, other = [*head, *before, *tail], [*head, *now, *tail]
    assert same_ends(one, other) == plainly(one, other)
