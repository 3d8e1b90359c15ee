"""Every change of the scenes, and each way it comes about: on a plan that held, or decided under all locks.

Under all locks the daemon changes a store whose other writers leave no gap: what it would change is foreseen and done
ahead, then all locks are taken, and it is read and decided again. Another tool may come in between.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from attrs import frozen

from storaged.store.changes import Change
from storaged_client.contract.errors import ImageUnknown

from .rival import Deed
from .scenes import DRIVERS, LAYERS_GO, MUTATIONS, Store


@frozen(kw_only=True)
class Kind:
    """A change, how it is decided, and what another tool does meanwhile. ``change`` may raise StoragedErrors."""

    change: Callable[[Store], Change]
    first: bool = False
    """Whether no daemon was there before: the folder of our own is still to be made."""
    under_locks: bool = False
    deed: Deed | None = None
    drivers: tuple[str, ...] = DRIVERS[:1]


def _list_add_by_name(store: Store) -> Change:
    """To the list of a name that it may not have yet.

    Raises:
        ImageUnknown: it has not.
    """
    if "localhost/list:2" not in store.image(store.list)["names"]:
        raise ImageUnknown("localhost/list:2: no such image", asked="localhost/list:2")
    return MUTATIONS["list add"](store)


KINDS: Mapping[str, Kind] = {
    **{
        name: Kind(change=change, drivers=DRIVERS if name in LAYERS_GO else DRIVERS[:1])
        for name, change in MUTATIONS.items()
    },
    "list add, the first change": Kind(change=MUTATIONS["list add"], first=True),
    **{f"{name}, under locks": Kind(change=change, under_locks=True) for name, change in MUTATIONS.items()},
    "remove, under locks, beside a pull": Kind(
        change=MUTATIONS["remove"],
        under_locks=True,
        deed=Deed(moment="locking", does=lambda writer, store: writer.add_image("new", base=store.base)),
    ),
    "remove, under locks, tagged meanwhile": Kind(
        change=MUTATIONS["remove"],
        under_locks=True,
        deed=Deed(moment="locking", does=lambda writer, store: writer.set_names(store.loose, ["localhost/kept:1"])),
    ),
    "prune, under locks, one tagged meanwhile": Kind(
        change=MUTATIONS["prune"],
        under_locks=True,
        deed=Deed(moment="foreseen", does=lambda writer, store: writer.set_names(store.child, ["localhost/kept:1"])),
    ),
    "list add, under locks, named meanwhile": Kind(
        change=_list_add_by_name,
        under_locks=True,
        deed=Deed(moment="foreseen", does=lambda writer, store: writer.set_names(store.list, ["localhost/list:2"])),
    ),
}
"""By name: the rows of the crash matrix. What is done ahead are tables, which are the same under each driver."""
