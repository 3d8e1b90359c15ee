"""The nouns of both clients. Each verb is one function of ``calls``, bound here once for each client.

A verb called with ``if_generation`` may return ``Unchanged``; without it, it returns its own result. One that may take
long also takes ``progress``, a function that is called with each ``Progress`` the daemon tells.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any, Generic, ParamSpec, Protocol, TypeVar, overload

from . import calls, change_calls
from .calls import Call

if TYPE_CHECKING:
    import inspect

    from .contract.types import Unchanged
    from .progress import Listener

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


class _Described:
    """What ``help`` and ``inspect.signature`` see: the function of ``calls``, ``if_generation`` and ``progress``.

    ``tells``: the daemon tells the progress of the method.
    """

    def __init__(self, build: Callable[..., Call[Any]], *, tells: bool) -> None:
        self._build = build
        self._tells = tells
        self.__doc__ = build.__doc__

    def _call(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Call[Any]:
        generation = kwargs.pop("if_generation", None)
        progress = kwargs.pop("progress", None) if self._tells else None
        call = self._build(*args, **kwargs)
        call.progress = progress
        if generation is not None:
            call.params["if_generation"] = generation
        return call

    @property
    def __name__(self) -> str:
        return self._build.__name__.partition("_")[2]

    @property
    def __signature__(self) -> inspect.Signature:
        import inspect

        own = inspect.signature(self._build)
        more = {"if_generation": "str | None"} | ({"progress": "Listener | None"} if self._tells else {})
        parameters = [
            inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=None, annotation=kind)
            for name, kind in more.items()
        ]
        return own.replace(parameters=[*own.parameters.values(), *parameters])


class Verb(_Described, Generic[P, R]):
    """A method of a blocking manager."""

    def __init__(self, build: Callable[P, Call[R]], *, tells: bool = False) -> None:
        super().__init__(build, tells=tells)

    def __get__(self, manager: Manager | None, owner: type) -> BoundVerb[P, R]:
        return BoundVerb(self._build, manager.client if manager else None, tells=self._tells)


class BoundVerb(_Described, Generic[P, R]):
    def __init__(self, build: Callable[P, Call[R]], client: Blocking | None, *, tells: bool) -> None:
        super().__init__(build, tells=tells)
        self._client = client

    @overload
    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R: ...
    @overload
    def __call__(self, *args: Any, if_generation: str, **kwargs: Any) -> R | Unchanged: ...
    @overload
    def __call__(self, *args: Any, progress: Listener | None, **kwargs: Any) -> R: ...
    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        if self._client is None:
            raise TypeError("a verb is called on the manager of a client")
        return self._client.run(self._call(args, kwargs))


class AsyncVerb(_Described, Generic[P, R]):
    """A method of an async manager: the same parameters, awaited."""

    def __init__(self, build: Callable[P, Call[R]], *, tells: bool = False) -> None:
        super().__init__(build, tells=tells)

    def __get__(self, manager: AsyncManager | None, owner: type) -> AsyncBoundVerb[P, R]:
        return AsyncBoundVerb(self._build, manager.client if manager else None, tells=self._tells)


class AsyncBoundVerb(_Described, Generic[P, R]):
    def __init__(self, build: Callable[P, Call[R]], client: Awaited | None, *, tells: bool) -> None:
        super().__init__(build, tells=tells)
        self._client = client

    @overload
    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> Awaitable[R]: ...
    @overload
    def __call__(self, *args: Any, if_generation: str, **kwargs: Any) -> Awaitable[R | Unchanged]: ...
    @overload
    def __call__(self, *args: Any, progress: Listener | None, **kwargs: Any) -> Awaitable[R]: ...
    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        if self._client is None:
            raise TypeError("a verb is called on the manager of a client")
        return self._client.run(self._call(args, kwargs))


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
    create = Verb(change_calls.images_create)
    tag = Verb(change_calls.images_tag)
    untag = Verb(change_calls.images_untag)
    remove = Verb(change_calls.images_remove, tells=True)
    prune = Verb(change_calls.images_prune, tells=True)


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
    create = AsyncVerb(change_calls.images_create)
    tag = AsyncVerb(change_calls.images_tag)
    untag = AsyncVerb(change_calls.images_untag)
    remove = AsyncVerb(change_calls.images_remove, tells=True)
    prune = AsyncVerb(change_calls.images_prune, tells=True)


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
    create = Verb(change_calls.manifests_create)
    add = Verb(change_calls.manifests_add)
    annotate = Verb(change_calls.manifests_annotate)
    remove_instance = Verb(change_calls.manifests_remove_instance)
    remove = Verb(change_calls.manifests_remove, tells=True)


class AsyncManifests(AsyncManager):
    list = AsyncVerb(calls.manifests_list)
    get = AsyncVerb(calls.manifests_get)
    exists = AsyncVerb(calls.manifests_exists)
    referenced = AsyncVerb(calls.manifests_referenced)
    create = AsyncVerb(change_calls.manifests_create)
    add = AsyncVerb(change_calls.manifests_add)
    annotate = AsyncVerb(change_calls.manifests_annotate)
    remove_instance = AsyncVerb(change_calls.manifests_remove_instance)
    remove = AsyncVerb(change_calls.manifests_remove, tells=True)


class Containers(Manager):
    list = Verb(calls.containers_list)


class AsyncContainers(AsyncManager):
    list = AsyncVerb(calls.containers_list)


class Store(Manager):
    check = Verb(calls.store_check, tells=True)
    usage = Verb(calls.store_usage)
    refresh = Verb(calls.store_refresh)
    lease = Verb(change_calls.store_lease)
    release = Verb(change_calls.store_release)


class AsyncStore(AsyncManager):
    check = AsyncVerb(calls.store_check, tells=True)
    usage = AsyncVerb(calls.store_usage)
    refresh = AsyncVerb(calls.store_refresh)
    lease = AsyncVerb(change_calls.store_lease)
    release = AsyncVerb(change_calls.store_release)
