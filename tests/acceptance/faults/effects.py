"""What a change does to a tree of files, inode by inode: the language of the recorder and of the power losses."""

from __future__ import annotations

from typing import TypeAlias

from attrs import define, field, frozen

from .tree import Entry

NodeID: TypeAlias = int

ROOT: NodeID = 0
"""The folder at the top."""


@frozen
class Names:
    """Entries of one or two folders become others at once: ``(folder, name, inode or None)``."""

    entries: tuple[tuple[NodeID, str, NodeID | None], ...]


@frozen
class Bytes:
    """A file's bytes from ``offset`` on."""

    node: NodeID
    offset: int
    data: bytes = field(repr=False)


@frozen
class Length:
    """A file is cut, or grows by zeros."""

    node: NodeID
    length: int


@frozen
class Mode:
    node: NodeID
    mode: int


@frozen
class Flush:
    """What was done to this inode before is on the disk from now on: a file's bytes, a folder's names."""

    node: NodeID


Effect: TypeAlias = Names | Bytes | Length | Mode | Flush


@define
class Node:
    """An inode as it came to be. Its bytes and names change by effects only."""

    entry: Entry
    names: dict[str, NodeID] = field(factory=dict)


@define(kw_only=True)
class Recorded:
    """A tree before a mutation, every inode there ever was, and the effects in their order."""

    nodes: dict[NodeID, Node]
    effects: list[Effect] = field(factory=list)
    calls: list[str] = field(factory=list)
    """The call each effect is of."""
