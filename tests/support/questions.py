"""Questions about one image or layer, and stores in which only the number of all others differs."""

from collections.abc import Callable

from storaged.operations import layer_list
from storaged.operations.image_details import details
from storaged.operations.image_history import history
from storaged.operations.image_relations import relations
from storaged.operations.image_tree import tree
from storaged.operations.image_why import why
from storaged.operations.resolving import exists, resolve
from storaged.snapshot.model import Snapshot
from storaged.store.tables import StoreLocation

from .stores import AMD64, HERE, config, digest_of, family, image_id, layer_id

DEPTH = 11
FEW = 10
"""Images, each on so many layers of its own: 110 layers."""
FLEET = 3_929
"""The images of the largest store of the public reports: 43,219 layers."""


def store_of(images: int, depth: int = 1) -> Snapshot:
    """``family``, a list of one of its images, and as many more images, half of them in lists of ten."""
    store = family()
    store.list("list", ("localhost/l:1",), instances=(("label", AMD64),))
    for number in range(images):
        for height in range(depth):
            store.layer(f"layer{number}.{height}", f"layer{number}.{height - 1}" if height else None)
        names = (f"quay.io/team/app{number}:1",) if number % 3 == 0 else ()
        diff_ids = tuple(f"d{number}.{height}" for height in range(depth))
        store.image(
            f"more{number}", names, layer=f"layer{number}.{depth - 1}", config=config((f"h{number}",), diff_ids)
        )
    for first in range(0, images // 2, 10):
        listed = tuple((f"more{number}", AMD64) for number in range(first, first + 10))
        store.list(f"list{first}", (f"localhost/list:{first}",), instances=listed)
    return store.snapshot()


HISTORY = {"history": [{"created_by": "a"}, {"created_by": "b"}, {"created_by": "c", "empty_layer": True}]}

_DISK = StoreLocation(graphroot="/g", runroot="/r", driver="overlay")

QUESTIONS: dict[str, Callable[[Snapshot], object]] = {
    "why": lambda snapshot: why(snapshot, snapshot.by_id[image_id("label")], HERE),
    "relations": lambda snapshot: relations(snapshot, snapshot.by_id[image_id("app")]),
    "history": lambda snapshot: history(snapshot, snapshot.by_id[image_id("label")], HISTORY),
    "tree": lambda snapshot: tree(snapshot, snapshot.by_id[image_id("label")], what_requires=False),
    "what requires": lambda snapshot: tree(snapshot, snapshot.by_id[image_id("base")], what_requires=True),
    "resolve a name": lambda snapshot: resolve(snapshot, "localhost/base", False, HERE),
    "resolve a short name": lambda snapshot: resolve(snapshot, "team/app3:1", False, HERE),
    "resolve a digest": lambda snapshot: resolve(snapshot, digest_of("more5"), False, HERE),
    "resolve a prefix": lambda snapshot: resolve(snapshot, image_id("more5")[:20], False, HERE),
    "resolve a list": lambda snapshot: resolve(snapshot, "localhost/l:1", False, HERE),
    "layers.get": lambda snapshot: layer_list.get(snapshot, layer_id("two")),
    "a layer's tree": lambda snapshot: layer_list.tree(snapshot, layer_id("one")),
    "images.get": lambda snapshot: details(snapshot, snapshot.by_id[image_id("label")], {}, _DISK),
    "exists": lambda snapshot: exists(snapshot, "localhost/base", False, HERE),
    "does not exist": lambda snapshot: exists(snapshot, "nowhere/none:1", False, HERE),
}
