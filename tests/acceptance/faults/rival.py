"""Another tool that writes to the store once while a change is being made: the sample writer, at a chosen moment.

::

    "foreseen"    after the plan told what it would change, before that is done ahead
    "locking"     after the tables were written ahead, before the first lock of the store is taken

What it writes is the same each time, and is durable when the change goes on: to lose it would be its own mistake.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from typing import Literal, TypeAlias
from unittest.mock import patch

from attrs import define, field, frozen

from storaged.sample import SampleWriter
from storaged.store.writing.temporary import OURS
from tests.support.files import Call

from .calls import Intercepted
from .scenes import Store
from .tree import Tree, read_tree

Moment: TypeAlias = Literal["foreseen", "locking"]

_FIRST = re.compile(r".+-layers/layers\.lock")
"""The first of the store's locks."""

_CLOCK = 1_780_000_000_000_000_000
"""Nanoseconds: ids follow from the time."""


@frozen(kw_only=True)
class Deed:
    """What the other tool does, and when."""

    moment: Moment
    does: Callable[[SampleWriter, Store], object]


@define(kw_only=True)
class Rival:
    """Does its deed once."""

    deed: Deed
    store: Store
    tree: Tree | None = field(default=None, init=False)
    """What there was when it had done it, without what is written beside the tables; None until then."""

    def planned(self, files: Intercepted) -> None:
        """The plan was made."""
        if self.deed.moment == "foreseen":
            self._act(files)

    def before(self, call: Call, files: Intercepted) -> None:
        """The change is about to make this call."""
        if self.deed.moment != "locking" or call.name != "open":
            return
        if call.arguments["flags"] & os.O_RDWR and _FIRST.fullmatch(call.arguments["path"]):
            self._act(files)

    def _act(self, files: Intercepted) -> None:
        if self.tree is not None:
            return
        location = self.store.location
        before = read_tree(self.store.top)
        with patch("time.time_ns", lambda: _CLOCK):
            self.deed.does(SampleWriter(location.graphroot, location.runroot, location.driver), self.store)
        after = read_tree(self.store.top)
        self.tree = {path: entry for path, entry in after.items() if not OURS.fullmatch(os.path.basename(path))}
        files.others_wrote(before, after)
