"""Judging what a fault left: at once, and after the next start."""

from __future__ import annotations

from storaged.store.files import Files
from storaged_client.contract.errors import StoragedError

from .checker import Checker
from .running import Bench, recover
from .tree import Tree, fingerprint


def judge(bench: Bench, checker: Checker, tree: Tree, *, alive: bool, ended: bool) -> list[str]:
    """What is wrong with the state that lies on the disk, now and after the next start."""
    key = (fingerprint(tree), alive, ended)
    if key not in checker.judged:
        checker.judged[key] = _judge(bench, checker, tree, alive=alive, ended=ended)
    return checker.judged[key]


def _judge(bench: Bench, checker: Checker, tree: Tree, *, alive: bool, ended: bool) -> list[str]:
    wrong = checker.consistent(tree, alive=alive)
    try:
        wrong += checker.read_back()
        wrong += [f"the next start leaves {left}" for left in recover(bench.store, Files())]
    except (StoragedError, OSError) as error:
        return [*wrong, f"the next start fails: {error!r}"]
    settled = bench.look()
    wrong += checker.settled(settled, done=expected(checker, tree, ended=ended))
    return wrong


def expected(checker: Checker, tree: Tree, *, ended: bool) -> bool | None:
    """Which of the two states the next start must come to.

    A change that answered is there; one that shows never goes back. One that does not show yet may still be
    carried to its end: a list whose files are all written.
    """
    if ended or checker.done(tree):
        return True
    return None
