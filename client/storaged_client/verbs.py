"""Turns a row of the method table into a method of a manager, blocking or async.

Type checkers cannot follow that. They read ``managers.pyi``, which is generated from the same rows.
"""

from __future__ import annotations

import inspect
from functools import cached_property
from typing import Any, Protocol

from .calls import SINGLE, Call, request, signature
from .contract.methods import Method

_OF_ONE = "Given one name instead of several: that image, or the error of that name."


class Runner(Protocol):
    """A client, of either kind."""

    def run(self, call: Call[Any], /) -> Any:
        """Send the request, wait or return an awaitable, and return the typed result."""
        ...


class Manager:
    """A noun of a client; each verb is a method of the daemon."""

    def __init__(self, client: Runner) -> None:
        self.client = client


class Verb:
    """A method of a manager: its arguments are sent as the parameters of one row of the table."""

    def __init__(self, row: Method) -> None:
        self.row = row

    def __get__(self, manager: Manager | None, owner: type) -> BoundVerb:
        return BoundVerb(self, manager.client if manager is not None else None)

    @cached_property
    def signature(self) -> inspect.Signature:
        """What ``inspect.signature`` returns for the method."""
        return signature(self.row)

    @cached_property
    def documentation(self) -> str:
        """Summary, parameters and errors of the method, as in the protocol."""
        said = [self.row.summary, inspect.getdoc(self.row.params) if self.row.params.__doc__ else ""]
        said += [_OF_ONE if self.row.name == SINGLE else ""]
        said += [f"Raises: {', '.join(dict.fromkeys(self.row.errors))}." if self.row.errors else ""]
        return "\n\n".join(filter(None, said))

    @cached_property
    def _names(self) -> tuple[tuple[str, ...], frozenset[str], frozenset[str]]:
        """Names of arguments: those that may be positional, the required ones, all."""
        parameters = self.signature.parameters.values()
        positional = tuple(one.name for one in parameters if one.kind is one.POSITIONAL_OR_KEYWORD)
        required = frozenset(one.name for one in parameters if one.default is one.empty)
        return positional, required, frozenset(self.signature.parameters)

    def _bound(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> dict[str, Any]:
        positional, required, known = self._names
        given = {**dict(zip(positional, args, strict=False)), **kwargs}
        if len(given) == len(args) + len(kwargs) and required <= given.keys() <= known:
            return given
        return self.signature.bind(*args, **kwargs).arguments  # which takes five times as long, and raises

    def call(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Call[Any]:
        """The request to send.

        Raises:
            TypeError: the arguments are wrong; the text names the method as the protocol does.
        """
        try:
            return request(self.row, self._bound(args, kwargs))
        except TypeError as error:
            raise TypeError(f"{self.row.name}: {error}") from None


class BoundVerb:
    """A verb of one client; without a client, of the class."""

    def __init__(self, verb: Verb, client: Runner | None) -> None:
        self.verb = verb
        self._client = client
        self.__name__ = verb.row.verb
        self.__doc__ = verb.documentation

    @property
    def __signature__(self) -> inspect.Signature:
        return self.verb.signature

    def __repr__(self) -> str:
        return f"<method {self.verb.row.name} of storaged>"

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        name = self.verb.row.name
        if self._client is None:
            raise TypeError(f"{name} is called on a client: storaged_client.connect().{name}()")
        return self._client.run(self.verb.call(args, kwargs))
