"""The nouns of both clients. Each verb is one function of ``calls``, bound here once for each client.

A verb that reads may be called with ``if_generation``, and then returns ``Unchanged`` where that is still current. One
that may take long also takes ``progress``, a function that is called with each ``Progress`` the daemon tells.

``managers.pyi`` beside this has the same with all types written out; ``python -m from_code.stubs`` in docs/ makes it.
"""

from __future__ import annotations

from functools import partial

from . import calls, change_calls
from .verbs import Manager, Verb

Change = partial(Verb, reads=False)

ON_THE_CLIENT = ("check", "usage", "refresh")
"""Verbs of the store that the client itself has, too; ``managers.pyi`` has them as ``ClientVerbs``."""


class Server(Manager):
    info = Verb(calls.server_info)
    ping = Verb(calls.server_ping)
    stats = Verb(calls.server_stats)
    shutdown = Change(calls.server_shutdown)


class AsyncServer(Server):
    """The same, awaited."""


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
    create = Change(change_calls.images_create)
    tag = Change(change_calls.images_tag)
    untag = Change(change_calls.images_untag)
    remove = Change(change_calls.images_remove, tells=True)
    prune = Change(change_calls.images_prune, tells=True)


class AsyncImages(Images):
    """The same, awaited."""


class Layers(Manager):
    list = Verb(calls.layers_list)
    get = Verb(calls.layers_get)
    tree = Verb(calls.layers_tree)


class AsyncLayers(Layers):
    """The same, awaited."""


class Manifests(Manager):
    list = Verb(calls.manifests_list)
    get = Verb(calls.manifests_get)
    exists = Verb(calls.manifests_exists)
    referenced = Verb(calls.manifests_referenced)
    create = Change(change_calls.manifests_create)
    add = Change(change_calls.manifests_add, tells=True)
    annotate = Change(change_calls.manifests_annotate)
    remove_instance = Change(change_calls.manifests_remove_instance)
    remove = Change(change_calls.manifests_remove, tells=True)


class AsyncManifests(Manifests):
    """The same, awaited."""


class Containers(Manager):
    list = Verb(calls.containers_list)


class AsyncContainers(Containers):
    """The same, awaited."""


class Store(Manager):
    check = Verb(calls.store_check, tells=True)
    usage = Verb(calls.store_usage)
    refresh = Verb(calls.store_refresh)
    lease = Change(change_calls.store_lease)
    release = Change(change_calls.store_release)


class AsyncStore(Store):
    """The same, awaited."""
