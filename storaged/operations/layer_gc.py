"""Layer GC: which layers are removed with images, one image after the other, and how many bytes that frees.

::

    from the mapped copies, then the top layer, down to the base: a layer is removed unless
        another image has it as top or mapped layer, including incomplete images
        a container has it
        a layer that stays is on top of it, complete or not
        it is in an additional store

Each layer is removed with the last image that needed it, so the first part of the sequence is a complete removal, too:
it frees exactly what nothing needs afterwards. (containers/storage ``store.go``: DeleteImage.)
"""

from __future__ import annotations

from collections.abc import Iterable

from msgspec import Struct

from storaged.snapshot.model import Container, Image, Layer, Snapshot
from storaged.snapshot.sizes import top_layers
from storaged.store.layout.records import LayerID


class Freed(Struct, frozen=True, kw_only=True):
    """``layers`` in an order in which they can be deleted; ``size`` is None while a layer's is unknown."""

    layers: tuple[LayerID, ...]
    size: int | None


class LayerGC:
    """The uses of one snapshot's layers, without those of removed images."""

    def __init__(self, snapshot: Snapshot) -> None:
        self._snapshot = snapshot
        self._uses: dict[LayerID, int] = {}
        self._above: dict[LayerID, int] = {}
        """The number of remaining layers on top of a layer, once any of them was removed."""
        self._gone: set[LayerID] = set()
        for image in snapshot.images:
            self._use(top_layers(image.record), 1)
        for container in snapshot.containers:
            self._use(_layers_of(container), 1)

    def leave(self, image: Image, containers: Iterable[Container] = ()) -> Freed:
        """Remove an image, with containers that use it; in time linear in the layers that only it used."""
        size: int | None = sum(max(0, bytes_) for bytes_ in (image.record.big_data_sizes or {}).values())
        tops = top_layers(image.record)
        self._use(tops, -1)
        # Taken from the end: the containers' layers, the mapped copies, the top layer.
        waiting = [*tops]
        for container in containers:
            own = _layers_of(container)
            self._use(own, -1)
            waiting.extend(own)
        freed: list[LayerID] = []
        while waiting:
            layer = self._snapshot.layer_by_id.get(waiting.pop())
            if layer is None or not self._is_free(layer):
                continue
            self._gone.add(layer.id)
            freed.append(layer.id)
            size = size + layer.size if size is not None and layer.size is not None else None
            below = layer.record.parent
            if below:
                standing = self._above.get(below)
                if standing is None:
                    known = self._snapshot.layer_by_id.get(below)
                    standing = len(known.children) if known is not None else 0
                self._above[below] = standing - 1
                waiting.append(below)
        return Freed(layers=tuple(freed), size=size)

    def _use(self, layers: Iterable[LayerID], more: int) -> None:
        for layer in layers:
            self._uses[layer] = self._uses.get(layer, 0) + more

    def _is_free(self, layer: Layer) -> bool:
        return not (
            layer.store
            or layer.id in self._gone
            or self._uses.get(layer.id, 0)
            or self._above.get(layer.id, len(layer.children))
            or layer.id in self._snapshot.forest.under_incomplete
            or layer.id in self._snapshot.half_made_layers
        )


def _layers_of(container: Container) -> tuple[LayerID, ...]:
    return (container.record.layer,) if container.record.layer else ()
