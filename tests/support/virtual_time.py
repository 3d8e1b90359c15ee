"""Virtual time for code that also uses worker threads: the clock moves on when nothing else can happen."""

from __future__ import annotations

import threading
import time
from collections.abc import Awaitable, Callable, Iterator
from math import isfinite

import trio
from trio.testing import MockClock, wait_all_tasks_blocked


def run_in_virtual_time(main: Callable[[], Awaitable[None]]) -> None:
    """Run on trio; each sleep and each deadline comes as soon as every task waits and no worker thread is at work.

    ``MockClock``'s own autojump measures by the real clock how long nothing happened, and so runs ahead of a thread
    that a busy machine leaves waiting.
    """
    clock = MockClock()
    others = frozenset(threading.enumerate())  # an earlier test may have left one that waits for its loop for ever

    async def under_the_clock() -> None:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(_move_on, clock, others)
            await main()
            nursery.cancel_scope.cancel()

    trio.run(under_the_clock, clock=clock)


async def _move_on(clock: MockClock, others: frozenset[threading.Thread]) -> None:
    while True:
        await wait_all_tasks_blocked()
        to_the_next = trio.lowlevel.current_statistics().seconds_to_next_deadline
        if isfinite(to_the_next) and not _a_thread_is_at_work(others):
            clock.jump(max(0.0, to_the_next))
        else:
            await trio.to_thread.run_sync(time.sleep, 0.001)


def _a_thread_is_at_work(others: frozenset[threading.Thread]) -> bool:
    """Of trio, or of ``storaged.server.fd_closer``."""
    closing = any(thread.name == "closing" for thread in set(threading.enumerate()) - others)
    return closing or any(map(_awaits_a_thread, _tasks()))


def _tasks() -> Iterator[trio.lowlevel.Task]:
    waiting = [trio.lowlevel.current_root_task()]
    while waiting:
        if (task := waiting.pop()) is not None:
            yield task
            waiting += [child for nursery in task.child_nurseries for child in nursery.child_tasks]


def _awaits_a_thread(task: trio.lowlevel.Task) -> bool:
    return any(frame.f_code.co_name == "to_thread_run_sync" for frame, _ in task.iter_await_frames())
