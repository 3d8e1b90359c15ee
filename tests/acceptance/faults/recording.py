"""Writes down what a mutation does to a tree of files, as effects on inodes and on the names in folders.

::

    open(O_CREAT)  ──► Names(folder: name → inode)          fsync(folder)  ──► Flush(folder)
    write          ──► Bytes(inode, offset, data)           fsync(file)    ──► Flush(inode)
    rename         ──► Names(folder: old → nothing, folder: new → inode)

The tree is real all the while; only paths below ``top`` count, and a path never goes through a link.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.support.files import Call

from .calls import CREATING, Intercepted, changes
from .effects import ROOT, Bytes, Effect, Flush, Length, Mode, Names, Node, NodeID, Recorded
from .tree import Entry, Tree, read_tree


class Recording(Intercepted):
    """A real disk, every change below ``top`` written down."""

    def __init__(self, top: Path) -> None:
        self._top = os.path.realpath(top)
        self.recorded = Recorded(nodes={ROOT: Node(Entry("folder", 0o700))})
        self._now: dict[NodeID, dict[str, NodeID]] = {ROOT: {}}
        self._open: dict[int, NodeID] = {}
        self.others = range(0)
        """The effects that are another tool's."""
        for path, entry in read_tree(Path(self._top)).items():
            folder, name = self._place(os.path.join(self._top, path))
            node = self._new(entry)
            self._now[folder][name] = node
            self.recorded.nodes[folder].names[name] = node

    def make(self, call: Call, perform: Callable[[], Any]) -> Any:
        handler = getattr(self, f"_on_{call.name}", None)
        if handler is None:
            if changes(call):
                raise NotImplementedError(f"the recorder does not know {call.name}")
            return perform()
        self._call = str(call)
        return handler(call.arguments, perform)

    def others_wrote(self, before: Tree, after: Tree) -> None:
        """All of it at once, and durable. Tokens are left out: they are written in place, and after a power loss nobody
        has a cache that they are for."""
        written = {path: entry for path, entry in after.items() if before.get(path) != entry}
        entries: list[tuple[NodeID, str, NodeID | None]] = []
        fresh: set[NodeID] = set()
        for path, entry in written.items():
            if path.endswith(".lock"):
                continue
            folder, name = self._place(os.path.join(self._top, path))
            node = self._new(entry)
            fresh.add(node)
            self._now[folder][name] = node
            if folder in fresh:
                self.recorded.nodes[folder].names[name] = node
            else:
                entries.append((folder, name, node))
        if gone := before.keys() - after.keys():
            raise NotImplementedError(f"another tool removed {sorted(gone)}")
        first = len(self.recorded.effects)
        self._call = "another tool"
        self._did(Names(tuple(entries)))
        self._did(Flush(entries[0][0]))
        self.others = range(first, len(self.recorded.effects))

    # -------------------------------------------------------------- names

    def _new(self, entry: Entry) -> NodeID:
        node = len(self.recorded.nodes)
        self.recorded.nodes[node] = Node(entry)
        self._now[node] = {}
        return node

    def _did(self, effect: Effect) -> None:
        self.recorded.effects.append(effect)
        self.recorded.calls.append(self._call)
        if isinstance(effect, Names):
            for folder, name, node in effect.entries:
                if node is None:
                    self._now[folder].pop(name, None)
                else:
                    self._now[folder][name] = node

    def _place(self, path: str, dir_fd: int | None = None) -> tuple[NodeID, str]:
        """The folder and the name a path ends in.

        Raises:
            KeyError: it leads out of the tree, or through what is no folder.
        """
        path = os.fsdecode(path)
        if not os.path.isabs(path) and dir_fd is not None:
            here, parts = self._open[dir_fd], path.split("/")
        elif path == self._top:
            raise KeyError(path)
        elif path.startswith(self._top + "/"):
            here, parts = ROOT, path[len(self._top) + 1 :].split("/")
        else:
            raise KeyError(path)
        for part in parts[:-1]:
            here = self._now[here][part]
        return here, parts[-1]

    def _find(self, path: str, dir_fd: int | None = None) -> NodeID | None:
        if path == self._top:
            return ROOT
        try:
            folder, name = self._place(path, dir_fd)
        except KeyError:
            return None
        return self._now[folder].get(name)

    def _on_open(self, given: Any, perform: Callable[[], Any]) -> Any:
        path, dir_fd = given["path"], given["dir_fd"]
        before = self._find(path, dir_fd)
        fd = perform()
        if given["flags"] & CREATING and before is None:
            folder_name = self._place_or_none(path, dir_fd)
            if folder_name is not None:
                before = self._new(Entry("file", os.fstat(fd).st_mode & 0o7777))
                self._did(Names(((*folder_name, before),)))
        elif before is not None and given["flags"] & os.O_TRUNC:
            self._did(Length(before, 0))
        if before is not None:
            self._open[fd] = before
        return fd

    def _on_enter(self, given: Any, perform: Callable[[], Any]) -> Any:
        node = self._find(given["name"], given["dir_fd"])
        fd = perform()
        if node is not None:
            self._open[fd] = node
        return fd

    def _place_or_none(self, path: str, dir_fd: int | None) -> tuple[NodeID, str] | None:
        try:
            return self._place(path, dir_fd)
        except KeyError:
            return None

    def _on_close(self, given: Any, perform: Callable[[], Any]) -> Any:
        self._open.pop(given["fd"], None)
        return perform()

    def _on_mkdir(self, given: Any, perform: Callable[[], Any]) -> Any:
        perform()
        if (place := self._place_or_none(given["path"], given.get("dir_fd"))) is not None:
            self._did(Names(((*place, self._new(Entry("folder", given["mode"]))),)))

    def _on_symlink(self, given: Any, perform: Callable[[], Any]) -> Any:
        perform()
        if (place := self._place_or_none(given["path"], given.get("dir_fd"))) is not None:
            self._did(Names(((*place, self._new(Entry("link", 0o777, os.fsencode(given["target"])))),)))

    def _on_unlink(self, given: Any, perform: Callable[[], Any]) -> Any:
        perform()
        if (place := self._place_or_none(given["path"], given.get("dir_fd"))) is not None:
            self._did(Names(((*place, None),)))

    _on_rmdir = _on_unlink

    def _on_rename(self, given: Any, perform: Callable[[], Any]) -> Any:
        source = self._place_or_none(given["source"], given.get("source_fd"))
        node = None if source is None else self._now[source[0]].get(source[1])
        perform()
        target = self._place_or_none(given["target"], given.get("target_fd"))
        if source is not None and target is not None and node is not None:
            self._did(Names(((*source, None), (*target, node))))
        elif source is not None or target is not None:
            raise NotImplementedError("a rename into or out of the tree")

    # -------------------------------------------------------------- bytes

    def _on_write(self, given: Any, perform: Callable[[], Any]) -> Any:
        offset = os.lseek(given["fd"], 0, os.SEEK_CUR)
        return self._written(given, offset, perform())

    def _on_pwrite(self, given: Any, perform: Callable[[], Any]) -> Any:
        return self._written(given, given["offset"], perform())

    def _written(self, given: Any, offset: int, count: int) -> int:
        node = self._open.get(given["fd"])
        if node is not None:
            self._did(Bytes(node, offset, bytes(given["data"][:count])))
        return count

    def _on_truncate(self, given: Any, perform: Callable[[], Any]) -> Any:
        perform()
        if given["fd"] in self._open:
            self._did(Length(self._open[given["fd"]], given["length"]))

    def _on_allocate(self, given: Any, perform: Callable[[], Any]) -> Any:
        perform()
        if given["fd"] in self._open:
            node = self._open[given["fd"]]
            self._did(Length(node, os.fstat(given["fd"]).st_size))

    def _on_fchmod(self, given: Any, perform: Callable[[], Any]) -> Any:
        perform()
        if given["fd"] in self._open:
            self._did(Mode(self._open[given["fd"]], given["mode"]))

    def _on_fchown(self, given: Any, perform: Callable[[], Any]) -> Any:
        perform()  # whose a file is, is the same before and after a power loss here

    def _on_chmod(self, given: Any, perform: Callable[[], Any]) -> Any:
        perform()
        node = self._find(given["path"], given.get("dir_fd"))
        if node is not None:
            self._did(Mode(node, given["mode"]))

    def _on_fsync(self, given: Any, perform: Callable[[], Any]) -> Any:
        perform()
        if given["fd"] in self._open:
            self._did(Flush(self._open[given["fd"]]))

    _on_fdatasync = _on_fsync
