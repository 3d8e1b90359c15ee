"""Stores as a crash of storaged leaves them, opened by podman: before recovery, and after it.

Kills and power losses of every kind of change (``tests.faults``) are run on a small store; the distinct states are
opened by podman 4.3 and 5.8, a copy each. Then storaged starts, and they are opened again.

python -m tests.acceptance.crash --scale 1      500 states a podman
"""

from __future__ import annotations

import logging
import random
import sys
from collections.abc import Iterator, Sequence
from itertools import zip_longest

from attrs import evolve, frozen

from storaged.store.files import Files
from tests.acceptance.faults.campaign import kill_at_each_call, lose_power
from tests.acceptance.faults.checker import Checker, Facts, facts
from tests.acceptance.faults.running import Bench, bench, recover
from tests.acceptance.faults.scenes import DRIVERS, GRAPHROOT, LAYERS_GO, MUTATIONS
from tests.acceptance.faults.tree import Tree, below, read_tree, write_tree
from tests.support.peers import Peer, Store, ToolError, podman_43, podman_58, unmount, workspace
from tests.support.report import Report, arguments

_STATES = 500


@frozen(kw_only=True)
class Left:
    """One state that a crash left, of a change of a store."""

    tree: Tree
    mutation: str
    checker: Checker


def main(argv: Sequence[str] | None = None) -> int:
    flags = arguments(__doc__ or "", argv)
    logging.disable(logging.CRITICAL)  # each failure is logged by what fails
    report = Report(timed=not flags.untimed)
    most = max(8, round(_STATES * flags.scale))
    for driver in DRIVERS:
        left = list(states(driver, seed=flags.seed, most=most // len(DRIVERS)))
        report.figure(f"{driver}: distinct states", len(left))
        for find in (podman_43, podman_58):
            open_all(report, find(), driver, left)
    return report.finish()


def states(driver: str, *, seed: int, most: int) -> Iterator[Left]:
    """Distinct states, at most so many, each kind of change in turn."""
    chance = random.Random(seed)
    with bench(driver) as where:
        kinds = [
            _of(where, mutation, chance, most)
            for mutation in MUTATIONS
            if driver == DRIVERS[0] or mutation in LAYERS_GO
        ]
    seen: set[int] = set()
    for left in (each for turn in zip_longest(*kinds) for each in turn if each is not None):
        key = hash(tuple(sorted(facts(left.checker.store, left.tree).settled().items())))
        if key not in seen:
            seen.add(key)
            yield left
        if len(seen) == most:
            return


def _of(where: Bench, mutation: str, chance: random.Random, most: int) -> list[Left]:
    """States of one kind of change in random order; what they look like to us is the fault tests' to judge."""
    checker = where.checker(mutation)
    killed = kill_at_each_call(where, mutation, step=max(1, 200 // most), keep=True)
    dark = lose_power(where, mutation, seed=chance.randrange(1 << 30), most=2 * most, keep=True)
    trees = [*killed.seen, *dark.seen]
    chance.shuffle(trees)
    return [Left(tree=tree, mutation=mutation, checker=checker) for tree in trees]


def open_all(report: Report, peer: Peer, driver: str, left: Sequence[Left]) -> None:
    """Each state is opened by the peer as it is, then storaged starts, and it is opened again."""
    with workspace(peer, driver=driver) as store:
        for number, each in enumerate(left):
            where = f"{peer.name}, {driver}, {each.mutation}, state {number}"
            unmount(store.work)
            write_tree(below(each.tree, GRAPHROOT), store.graphroot)
            write_tree({}, store.runroot)
            _open(report, store, each, where)


def _open(report: Report, store: Store, left: Left, where: str) -> None:
    state = facts(left.checker.store, left.tree)
    _claim_listed(report, store, state, where)
    ours = evolve(left.checker.store, top=store.graphroot.parent, runroot=store.runroot.name)
    stays = recover(ours, Files())
    report.claim(not stays, f"{where}: recovery leaves {stays}")
    after = Facts(read_tree(store.graphroot), ours)
    report.claim(
        after.table_bytes("images")
        in [each.table_bytes("images") for each in (left.checker.before, left.checker.after)],
        f"{where}: images.json is neither the old table nor the new one after podman and recovery",
    )
    where = f"{where}, after recovery"
    _claim_listed(report, store, after, where)
    if not store.peer.name.endswith("4.3"):
        try:
            store.podman("system", "check")
            report.claim(True, where)
        except ToolError as error:
            report.claim(False, f"{where}: {error}")


def _claim_listed(report: Report, store: Store, state: Facts, where: str) -> None:
    """The tool opens the store and lists the images recorded."""
    try:
        listed = _images(store)
    except ToolError as error:
        known = _old_defect(store, state) and "reading manifest for image instance" in str(error)
        report.claim(known, f"{where}: not opened: {error}")
    else:
        report.claim(
            listed == state.images.keys(), f"{where}: lists {sorted(listed)}, recorded are {sorted(state.images)}"
        )


def _old_defect(store: Store, state: Facts) -> bool:
    """Whether podman 4.3 cannot list this store whoever wrote it, and uninterrupted: it takes a manifest list for a
    possible parent of an image without layers (docs/differences.md)."""
    bare = [record for record in state.images.values() if not record.get("layer")]
    lists = [record for record in bare if "instances.json" in record.get("big-data-names", ())]
    return store.peer.name.endswith("4.3") and 0 < len(lists) < len(bare)


def _images(store: Store) -> set[str]:
    return {line.removeprefix("sha256:") for line in store.podman("images", "-aq", "--no-trunc").split()}


if __name__ == "__main__":
    sys.exit(main())
