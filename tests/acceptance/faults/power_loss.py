"""Which trees a disk may hold after the power went, given what a mutation did and what it flushed.

The rules, weaker than any journaling file system, as POSIX has them:

* what was flushed (``fsync``, ``fdatasync``) is there, whole;
* of a file's other bytes each write is there, or not, or its first half, or zeros in its place;
* of a folder's other changes any are there and any not, whatever their order; a rename is one change of both
  its folders, and is there once one of them was flushed;
* a change in a folder that was not flushed is there only where that folder itself is;
* what lies on a tmpfs is gone.

Where all choices are too many, the same is asked of each change alone, of each but one, of every beginning, and
of seeded random choices.
"""

from __future__ import annotations

import itertools
import random
from collections.abc import Iterator, Sequence
from typing import Literal, TypeAlias

from attrs import define, field, frozen

from .effects import ROOT, Bytes, Effect, Flush, Length, Mode, Names, NodeID, Recorded
from .tree import Entry, Tree, fingerprint

Outcome: TypeAlias = Literal["there", "lost", "torn", "zeros"]
Outcomes: TypeAlias = tuple[Outcome, ...]

EXHAUSTIVE = 96
"""Combinations at one moment up to which all are tried."""


@frozen(kw_only=True)
class State:
    """One tree, and how it came about: the power went after so many effects, and these were lost of them."""

    tree: Tree = field(repr=False)
    after: int
    ended: bool
    """Whether the mutation had come to its end, so that its result must be there."""
    lost: str


@define
class Disk:
    """The recorded effects and what each depends on."""

    recorded: Recorded
    volatile: tuple[str, ...] = ()
    """Folders below the top whose contents a power loss takes."""
    _flushed: list[int] = field(init=False)
    _made: dict[NodeID, int] = field(init=False)
    _files: dict[tuple[NodeID, tuple[tuple[int, Outcome], ...]], Entry] = field(factory=dict, init=False)

    def __attrs_post_init__(self) -> None:
        effects = self.recorded.effects
        self._flushed = [_flushed_at(effects, index) for index in range(len(effects))]
        self._made = {}
        known = _initial(self.recorded)
        for index, effect in enumerate(effects):
            if isinstance(effect, Names):
                for _, _, node in effect.entries:
                    if node is not None and node not in known:
                        self._made.setdefault(node, index)

    def pending(self, moment: int) -> list[int]:
        """The effects that happened before this moment and that a power loss then may take."""
        effects = self.recorded.effects
        return [
            index for index in range(moment) if not isinstance(effects[index], Flush) and self._flushed[index] >= moment
        ]

    def tree(self, moment: int, lost: dict[int, Outcome]) -> Tree:
        """The tree with these effects lost or spoiled, all others that happened being there."""
        names = {node: dict(each.names) for node, each in self.recorded.nodes.items()}
        present: set[int] = set()
        spoiled: dict[NodeID, list[tuple[int, Outcome]]] = {}
        for index, effect in enumerate(self.recorded.effects[:moment]):
            outcome = lost.get(index, "there")
            if isinstance(effect, Names):
                if outcome == "there" and (
                    self._flushed[index] < moment
                    or all(folder not in self._made or self._made[folder] in present for folder, _, _ in effect.entries)
                ):
                    present.add(index)
                    for folder, name, node in effect.entries:
                        if node is None:
                            names[folder].pop(name, None)
                        else:
                            names[folder][name] = node
            elif not isinstance(effect, Flush) and outcome != "lost":
                spoiled.setdefault(effect.node, []).append((index, outcome))
        tree: dict[str, Entry] = {}
        self._walk(ROOT, "", names, spoiled, tree)
        return tree

    def _walk(
        self,
        folder: NodeID,
        prefix: str,
        names: dict[NodeID, dict[str, NodeID]],
        spoiled: dict[NodeID, list[tuple[int, Outcome]]],
        tree: dict[str, Entry],
    ) -> None:
        for name, node in names[folder].items():
            path = prefix + name
            entry = self._entry(node, tuple(spoiled.get(node, ())))
            tree[path] = entry
            if entry.kind == "folder" and path not in self.volatile:
                self._walk(node, path + "/", names, spoiled, tree)

    def _entry(self, node: NodeID, done: tuple[tuple[int, Outcome], ...]) -> Entry:
        start = self.recorded.nodes[node].entry
        if not done:
            return start
        if (found := self._files.get((node, done))) is None:
            mode, data = start.mode, bytearray(start.data)
            for index, outcome in done:
                effect = self.recorded.effects[index]
                if isinstance(effect, Mode):
                    mode = effect.mode
                elif isinstance(effect, Length):
                    data = data[: effect.length].ljust(effect.length, b"\0")
                elif isinstance(effect, Bytes):
                    _put(data, effect, outcome)
            found = self._files[node, done] = Entry(start.kind, mode, bytes(data))
        return found


def _put(data: bytearray, effect: Bytes, outcome: Outcome) -> None:
    part = effect.data
    if outcome == "torn":
        part = part[: len(part) // 2]
    elif outcome == "zeros":
        part = bytes(len(part))
    end = effect.offset + len(part)
    if len(data) < end:
        data.extend(bytes(end - len(data)))
    data[effect.offset : end] = part


def _initial(recorded: Recorded) -> set[NodeID]:
    return {ROOT, *(node for each in recorded.nodes.values() for node in each.names.values())}


def _flushed_at(effects: Sequence[Effect], index: int) -> int:
    """The place of the flush that makes an effect durable; beyond all where there is none."""
    effect = effects[index]
    if isinstance(effect, Flush):
        return index
    of = {folder for folder, _, _ in effect.entries} if isinstance(effect, Names) else {effect.node}
    for later in range(index + 1, len(effects)):
        flush = effects[later]
        if isinstance(flush, Flush) and flush.node in of:
            return later
    return len(effects) + 1


# ---------------------------------------------------------------- enumeration


def states(disk: Disk, *, seed: int, most: int) -> Iterator[State]:
    """Distinct trees, at most so many; of too many each kind of choice gets its share before chance decides."""
    effects = disk.recorded.effects
    seen: set[tuple[int, bool]] = set()
    chance = random.Random(seed)
    moments = list(range(len(effects), -1, -1))
    for tier in (_extremes, _single, _random):
        for moment in moments if tier is _extremes else chance.sample(moments, len(moments)):
            for lost in tier(effects, disk.pending(moment), chance):
                ended = moment == len(effects)
                tree = disk.tree(moment, lost)
                key = (fingerprint(tree), ended)
                if key in seen:
                    continue
                seen.add(key)
                yield State(tree=tree, after=moment, ended=ended, lost=_told(disk.recorded, lost))
                if len(seen) >= most:
                    return


def _outcomes(effect: Effect) -> Outcomes:
    return ("there", "lost", "torn", "zeros") if isinstance(effect, Bytes) else ("there", "lost")


def _extremes(effects: Sequence[Effect], pending: list[int], chance: random.Random) -> Iterator[dict[int, Outcome]]:
    yield {}
    yield dict.fromkeys(pending, "lost")


def _single(effects: Sequence[Effect], pending: list[int], chance: random.Random) -> Iterator[dict[int, Outcome]]:
    choices = [_outcomes(effects[index]) for index in pending]
    count = 1
    for each in choices:
        count *= len(each)
    if count <= EXHAUSTIVE:
        for outcomes in itertools.product(*choices):
            yield dict(zip(pending, outcomes, strict=True))
        return
    for place, index in enumerate(pending):
        yield dict.fromkeys(pending[place:], "lost")
        yield {other: "lost" for other in pending if other != index}
        for outcome in choices[place][1:]:
            yield {index: outcome}


def _random(effects: Sequence[Effect], pending: list[int], chance: random.Random) -> Iterator[dict[int, Outcome]]:
    if 2 ** len(pending) <= EXHAUSTIVE:
        return
    for _ in range(4 * len(pending)):
        share = chance.random()
        yield {index: chance.choice(_outcomes(effects[index])[1:]) for index in pending if chance.random() < share}


def _told(recorded: Recorded, lost: dict[int, Outcome]) -> str:
    told = [f"{recorded.calls[index]} {outcome}" for index, outcome in lost.items() if outcome != "there"]
    return "; ".join(told) or "nothing lost"
