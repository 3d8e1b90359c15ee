"""Which of the kept things go where one more is to be kept: first of the account that has most of them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import TypeVar

Name = TypeVar("Name")


def crowded(kept: Iterable[tuple[Name, int, bool]], account: int, *, of_account: int, total: int) -> list[Name]:
    """The names to be dropped before ``account`` gets one more; ``kept`` is oldest first: name, account, used up.

    Of its own as many as are over ``of_account``. Then, where ``total`` is reached, of the account that has most,
    which may be another one: so who has few keeps them, however many accounts there are. What is used up goes first.
    """
    left = sorted(kept, key=lambda one: not one[2])
    counts = Counter(owner for _, owner, _ in left)
    counts[account] += 1
    gone: list[Name] = []
    while counts[account] > of_account or counts.total() > total:
        most = account if counts[account] > of_account else max(counts, key=lambda owner: counts[owner])
        at = next((at for at, (_, owner, _) in enumerate(left) if owner == most), None)
        if at is None:
            break  # nothing but the new one
        gone.append(left.pop(at)[0])
        counts[most] -= 1
    return gone
