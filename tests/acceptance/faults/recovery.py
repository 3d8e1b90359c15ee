"""Recovery broken in its turn: killed, or met by a failing call, and done again at the next start."""

from __future__ import annotations

import contextlib

from storaged.store.files import Files
from storaged_client.contract.errors import StoragedError

from .calls import Dying, Failing, Killed
from .campaign import Tally, every, killed
from .judging import expected
from .running import Bench, recover


def kill_recovery(bench: Bench, mutation: str, *, step: int = 1, within: int = 1) -> Tally:
    """The recovery from every ``step``-th kill is itself killed at every ``within``-th call, and done again."""
    tally, usual = Tally(), bench.checker(mutation)
    for number, first in killed(bench, mutation, step=step):
        tree, checker = bench.look(), usual.beside(first.rival)
        done = expected(checker, tree, ended=False)
        for again in every(within):
            bench.lay(tree)
            files = Dying(again, after=again % 2 == 0)
            with contextlib.suppress(Killed):
                recover(bench.store, files)
            files.bury()
            if files.died is None:
                break
            where = f"{mutation}, killed at call {number} ({first.died}), its recovery at call {again} ({files.died})"
            here = bench.look()
            wrong = [*checker.consistent(here, alive=True), *checker.read_back()]
            recover(bench.store, Files())
            tally.add(where, [*wrong, *checker.settled(bench.look(), done=done)])
    return tally


def fail_recovery(bench: Bench, mutation: str, code: int, *, step: int = 1, within: int = 1) -> Tally:
    """The recovery from every ``step``-th kill meets a failing call, and is done again at the next start."""
    tally, usual = Tally(), bench.checker(mutation)
    for number, first in killed(bench, mutation, step=step):
        tree, checker = bench.look(), usual.beside(first.rival)
        done = expected(checker, tree, ended=False)
        for again in every(within):
            bench.lay(tree)
            files = Failing(again, code)
            wrong: list[str] = []
            try:
                recover(bench.store, files)
            except (StoragedError, OSError):
                pass
            except Exception as error:
                wrong.append(f"no error of the store or the system: {error!r}")
            if files.failed is None:
                break
            where = f"{mutation}, killed at call {number} ({first.died}), recovery: call {again} ({files.failed}) fails"
            wrong += checker.consistent(bench.look(), alive=True)
            recover(bench.store, Files())
            tally.add(where, [*wrong, *checker.settled(bench.look(), done=done)])
    return tally
