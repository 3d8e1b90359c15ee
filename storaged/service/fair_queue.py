"""Fair queueing of busy connections for the event loop: one step of one connection in each turn of the loop.

::

    sparse connection   waits for its answers: four requests begin as they come, two in each turn of the loop
    busy connection     has more in its socket, or does not read: it queues, and gets two requests, or one piece of a
                        long answer, in each turn of the loop
                        accounts take turns, and the connections of one account among themselves

A busy connection becomes sparse again when its socket is empty and its peer has read all answers. If the peer has not,
or caused more work than its turns allowed, it has to wait until all that are in the queue have had their turn. So a
sparse connection waits for one step of one busy connection, however many there are (sparse flows go before bulk flows,
as in RFC 8290).
"""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Callable
from typing import Final

import anyio
from anyio.lowlevel import checkpoint

REQUEST: Final = 8
"""The cost of a request; a refused text costs a quarter, receiving some bytes an eighth."""
SELDOM: Final = 4 * REQUEST
"""The credit of a sparse connection."""
STEP: Final = 2 * REQUEST
"""One turn in the queue. Passing it on costs as much as a ping."""


class FairQueue:
    """The queue of busy connections. Belongs to the event loop."""

    def __init__(self) -> None:
        self._queues: OrderedDict[int, deque[Callable[[], bool]]] = OrderedDict()
        self._taken = False
        """Whether a connection has the turn; it passes it on after one turn of the event loop."""

    async def turn(self, account: int) -> None:
        """Wait for a turn: every task outside the queue runs once before, and those that queued earlier."""
        if not self._taken:
            self._taken = True
            try:
                await checkpoint()
            finally:
                self._pass_on()
            return
        mine = anyio.Event()
        gone = False

        def take() -> bool:
            if not gone:
                mine.set()
            return not gone

        self._stand(account, take)
        try:
            await mine.wait()
        except BaseException:
            gone = True
            if mine.is_set():
                self._pass_on()
            raise
        self._pass_on()

    def after_round(self, account: int, refill: Callable[[], None]) -> None:
        """Call ``refill`` when all that queue now have had a turn; at once if the queue is empty."""
        if not self._taken:
            refill()
            return

        def take() -> bool:
            refill()
            return False

        self._stand(account, take)

    def _stand(self, account: int, take: Callable[[], bool]) -> None:
        self._queues.setdefault(account, deque()).append(take)

    def _pass_on(self) -> None:
        """Let the next one in the queue run after the next turn of the event loop; one that has gone costs no turn."""
        while self._queues:
            account, queue = self._queues.popitem(last=False)
            take = queue.popleft()
            if queue:
                self._queues[account] = queue  # after the other accounts
            if take():
                return
        self._taken = False


class Pace:
    """How much one connection may do before it has to queue."""

    def __init__(self, fair_queue: FairQueue, account: int) -> None:
        self._fair_queue = fair_queue
        self._account = account
        self._left = SELDOM
        self._since = 0
        self._waits = False
        """Waits for the end of a round, after which it is sparse again."""

    @property
    def wants_turn(self) -> bool:
        """Whether to call ``turn`` before the next request."""
        return self._left <= 0 or self._since >= STEP

    @property
    def spent(self) -> bool:
        return self._left <= 0

    def spend(self, amount: int) -> None:
        """Count work, in the unit of ``REQUEST``."""
        self._left -= amount
        self._since += amount

    async def turn(self) -> None:
        """Queue until the credit is not overdrawn; if it is not, let all other tasks run once."""
        self._since = 0
        if not self.spent:
            await checkpoint()
        while self.spent:
            await self._fair_queue.turn(self._account)
            self._left += STEP

    def rest(self, *, all_read: bool) -> None:
        """There is nothing to do: the connection becomes sparse, now or after a round."""
        if self._left >= SELDOM or self._waits:
            return
        if all_read and self._left >= -STEP:
            self._left = SELDOM
        else:
            self._waits = True
            self._fair_queue.after_round(self._account, self._refill)

    def _refill(self) -> None:
        self._waits = False
        self._left = SELDOM
