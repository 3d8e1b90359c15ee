"""What a pure operation hands to the writer: a change of the store, and the answer once it is done."""

from __future__ import annotations

from typing import Generic, TypeVar

from msgspec import Struct

from storaged.store.changes import Change

T = TypeVar("T")


class ChangeSet(Struct, Generic[T], frozen=True, kw_only=True):
    """``result`` is true of the store as soon as ``change`` is committed; an empty change is true already."""

    change: Change
    result: T
