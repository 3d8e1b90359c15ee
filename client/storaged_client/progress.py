"""The progress of a long call, as the daemon reports it."""

from __future__ import annotations

from collections.abc import Callable
from itertools import count
from typing import Any, NamedTuple

METHOD = "$/progress"


class Progress(NamedTuple):
    """``done`` of ``total`` things; ``unit`` names them in the plural, ``message`` says what is being done."""

    done: int
    total: int
    unit: str
    message: str


Listener = Callable[[Progress], object]

_tokens = count(1)


def with_token(params: dict[str, Any] | list[Any] | None) -> dict[str, Any]:
    """The parameters of a call that wants progress reports.

    Raises: TypeError, if they are positional.
    """
    if isinstance(params, list):
        raise TypeError("progress reports need params by name")
    return {**(params or {}), "progress_token": next(_tokens)}


class News:
    """The newest progress of one call, until the call's own thread or task takes it."""

    __slots__ = ("_listener", "_newest", "token")

    def __init__(self, params: dict[str, Any] | list[Any] | None, listener: Listener | None) -> None:
        self._listener = listener
        self._newest: Progress | None = None
        self.token = params.get("progress_token") if listener is not None and isinstance(params, dict) else None

    @property
    def waiting(self) -> bool:
        return self._newest is not None

    def put(self, params: Any) -> bool:
        """Store what a notification says, if it is about this call and not empty."""
        if self._listener is None or type(params) is not dict or params.get("token") != self.token:
            return False
        done, total = params.get("done"), params.get("total")
        if type(done) is not int or type(total) is not int:
            return False
        self._newest = Progress(done, total, str(params.get("unit", "")), str(params.get("message", "")))
        return True

    def tell(self) -> None:
        """Call the listener with the stored progress. Raises what it raises."""
        newest, self._newest = self._newest, None
        if newest is not None and self._listener is not None:
            self._listener(newest)
