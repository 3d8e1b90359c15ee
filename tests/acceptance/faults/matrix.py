"""The crash matrix: every change under every fault, written to ``docs/crash-matrix.md``.

python -m tests.acceptance.faults.matrix --scale full      every call, 1,000 power losses a change; half an hour of one
                                                processor; --only and --driver renew some rows
python -m tests.acceptance.faults.matrix --scale ci        every ninth call, 60 power losses; nothing is written

Exit status 1 where any state is wrong.
"""

from __future__ import annotations

import argparse
import errno
import logging
import platform
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path

from attrs import evolve, frozen

from storaged_client.contract.version import VERSION

from .campaign import Tally, fail_each_call, kill_at_each_call, lose_power, shorten_each_write
from .kinds import KINDS
from .recovery import fail_recovery, kill_recovery
from .running import Bench, bench
from .scenes import DRIVERS

DOCUMENT = Path(__file__).parents[3] / "docs/crash-matrix.md"


@frozen(kw_only=True)
class Scale:
    """``step``: every so many calls. ``first``: every so many kills have their recovery broken, at every so many
    calls ``within`` it."""

    step: int
    power: int
    first: int
    within: int

    def of(self, name: str) -> Scale:
        """For a change under locks, which only comes about in another way and leaves mostly what it always does."""
        if not KINDS[name].under_locks:
            return self
        return evolve(self, step=3 * self.step, power=self.power // 3, first=3 * self.first)


SCALES = {
    "ci": Scale(step=9, power=60, first=61, within=31),
    "full": Scale(step=1, power=1000, first=11, within=7),
}

FAULTS: Mapping[str, Callable[[Bench, str, Scale, int], Tally]] = {
    "EIO": lambda bench, name, scale, seed: fail_each_call(bench, name, errno.EIO, step=scale.step),
    "ENOSPC": lambda bench, name, scale, seed: fail_each_call(bench, name, errno.ENOSPC, step=scale.step),
    "EINTR": lambda bench, name, scale, seed: fail_each_call(bench, name, errno.EINTR, step=scale.of(name).step),
    "EMFILE": lambda bench, name, scale, seed: fail_each_call(bench, name, errno.EMFILE, step=scale.of(name).step),
    "short write": lambda bench, name, scale, seed: shorten_each_write(bench, name),
    "killed": lambda bench, name, scale, seed: kill_at_each_call(
        bench, name, step=scale.step, changing=KINDS[name].under_locks
    ),
    "power lost": lambda bench, name, scale, seed: lose_power(bench, name, seed=seed, most=scale.of(name).power),
    "recovery killed": lambda bench, name, scale, seed: kill_recovery(
        bench, name, step=scale.of(name).first, within=scale.within
    ),
    "recovery fails": lambda bench, name, scale, seed: fail_recovery(
        bench, name, errno.EIO, step=scale.of(name).first, within=scale.within
    ),
}
"""The columns, in their order."""

_LEFT_OUT = frozenset({"list add, the first change", "list remove instance, under locks"})
"""They make the calls of another row but for a few; ``test_store_writing`` ends the process after each that counts."""

ROWS = tuple([(name, driver) for name, kind in KINDS.items() for driver in kind.drivers if name not in _LEFT_OUT])


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--scale", choices=tuple(SCALES), default="ci")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--only", choices=sorted({name for name, _ in ROWS}), action="append")
    parser.add_argument("--driver", choices=DRIVERS, action="append")
    flags = parser.parse_args(argv)
    logging.disable(logging.CRITICAL)  # each failure is logged by what fails
    found: dict[tuple[str, str], dict[str, Tally]] = {}
    for driver in flags.driver or DRIVERS:
        with bench(driver) as where:
            for mutation, wanted in ROWS:
                if wanted == driver and (not flags.only or mutation in flags.only):
                    found[mutation, driver] = _row(
                        where.of(mutation), mutation, driver, SCALES[flags.scale], flags.seed
                    )
                    if flags.scale == "full":
                        cells = [*[cell(found[mutation, driver][name]) for name in FAULTS], _today()]
                        DOCUMENT.write_text(document({**written(), (mutation, driver): cells}, flags.seed))
    tried = sum(tally.tried for row in found.values() for tally in row.values())
    wrong = sum(bool(tally.wrong) for row in found.values() for tally in row.values())
    print(f"{tried} tried, {wrong} of {len(found) * len(FAULTS)} kinds wrong")
    return 1 if wrong else 0


def _row(where: Bench, mutation: str, driver: str, scale: Scale, seed: int) -> dict[str, Tally]:
    row: dict[str, Tally] = {}
    for name, fault in FAULTS.items():
        began = time.monotonic()
        tally = row[name] = fault(where, mutation, scale, seed)
        seconds = time.monotonic() - began
        print(
            f"{mutation}, {driver}, {name}: {tally.tried} tried, {len(tally.wrong)} wrong, {seconds:.0f} s", flush=True
        )
        for wrong in tally.wrong[:3]:
            print(f"    {wrong[:600]}", flush=True)
    return row


# ---------------------------------------------------------------- the document

_HEAD = """# The crash matrix

Written by `python -m tests.acceptance.faults.matrix --scale full`. Every CI run tests a part of each cell
(`tests/faults/test_store_writing.py`). `tests/acceptance/crash.py` has podman 4.3 and 5.8 open the distinct states.

Each row is a kind of change, made on a store with a container, children, untagged images and a manifest list. Each
column is a fault. A cell says at how many places the fault was tried, and, if there were any, how many of the resulting
states were wrong.

*Under locks* means that the change is decided while all locks of the store are held, as happens beside writers that
never pause. Its expected result is prepared before these locks are taken: the tables of layers are written, and the
lock of a list is taken. In the last rows another tool interferes by a pull, a tag or a new name for the list, so the
change must be different. What was prepared is removed, and the change is prepared again under the locks, or nothing is
left to do.

A state is **right** if all of this holds:

* Immediately, before any repair:
  * Every table is the one before the change or one that the change goes through.
  * No image or container depends on a layer that has no record, lacks its files or is flagged incomplete.
  * Every record that is not flagged has all its files, byte for byte.
  * No list shows half of an edit unless the journal tells of it. Our reader then takes the list for unreadable
    evidence, so nothing counts as dangling.
  * The token was renewed before a table was replaced.
  * After a power loss, a copy of every replaced table exists.
* In a process that continues: no prepared or unused table is left beside the tables.
* After the next start (`recovery`):
  * All files below the graphroot are those before the change or those after it, byte for byte.
  * Nothing of ours is left over, and no prepared table either.
  * An answered change is there. A visible change does not disappear. What another tool wrote meanwhile is there in both
    cases.

| column | what happens |
|---|---|
| EIO, ENOSPC, EINTR, EMFILE | one system call of the change fails with this error; the process continues. \
Under locks, each call fails with the first two, every third call with the others |
| short write | a write writes half of its bytes, and the next one finds the disk full |
| killed | the process ends before or after a system call and does nothing more. Under locks, only after calls that \
change something: the others leave the files as they were |
| power lost | any part of what was not flushed (`fsync`, `fdatasync`) is lost, in any order: writes completely, by \
half or as zeros; names created, moved or removed |
| recovery killed, recovery fails | the same faults during recovery, from every 11th kill (under locks every 33rd), \
at every 7th of its calls; then recovery runs again |

"""


def document(rows: Mapping[tuple[str, str], Sequence[str]], seed: int) -> str:
    """The whole page; ``rows`` has the cells of each, and the day it was run."""
    lines = [
        f"{_today()}, storaged {VERSION}, CPython {platform.python_version()}, seed {seed}.",
        "",
        "| change | driver | " + " | ".join(FAULTS) + " | run on |",
        "|---|---|" + "---|" * (len(FAULTS) + 1),
    ]
    lines += [f"| {' | '.join((*key, *cells))} |" for key, cells in sorted(rows.items(), key=_place)]
    return _HEAD + "\n".join(lines) + "\n"


def _today() -> str:
    return f"{datetime.now(UTC):%d %B %Y}"


def _place(row: tuple[tuple[str, str], Sequence[str]]) -> int:
    return ROWS.index(row[0])


def written() -> dict[tuple[str, str], list[str]]:
    """The rows that the page has now, each with its day, so that one change can be run again alone."""
    if not DOCUMENT.exists():
        return {}
    lines = [line.strip("| ").split(" | ") for line in DOCUMENT.read_text().splitlines() if line.startswith("| ")]
    found = {(line[0], line[1]): line[2:] for line in lines if len(line) == 3 + len(FAULTS)}
    return {key: cells for key, cells in found.items() if key in ROWS}


def cell(tally: Tally) -> str:
    return f"{tally.tried:,}" if not tally.wrong else f"{tally.tried:,}, **{len(tally.wrong)} wrong**"


if __name__ == "__main__":
    sys.exit(main())
