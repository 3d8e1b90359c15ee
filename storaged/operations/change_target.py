"""Finds the record for a change: the first match of a name, a manifest list itself and never its instance.

podman's ``rmi`` and ``untag`` take the list's local instance instead, and so delete or rename an image that nobody
named. ``compat = "podman"`` in storaged.toml restores that (``addressed``). Removals of names or images are stricter
about the name:

::

    an id, sha256:ID, sha256:DIGEST       certain
    a name with a registry                certain
    a short name, the beginning of an id  as looked up; refused while a file of registries.conf is skipped, because
                                          with that file it may mean another image
    fewer than 3 digits of an id          refused
"""

from __future__ import annotations

from typing import Final

from storaged.operations.name_lookup import Found, hits, shortened
from storaged.operations.query_context import QueryContext
from storaged.operations.resolving import find
from storaged.snapshot.model import Snapshot
from storaged.store.layout import references
from storaged_client.contract.errors import ImageUnknown, InvalidName

SHORTEST_ID: Final = 3
"""The minimum number of digits of an id for a removal."""

_HEX = frozenset("0123456789abcdef")


def itself(snapshot: Snapshot, name: str, view: QueryContext) -> Found:
    """The first record that a name matches.

    Raises:
        ImageUnknown, AmbiguousName, InvalidName: see ``name_lookup.hits``.
    """
    for found in hits(snapshot, name, view):
        return found
    raise ImageUnknown(f"{shortened(name)}: image not known", asked=name[:200])


def certainly(snapshot: Snapshot, name: str, view: QueryContext) -> Found:
    """The same, for the removal of a name or an image.

    Raises:
        ImageUnknown, AmbiguousName, InvalidName: as ``itself``, or the name is not certain enough.
    """
    if view.short_name_doubts and not _certain(name):
        raise InvalidName(
            f"{shortened(name)}: a short name may mean another image while a file of registries.conf cannot be used "
            f"({view.short_name_doubts[0]}); give the full name or the whole id",
            asked=name[:200],
        )
    found = itself(snapshot, name, view)
    if found.how == "id_prefix" and len(found.name) < SHORTEST_ID:
        raise InvalidName(
            f"{shortened(name)}: at least {SHORTEST_ID} digits of an id are needed to remove something",
            asked=name[:200],
        )
    return found


def addressed(snapshot: Snapshot, name: str, view: QueryContext, *, or_list: bool) -> Found:
    """The record that ``rmi`` and ``untag`` address: as ``certainly``, or like podman if the daemon is set so.

    For a list, podman takes the instance for this platform; if none is local, the list itself with ``or_list``.

    Raises:
        ImageUnknown, AmbiguousName, InvalidName: as ``certainly``; or it is a list without an instance here.
    """
    found = certainly(snapshot, name, view)
    if not view.podman_lists or not found.image.is_list:
        return found
    return find(snapshot, name, manifest=False, or_list=or_list, view=view)


def _certain(name: str) -> bool:
    text = name.removeprefix("containers-storage:").removeprefix("@")
    bare = text.removeprefix("sha256:")
    if len(bare) == 64 and _HEX.issuperset(bare):
        return True
    try:
        return references.parse(text).qualified
    except InvalidName:
        return False
