"""What a pure operation hands to the writer: a change of the store, and the answer once it is done."""

from __future__ import annotations

from typing import Generic, TypeVar

from attrs import frozen

from storaged.store.changes import Change

T = TypeVar("T")


@frozen(kw_only=True)
class Planned(Generic[T]):
    """``result`` is true of the store as soon as ``change`` is committed; an empty change is true already."""

    change: Change
    result: T
