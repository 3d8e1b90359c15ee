"""Every fault in its turn: a call that fails, a process that ends, a power that goes; then the next start.

Each function returns a :class:`Tally`: how much was tried, and what was found wrong, in words.
"""

from __future__ import annotations

import contextlib
import errno
import itertools
import os
import re
from collections.abc import Callable, Iterable, Iterator
from typing import TypeAlias

from attrs import define, evolve, field

from storaged.store.files import Files
from storaged.store.writing.temporary import OURS
from storaged_client.contract.errors import StoragedError

from .calls import Dying, Failing, Intercepted, Killed, Short, changes
from .judging import judge
from .power_loss import Disk, states
from .recording import Recording
from .running import Bench, calls_of, mutate, recover
from .scenes import GRAPHROOT, RUNROOT
from .tree import Tree

CODES = (errno.EIO, errno.ENOSPC, errno.EINTR, errno.EMFILE)

_ENDLESS = 5000
"""Calls of one change beyond which it would never end."""

_TEMPORARY = re.compile(rf"{GRAPHROOT}/[^/]+/{OURS.pattern}", re.DOTALL)
"""Tables that never got to their places, and copies of some: of use to nobody, so a process that lives removes them."""

Recorder: TypeAlias = Callable[[Bench], Recording]


@define
class Tally:
    """``tried`` runs or states; ``wrong`` is empty where all of them held."""

    tried: int = 0
    wrong: list[str] = field(factory=list)
    seen: list[Tree] = field(factory=list, repr=False)
    """The states that were judged, before recovery, where asked to keep them."""

    def add(self, where: str, wrong: Iterable[str]) -> None:
        self.tried += 1
        self.wrong.extend(f"{where}: {each}" for each in wrong)


def every(step: int, *, first: int = 1) -> Iterator[int]:
    """The numbers of the calls to be tried: each, or each ``step``-th from one that varies with the step."""
    return iter(range(first + (step - 1) // 2, _ENDLESS, step))


# ---------------------------------------------------------------- a call fails


def fail_each_call(
    bench: Bench, mutation: str, code: int, *, step: int = 1, times: int = 1, victim: type[Failing] = Failing
) -> Tally:
    """Each call fails with the code; the daemon goes on, and starts anew later."""
    return _fail(bench, mutation, os.strerror(code), lambda number: victim(number, code, times=times), step)


def shorten_each_write(bench: Bench, mutation: str) -> Tally:
    """Each write takes half of what it is given, and the next one finds the disk full."""
    return _fail(bench, mutation, "short write", Short, 1)


def _fail(bench: Bench, mutation: str, what: str, fault: Callable[[int], Failing | Short], step: int) -> Tally:
    tally, checker = Tally(), bench.checker(mutation)
    for number in every(step):
        bench.reset()
        files = fault(number)
        before = _descriptors()
        where = f"{mutation}, {what} at call {number}"
        try:
            mutate(bench.store, mutation, files)
            succeeded, wrong = True, []
        except (StoragedError, OSError):
            succeeded, wrong = False, []
        except Exception as error:
            succeeded, wrong = False, [f"no error of the store or the system: {error!r}"]
        if files.failed is None:
            if not succeeded or wrong:
                tally.add(where, ["it failed without a fault", *wrong])
            return tally
        where += f" ({files.failed})"
        if _descriptors() != before:
            wrong.append("a descriptor stays open")
        tree = bench.look()
        if not files.unremovable:
            wrong += [f"{path} was not removed" for path in tree if _TEMPORARY.fullmatch(path)]
        wrong += judge(bench, checker.beside(files.rival), tree, alive=True, ended=succeeded)
        tally.add(where, wrong)
    raise AssertionError(f"{mutation} does not come to an end")


def fail_and_try_again(bench: Bench, mutation: str, code: int, *, step: int = 1) -> Tally:
    """Each call fails with the code; where the change does not show, the same daemon makes it once more."""
    tally, checker = Tally(), bench.checker(mutation)
    for number in every(step):
        bench.reset()
        files = Failing(number, code)
        with contextlib.suppress(StoragedError, OSError):
            mutate(bench.store, mutation, files)
        if files.failed is None:
            return tally
        if checker.beside(files.rival).done(bench.look()) is not False:
            continue
        where = f"{mutation}, {os.strerror(code)} at call {number} ({files.failed}), then once more"
        try:
            mutate(bench.store, mutation, Intercepted())
        except (StoragedError, OSError) as error:
            tally.add(where, [f"refused: {error!r}"])
            continue
        recover(bench.store, Files())
        tally.add(where, checker.settled(bench.look(), done=True))
    raise AssertionError(f"{mutation} does not come to an end")


def _descriptors() -> list[str]:
    return sorted(os.listdir("/proc/self/fd"))


# ---------------------------------------------------------------- the process ends


def kill_at_each_call(
    bench: Bench,
    mutation: str,
    *,
    step: int = 1,
    first: int = 1,
    most: int | None = None,
    victim: type[Dying] = Dying,
    changing: bool = False,
    keep: bool = False,
) -> Tally:
    """The process ends before and after each call from the ``first`` on, then the daemon starts anew.

    With ``changing`` it ends after those alone that change something: any other leaves the files as they were.
    """
    tally, checker = Tally(), bench.checker(mutation)
    kills = killed(bench, mutation, step=step, victim=victim, first=first, changing=changing)
    for number, files in itertools.islice(kills, most):
        tree = bench.look()
        if keep:
            tally.seen.append(tree)
        tally.add(
            f"{mutation}, killed at call {number} ({files.died})",
            judge(bench, checker.beside(files.rival), tree, alive=True, ended=False),
        )
    return tally


def killed(
    bench: Bench,
    mutation: str,
    *,
    step: int = 1,
    first: int = 1,
    victim: type[Dying] = Dying,
    changing: bool = False,
) -> Iterator[tuple[int, Dying]]:
    """The store as each kill leaves it lies on the disk."""
    looking = _looking(bench, mutation) if changing else frozenset()
    for number in every(step, first=first):
        if number in looking:
            continue
        for after in (True,) if changing else (False, True):
            bench.reset()
            files = victim(number, after=after)
            try:
                mutate(bench.store, mutation, files)
            except Killed:
                files.bury()
                yield number, files
            if files.died is None:
                return


def _looking(bench: Bench, mutation: str) -> frozenset[int]:
    """The numbers of the calls that change nothing."""
    return frozenset([number for number, call in enumerate(calls_of(bench, mutation), 1) if not changes(call)])


# ---------------------------------------------------------------- the power goes


def lose_power(
    bench: Bench,
    mutation: str,
    *,
    seed: int,
    most: int,
    recorder: Recorder = lambda bench: Recording(bench.store.top),
    keep: bool = False,
    until_wrong: bool = False,
) -> Tally:
    """The power goes at any moment of the change; what was not flushed is lost, torn or there."""
    tally, checker = Tally(), bench.checker(mutation)
    bench.reset()
    files = recorder(bench)
    mutate(bench.store, mutation, files)
    late = checker.beside(files.rival)
    early = checker.beside(None if files.rival is None else evolve(files.rival))  # one that has not written yet
    for state in states(Disk(files.recorded, volatile=(RUNROOT,)), seed=seed, most=most):
        if state.after in files.others[1:]:
            continue  # what another tool writes is durable at once
        bench.lay(state.tree)
        if keep:
            tally.seen.append(state.tree)
        now = early if state.after <= files.others.start else late
        tally.add(
            f"{mutation}, power lost after {state.after} effects, {state.lost}",
            judge(bench, now, state.tree, alive=False, ended=state.ended),
        )
        if until_wrong and tally.wrong:
            break
    return tally
