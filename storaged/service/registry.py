"""The method table bound to its handlers; a method without a handler fails at import.

Most methods answer from one view of the store. A few concern the daemon itself and must answer even if the store
cannot be read, so they are given no view. Changes are decided on a view of their own (``Call.change``); their answers
are of the generation that they made.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any, Final

from msgspec import Struct

from storaged.service import image_changes, images, layers, leases, list_changes, manifests, server, store
from storaged.service.context import Call, Waiting
from storaged.service.encoding import Found
from storaged_client.contract.methods import METHODS, Method


class Handler(Struct, frozen=True, kw_only=True):
    """How one method is answered."""

    method: Method
    run: Callable[[Call, Any], Found | Waiting[Found]]
    waits: bool
    """Whether it always has to wait. Others are called as soon as their view is there, without a task."""
    reads: bool
    """Whether it is given a view of the store."""
    repeats: bool
    """Whether its answer depends only on the view and the parameters: then it is kept for the next request that has
    the same, unless the answer says otherwise (``Encoded.lasting``)."""


def _sync(
    method: str,
    run: Callable[[Call, Any], Found | Waiting[Found]],
    *,
    reads: bool = True,
    repeats: bool = False,
) -> Handler:
    """A handler that does not wait, or returns an async function when it has to."""
    return Handler(method=METHODS[method], run=run, waits=False, reads=reads, repeats=repeats)


def _async(method: str, run: Callable[[Call, Any], Awaitable[Found]], *, reads: bool = True) -> Handler:
    def begin(call: Call, params: Any) -> Waiting[Found]:
        return partial(run, call, params)

    return Handler(method=METHODS[method], run=begin, waits=True, reads=reads, repeats=False)


_ALL = (
    _sync("images.list", images.list_images, repeats=True),
    _sync("images.exists", images.exists, repeats=True),
    _sync("images.resolve", images.resolve, repeats=True),
    _sync("images.why", images.why, repeats=True),
    _sync("images.relations", images.relations, repeats=True),
    _sync("images.tree", images.tree, repeats=True),
    _async("images.get", images.get),
    _async("images.history", images.history),
    _async("images.data", images.data),
    _sync("layers.list", layers.list_layers, repeats=True),
    _sync("layers.get", layers.get, repeats=True),
    _sync("layers.tree", layers.tree, repeats=True),
    _sync("manifests.list", manifests.list_manifests, repeats=True),
    _sync("manifests.get", manifests.get, repeats=True),
    _sync("manifests.exists", manifests.exists, repeats=True),
    _sync("manifests.referenced", manifests.referenced, repeats=True),
    _sync("containers.list", store.list_containers, repeats=True),
    _async("store.usage", store.usage),
    _async("store.lease", leases.lease),
    _sync("store.release", leases.release, reads=False),
    _async("store.refresh", store.refresh, reads=False),
    _async("store.check", store.check, reads=False),
    _sync("server.ping", server.ping, reads=False),
    _async("server.info", server.info, reads=False),
    _async("server.stats", server.stats, reads=False),
    _sync("server.shutdown", server.shutdown, reads=False),
    _async("images.tag", image_changes.tag),
    _async("images.untag", image_changes.untag),
    _async("images.remove", image_changes.remove_images),
    _async("images.prune", image_changes.prune_images),
    _async("images.create", list_changes.create_image),
    _async("manifests.create", list_changes.create),
    _async("manifests.add", list_changes.add),
    _async("manifests.annotate", list_changes.annotate),
    _async("manifests.remove_instance", list_changes.remove_instance),
    _async("manifests.remove", list_changes.remove),
)

HANDLERS: Final = {handler.method.name: handler for handler in _ALL}

if METHODS.keys() != HANDLERS.keys():
    raise ImportError(f"methods without a handler: {METHODS.keys() ^ HANDLERS.keys()}")
