"""The order in which connections that are busy get the event loop: one after the other, one step between two looks.

::

    seldom asks    who waits for his answers: four requests begin as they come, two between two looks
    asks a lot     who has more in his socket, or does not read: in the lane, where one has a turn of two requests, or
                   of one piece of a long answer, between two looks at everybody else
                   the accounts take turns, and those of one account among themselves

Who was busy asks seldom again when his socket is empty and he has read all answers; who has not, or has made work for
more turns than he had, when all who stood in the lane then have had theirs. So who asks seldom waits for one step of
one busy connection, however many there are (sparse flows before bulk ones, as in fair queueing: RFC 8290).
"""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Callable
from typing import Final

import anyio
from anyio.lowlevel import checkpoint

REQUEST: Final = 8
"""What a request costs; a text that is refused costs a quarter, a look at some bytes an eighth."""
SELDOM: Final = 4 * REQUEST
"""What waits for nobody."""
STEP: Final = 2 * REQUEST
"""One turn in the lane. To pass it on costs as much as a ping does."""


class FairQueue:
    """Belongs to the event loop."""

    def __init__(self) -> None:
        self._queues: OrderedDict[int, deque[Callable[[], bool]]] = OrderedDict()
        self._taken = False
        """Somebody has the turn, and passes it on after a look at everybody else."""

    async def turn(self, account: int) -> None:
        """Wait for a turn: everybody who is not in the lane runs once before, and those in the lane who came first."""
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
        """Call ``refill`` when all who stand in the lane now have had a turn, which is at once where nobody does."""
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
        """The next one in the lane runs after the next look at everybody else; what takes no turn costs none."""
        while self._queues:
            account, queue = self._queues.popitem(last=False)
            take = queue.popleft()
            if queue:
                self._queues[account] = queue  # behind the other accounts
            if take():
                return
        self._taken = False


class Pace:
    """How much one connection may do before it stands in the lane."""

    def __init__(self, lane: FairQueue, account: int) -> None:
        self._lane = lane
        self._account = account
        self._left = SELDOM
        self._since = 0
        self._waits = False
        """For the end of a round, after which it asks seldom again."""

    @property
    def wants_turn(self) -> bool:
        """Whether to call ``turn`` before the next request."""
        return self._left <= 0 or self._since >= STEP

    @property
    def spent(self) -> bool:
        return self._left <= 0

    def spend(self, amount: int) -> None:
        """Count what was done, as ``REQUEST`` has it."""
        self._left -= amount
        self._since += amount

    async def turn(self) -> None:
        """Stand in the lane until nothing is spent that was not granted; else let everybody else run once."""
        self._since = 0
        if not self.spent:
            await checkpoint()
        while self.spent:
            await self._lane.turn(self._account)
            self._left += STEP

    def rest(self, *, all_read: bool) -> None:
        """There is nothing to be done: the connection is one that asks seldom, or will be after a round."""
        if self._left >= SELDOM or self._waits:
            return
        if all_read and self._left >= -STEP:
            self._left = SELDOM
        else:
            self._waits = True
            self._lane.after_round(self._account, self._refill)

    def _refill(self) -> None:
        self._waits = False
        self._left = SELDOM
