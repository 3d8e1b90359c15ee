"""The nouns of both clients. Each verb is one function of ``calls``, bound here once for each client.

A verb called with ``if_generation`` may return ``Unchanged``; without it, it returns its own result.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any, Generic, ParamSpec, Protocol, TypeVar, overload

from . import calls
from .calls import Call

if TYPE_CHECKING:
    import inspect

    from .contract.types import Unchanged

P = ParamSpec("P")
R = TypeVar("R")


class Blocking(Protocol):
    def run(self, call: Call[R], /) -> Any:
        """Send, wait, and return the typed result."""
        ...


class Awaited(Protocol):
    async def run(self, call: Call[R], /) -> Any:
        """Send, await, and return the typed result."""
        ...


def _build(build: Callable[..., Call[R]], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Call[R]:
    generation = kwargs.pop("if_generation", None)
    call = build(*args, **kwargs)
    if generation is not None:
        call.params["if_generation"] = generation
    return call


def _signature(build: Callable[..., Any]) -> inspect.Signature:
    import inspect

    own = inspect.signature(build)
    generation = inspect.Parameter(
        "if_generation", inspect.Parameter.KEYWORD_ONLY, default=None, annotation="str | None"
    )
    return own.replace(parameters=[*own.parameters.values(), generation])


class _Described:
    """What ``help`` and ``inspect.signature`` see: the function of ``calls``, and ``if_generation``."""

    def __init__(self, build: Callable[..., Call[Any]]) -> None:
        self._build = build
        self.__doc__ = build.__doc__

    @property
    def __name__(self) -> str:
        return self._build.__name__.partition("_")[2]

    @property
    def __signature__(self) -> inspect.Signature:
        return _signature(self._build)


class Verb(_Described, Generic[P, R]):
    """A method of a blocking manager."""

    def __init__(self, build: Callable[P, Call[R]]) -> None:
        super().__init__(build)

    def __get__(self, manager: Manager | None, owner: type) -> BoundVerb[P, R]:
        return BoundVerb(self._build, manager.client if manager else None)


class BoundVerb(_Described, Generic[P, R]):
    def __init__(self, build: Callable[P, Call[R]], client: Blocking | None) -> None:
        super().__init__(build)
        self._client = client

    @overload
    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R: ...
    @overload
    def __call__(self, *args: Any, if_generation: str, **kwargs: Any) -> R | Unchanged: ...
    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        if self._client is None:
            raise TypeError("a verb is called on the manager of a client")
        return self._client.run(_build(self._build, args, kwargs))


class AsyncVerb(_Described, Generic[P, R]):
    """A method of an async manager: the same parameters, awaited."""

    def __init__(self, build: Callable[P, Call[R]]) -> None:
        super().__init__(build)

    def __get__(self, manager: AsyncManager | None, owner: type) -> AsyncBoundVerb[P, R]:
        return AsyncBoundVerb(self._build, manager.client if manager else None)


class AsyncBoundVerb(_Described, Generic[P, R]):
    def __init__(self, build: Callable[P, Call[R]], client: Awaited | None) -> None:
        super().__init__(build)
        self._client = client

    @overload
    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> Awaitable[R]: ...
    @overload
    def __call__(self, *args: Any, if_generation: str, **kwargs: Any) -> Awaitable[R | Unchanged]: ...
    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        if self._client is None:
            raise TypeError("a verb is called on the manager of a client")
        return self._client.run(_build(self._build, args, kwargs))


class Manager:
    def __init__(self, client: Blocking) -> None:
        self.client = client


class AsyncManager:
    def __init__(self, client: Awaited) -> None:
        self.client = client


class Server(Manager):
    info = Verb(calls.server_info)
    ping = Verb(calls.server_ping)
    stats = Verb(calls.server_stats)
    shutdown = Verb(calls.server_shutdown)


class AsyncServer(AsyncManager):
    info = AsyncVerb(calls.server_info)
    ping = AsyncVerb(calls.server_ping)
    stats = AsyncVerb(calls.server_stats)
    shutdown = AsyncVerb(calls.server_shutdown)


class Images(Manager):
    list = Verb(calls.images_list)
    get = Verb(calls.images_get)
    exists = Verb(calls.images_exists)
    resolve = Verb(calls.images_resolve)
    why = Verb(calls.images_why)
    relations = Verb(calls.images_relations)
    history = Verb(calls.images_history)
    tree = Verb(calls.images_tree)
    data = Verb(calls.images_data)


class AsyncImages(AsyncManager):
    list = AsyncVerb(calls.images_list)
    get = AsyncVerb(calls.images_get)
    exists = AsyncVerb(calls.images_exists)
    resolve = AsyncVerb(calls.images_resolve)
    why = AsyncVerb(calls.images_why)
    relations = AsyncVerb(calls.images_relations)
    history = AsyncVerb(calls.images_history)
    tree = AsyncVerb(calls.images_tree)
    data = AsyncVerb(calls.images_data)


class Layers(Manager):
    list = Verb(calls.layers_list)
    get = Verb(calls.layers_get)
    tree = Verb(calls.layers_tree)


class AsyncLayers(AsyncManager):
    list = AsyncVerb(calls.layers_list)
    get = AsyncVerb(calls.layers_get)
    tree = AsyncVerb(calls.layers_tree)


class Manifests(Manager):
    list = Verb(calls.manifests_list)
    get = Verb(calls.manifests_get)
    exists = Verb(calls.manifests_exists)
    referenced = Verb(calls.manifests_referenced)


class AsyncManifests(AsyncManager):
    list = AsyncVerb(calls.manifests_list)
    get = AsyncVerb(calls.manifests_get)
    exists = AsyncVerb(calls.manifests_exists)
    referenced = AsyncVerb(calls.manifests_referenced)


class Containers(Manager):
    list = Verb(calls.containers_list)


class AsyncContainers(AsyncManager):
    list = AsyncVerb(calls.containers_list)


class Store(Manager):
    check = Verb(calls.store_check)
    usage = Verb(calls.store_usage)
    refresh = Verb(calls.store_refresh)


class AsyncStore(AsyncManager):
    check = AsyncVerb(calls.store_check)
    usage = AsyncVerb(calls.store_usage)
    refresh = AsyncVerb(calls.store_refresh)
