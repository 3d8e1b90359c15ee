"""The members of every result, and values that several results share."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, ClassVar, Literal, TypeVar, overload

from attrs import field, frozen

from ..value import Value

JSON = Any
"""A JSON value, passed through unchanged."""

T = TypeVar("T")


class Listing(Sequence[T]):
    """A result that is a sequence of its rows: it can be indexed, sliced, counted and iterated."""

    __slots__ = ()

    rows_of: ClassVar[str]
    """The name of the member that holds the rows."""

    def _rows(self) -> tuple[T, ...]:
        rows: tuple[T, ...] = getattr(self, self.rows_of)
        return rows

    def __iter__(self) -> Iterator[T]:
        return iter(self._rows())

    def __len__(self) -> int:
        return len(self._rows())

    @overload
    def __getitem__(self, at: int) -> T: ...
    @overload
    def __getitem__(self, at: slice) -> tuple[T, ...]: ...
    def __getitem__(self, at: int | slice) -> T | tuple[T, ...]:
        return self._rows()[at]


@frozen(kw_only=True, eq=False, repr=False)
class Holder(Value):
    """The holder of a lock; a member that the kernel does not tell is ``None``."""

    pid: int | None = None
    command: str | None = None
    mode: Literal["read", "write"] | None = None


@frozen(kw_only=True, eq=False, repr=False)
class Stale(Value):
    """Why the answer shows an earlier state than the files on disk, and how old that state is."""

    age_ms: int
    reason: Literal["locked", "unreadable", "incomplete"]
    lock: str | None = None
    holder: Holder | None = None
    file: str | None = None


@frozen(kw_only=True, eq=False, repr=False)
class Damage(Value):
    """What is wrong with one image, layer or list: a stable name and a sentence for people."""

    name: str
    detail: str


@frozen(kw_only=True, eq=False, repr=False)
class ErrorObject(Value):
    """An error inside a result, for one item of many; the same form as a JSON-RPC error."""

    code: int
    message: str
    data: dict[str, JSON] = field(factory=dict)


@frozen(kw_only=True, eq=False, repr=False)
class Result(Value):
    """The members of every result."""

    generation: str = ""
    stale: Stale | None = None


@frozen(kw_only=True, eq=False, repr=False)
class Unchanged(Result):
    """The answer if ``if_generation`` was the current generation."""

    unchanged: Literal[True] = True


@frozen(kw_only=True, eq=False, repr=False)
class Empty(Result):
    """A result with nothing but its generation."""
