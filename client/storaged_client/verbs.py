"""How a function of ``calls`` becomes a method of a manager, blocking or async.

What type checkers know of the methods is in ``managers.pyi``, which is made of the same functions: here they are bound.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Protocol

from .calls import Call

if TYPE_CHECKING:
    import inspect


class Runner(Protocol):
    """A client, of either kind."""

    def run(self, call: Call[Any], /) -> Any:
        """Send, wait or let wait, and return the typed result."""
        ...


class Manager:
    """A noun of a client; each verb is a method of the daemon."""

    def __init__(self, client: Runner) -> None:
        self.client = client


class Verb:
    """A method of a manager: what ``build`` makes of its arguments is sent.

    ``tells``: the daemon tells its progress, to the function given as ``progress``. ``reads``: it takes
    ``if_generation``, and may answer ``Unchanged``. ``inspect.signature`` sees ``build`` with these.
    """

    def __init__(self, build: Callable[..., Call[Any]], *, tells: bool = False, reads: bool = True) -> None:
        self.build = build
        self.tells = tells
        self.reads = reads
        self.__doc__ = build.__doc__

    def __get__(self, manager: Manager | None, owner: type) -> BoundVerb:
        return BoundVerb(self, manager.client if manager is not None else None)

    def call(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Call[Any]:
        """What to send.

        Raises:
            TypeError: the arguments are wrong; the text names the method as the protocol does.
        """
        generation = kwargs.pop("if_generation", None) if self.reads else None
        progress = kwargs.pop("progress", None) if self.tells else None
        try:
            call = self.build(*args, **kwargs)
        except TypeError as error:
            text = str(error).removeprefix(f"{self.build.__name__}() ").removeprefix(f"{self.public}: ")
            raise TypeError(f"{self.public}: {text}") from None
        call.progress = progress
        if generation is not None:
            call.params["if_generation"] = generation
        return call

    @property
    def public(self) -> str:
        """The method's name in the protocol."""
        return self.build.__name__.replace("_", ".", 1)

    @property
    def signature(self) -> inspect.Signature:
        import inspect

        own = inspect.signature(self.build)
        more = {"if_generation": "str | None"} if self.reads else {}
        more |= {"progress": "Listener | None"} if self.tells else {}
        parameters = [
            inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=None, annotation=kind)
            for name, kind in more.items()
        ]
        return own.replace(parameters=[*own.parameters.values(), *parameters])


class BoundVerb:
    """A verb of one client; without a client, of the class."""

    def __init__(self, verb: Verb, client: Runner | None) -> None:
        self.verb = verb
        self._client = client
        self.__doc__ = verb.__doc__

    @property
    def __name__(self) -> str:
        return self.verb.public.partition(".")[2]

    @property
    def __signature__(self) -> inspect.Signature:
        return self.verb.signature

    def __repr__(self) -> str:
        return f"<method {self.verb.public} of storaged>"

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        if self._client is None:
            raise TypeError(f"{self.verb.public} is called on a client: storaged_client.connect().{self.verb.public}()")
        return self._client.run(self.verb.call(args, kwargs))
