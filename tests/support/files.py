"""The system calls on a store, one by one: the seam at which a test fails, delays, alters or counts them."""

from __future__ import annotations

import inspect
import os
import threading
from collections.abc import Callable, Mapping
from typing import Any

from attrs import frozen

from storaged.store.files import Files


@frozen(kw_only=True)
class Call:
    """One system call before it is made."""

    name: str
    arguments: Mapping[str, Any]

    @property
    def path(self) -> str:
        """The path or name it is given, that of its descriptor, or the target of a rename."""
        for name in ("path", "target", "name"):
            if name in self.arguments:
                return str(self.arguments[name])
        return os.readlink(f"/proc/self/fd/{self.arguments['fd']}")

    def __str__(self) -> str:
        told = [os.path.basename(str(value)) for value in self.arguments.values() if isinstance(value, str)]
        return f"{self.name}({', '.join(told)})"


class HookedFiles(Files):
    """Hands each call to :meth:`make`, which makes it or does something else.

    The methods of :class:`Files` are wrapped as they are, whichever there are.
    """

    def reached(self, call: Call, perform: Callable[[], Any]) -> Any:
        return self.make(call, perform)

    def make(self, call: Call, perform: Callable[[], Any]) -> Any:
        return perform()


def _wrap(name: str, method: Callable[..., Any]) -> Callable[..., Any]:
    parameters = list(inspect.signature(method).parameters.values())[1:]
    names = [each.name for each in parameters]
    defaults = {each.name: each.default for each in parameters if each.default is not each.empty}

    def wrapped(self: HookedFiles, *positional: Any, **named: Any) -> Any:
        given = {**defaults, **dict(zip(names, positional, strict=False)), **named}
        call = Call(name=name, arguments={each: given[each] for each in names})
        return self.reached(call, lambda: method(self, *positional, **named))

    return wrapped


METHODS = tuple(name for name, _ in inspect.getmembers(Files, inspect.isfunction) if not name.startswith("_"))

for _name in METHODS:
    setattr(HookedFiles, _name, _wrap(_name, getattr(Files, _name)))


class FaultyFiles(HookedFiles):
    """Does something at some calls.

    ``on``: the names of those calls. ``path``: how their path ends (of a rename, the target's), or a predicate.
    ``error``: the number of the error they fail with, or the exception. ``at``: the first that fails, counted from 1;
    ``times``: how many do, all if None. ``before`` is called with each of them before it is made or fails; ``after``
    with each that was made and its result, and returns what the caller gets.

    ``calls`` are those that were reached. Nothing happens while ``armed`` is false.
    """

    def __init__(
        self,
        on: str,
        *,
        path: str | Callable[[Call], bool] = "",
        error: int | BaseException | type[BaseException] | None = None,
        at: int = 1,
        times: int | None = None,
        before: Callable[[Call], object] | None = None,
        after: Callable[[Call, Any], Any] | None = None,
        armed: bool = True,
    ) -> None:
        self._on = frozenset(on.split())
        assert self._on <= set(METHODS), on
        self._path = path
        self._error = error
        self._at = at
        self.times = times
        self._before = before
        self._after = after
        self.armed = armed
        self.calls: list[Call] = []
        self.failed = 0
        self._mutex = threading.Lock()

    def make(self, call: Call, perform: Callable[[], Any]) -> Any:
        if not self.armed or call.name not in self._on or not self._chosen(call):
            return perform()
        with self._mutex:
            self.calls.append(call)
            fails = self._fails()
            self.failed += fails
        if self._before is not None:
            self._before(call)
        if fails:
            assert self._error is not None
            raise self._error if not isinstance(self._error, int) else _os_error(self._error, call)
        done = perform()
        return done if self._after is None else self._after(call, done)

    def _fails(self) -> bool:
        late = len(self.calls) >= self._at and (self.times is None or self.failed < self.times)
        return self._error is not None and late

    def _chosen(self, call: Call) -> bool:
        if callable(self._path):
            return self._path(call)
        return not self._path or call.path.endswith(self._path)


def _os_error(number: int, call: Call) -> OSError:
    return OSError(number, os.strerror(number), call.arguments.get("source") or call.path)
