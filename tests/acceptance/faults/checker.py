"""Whether a store is the one before a change or the one after it: by its files, by our reader, and after recovery.

Two degrees. *Consistent*, at any instant and whatever happened: each table is one of those the change goes
through, every image stands on layers that are whole, and no tool would take half of anything for all of it.
*Settled*, after recovery: the files are those of before or those of after, and nothing of ours is left over.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator
from typing import Any

from attrs import define, evolve, field

from storaged.metrics import Metrics
from storaged.snapshot.build import build
from storaged.store.content import ContentReader
from storaged.store.layout import paths
from storaged.store.layout.records import ImageID, LayerID
from storaged.store.reader import StoreReader

from .rival import Rival
from .scenes import GRAPHROOT, Store
from .tree import Entry, Tree, below, difference

_OURS = re.compile(r"storaged/(daemon\.lock|reserve|reserve\.d(/\d\d)?|[a-z-]+\.json\.before(-\d{8}T\d{6}Z)?)")
"""What may always lie in our own folder."""

_TOKEN = 64


@define
class Facts:
    """A store's tree, taken apart."""

    tree: Tree
    store: Store
    images: dict[str, dict[str, Any]] = field(init=False)
    layers: dict[str, dict[str, Any]] = field(init=False)
    containers: dict[str, dict[str, Any]] = field(init=False)

    def __attrs_post_init__(self) -> None:
        self.images, self.layers, self.containers = (
            {record["id"]: record for record in self._table(kind)} for kind in ("images", "layers", "containers")
        )

    def _table(self, kind: str) -> list[dict[str, Any]]:
        entry = self.tree.get(f"{self.store.driver}-{kind}/{kind}.json")
        return [] if entry is None or not entry.data else json.loads(entry.data)

    def lock_token(self, kind: str) -> bytes:
        return self.tree[f"{self.store.driver}-{kind}/{kind}.lock"].data

    def table_bytes(self, kind: str) -> bytes:
        entry = self.tree.get(f"{self.store.driver}-{kind}/{kind}.json")
        return b"" if entry is None else entry.data

    def item(self, image: str, key: str) -> Entry | None:
        path = paths.big_data_path("", self.store.driver, ImageID(image), key)
        return self.tree.get(path)

    def contents(self, layer: str) -> dict[str, Entry]:
        """Everything on disk of one layer."""
        driver = self.store.driver
        files = below(self.tree, paths.layer_contents("", driver, LayerID(layer)))
        split = paths.tar_split("", driver, LayerID(layer))
        if split in self.tree:
            files["tar-split"] = self.tree[split]
        if driver == "overlay" and "link" in files:
            link = f"overlay/l/{files['link'].data.decode()}"
            files["l"] = self.tree.get(link, Entry("file", 0, b"no link"))
        return files

    def chain(self, image: str) -> Iterator[str]:
        layer = self.images[image].get("layer")
        while layer:
            yield layer
            layer = self.layers.get(layer, {}).get("parent")

    def settled(self) -> dict[str, Entry]:
        """The tree without what may differ between two settled stores: tokens, and what is always ours."""
        return {
            path: Entry(entry.kind, entry.mode, b"") if path.endswith(".lock") else entry
            for path, entry in self.tree.items()
            if not _OURS.fullmatch(path) and path != "storaged"
        }


def facts(store: Store, tree: Tree) -> Facts:
    """``tree`` is all below the store's top; its graphroot counts."""
    return Facts(below(tree, GRAPHROOT), store)


@define(kw_only=True)
class Checker:
    """Judges states of one store under one change; ``before`` and ``after`` are the settled trees around it."""

    store: Store
    before: Facts
    after: Facts
    dangling: tuple[frozenset[str], ...]
    """What our reader calls dangling before and after, and where another tool wrote in between, then."""
    judged: dict[tuple[int, bool, bool], list[str]] = field(factory=dict, init=False, repr=False)
    """What was wrong with states: many faults leave the same."""

    def beside(self, rival: Rival | None) -> Checker:
        """The same beside another tool: where it has written, that is the store before the change; until then nothing
        is changed."""
        if rival is None:
            return self
        if rival.tree is None:
            return evolve(self, after=self.before)
        return evolve(self, before=facts(self.store, rival.tree))

    def read_back(self) -> list[str]:
        """What is wrong with the state that lies on the disk, as our own reader sees it.

        A list that is half replaced counts as unreadable, and then nothing is dangling.
        """
        flaws, dangling = seen_by_us(self.store)
        if dangling and dangling not in self.dangling:
            flaws.append(f"images are dangling that were not before and are not after: {sorted(dangling)}")
        return flaws

    def consistent(self, tree: Tree, *, alive: bool) -> list[str]:
        """What is wrong with a state nobody has repaired yet; ``alive``: other processes may hold caches of it."""
        try:
            now = facts(self.store, tree)
        except ValueError as error:
            return [f"a table cannot be decoded: {error}"]
        wrong = [*self._tables(now), *self._layers(now), *self._images(now), *self._names(now)]
        wrong += self._tokens(now) if alive else self._backups(now)
        return wrong

    def settled(self, tree: Tree, *, done: bool | None) -> list[str]:
        """What is wrong after recovery. ``done``: it must be the state after (True), before (False), either (None)."""
        now = facts(self.store, tree).settled()
        wanted = [("after", self.after), ("before", self.before)]
        if done is not None:
            wanted = wanted[:1] if done else wanted[1:]
        told: list[str] = []
        for name, each in wanted:
            lines = difference(each.settled(), now)
            if not lines:
                return []
            told.append(f"not the store {name} the change: " + "; ".join(lines[:6]))
        return told

    def done(self, tree: Tree) -> bool | None:
        """Whether a state shows the change already (True), not yet (False); None where that cannot be told."""
        now = facts(self.store, tree)
        for kind in ("images", "containers", "layers"):
            old, new, here = (each.table_bytes(kind) for each in (self.before, self.after, now))
            if old != new:
                return True if here == new else False if here == old else None
        return None

    # -------------------------------------------------------------- parts

    def _tables(self, now: Facts) -> Iterator[str]:
        for kind in ("images", "containers"):
            if now.table_bytes(kind) not in (self.before.table_bytes(kind), self.after.table_bytes(kind)):
                yield f"{kind}.json is neither the old table nor the new one"
        for layer, record in now.layers.items():
            plain = {key: value for key, value in record.items() if key != "flags"}
            if plain != {key: value for key, value in self.before.layers.get(layer, {}).items() if key != "flags"}:
                yield f"layer {layer[:12]} has another record than before"
        if missing := self.after.layers.keys() - now.layers.keys():
            yield f"records of layers that stay are gone: {missing}"

    def _layers(self, now: Facts) -> Iterator[str]:
        for layer, record in now.layers.items():
            flagged = (record.get("flags") or {}).get("incomplete") is True
            if flagged and layer in self.after.layers:
                yield f"layer {layer[:12]} stays and is flagged incomplete"
            if not flagged and (lines := difference(self.before.contents(layer), now.contents(layer))):
                yield f"layer {layer[:12]} is recorded as complete and is not: {lines[:3]}"

    def _images(self, now: Facts) -> Iterator[str]:
        for image, record in now.images.items():
            for layer in now.chain(image):
                if layer not in now.layers:
                    yield f"image {image[:12]} stands on layer {layer[:12]}, which has no record"
                elif (now.layers[layer].get("flags") or {}).get("incomplete") is True:
                    yield f"image {image[:12]} stands on layer {layer[:12]}, which is flagged incomplete"
            for key in record.get("big-data-names") or ():
                entry = now.item(image, key)
                known = [each.item(image, key) for each in (self.before, self.after)]
                if entry is None:
                    yield f"image {image[:12]} has no {key}"
                elif entry not in known:
                    yield f"{key} of image {image[:12]} is neither the old one nor the new one"
                elif _digest(entry.data) != record["big-data-digests"][key] and not self._rolling(now, image):
                    yield f"{key} of image {image[:12]} is not what its record says, and no journal tells of it"
        for container in now.containers.values():
            layer = now.layers.get(container["layer"])
            if layer is None or (layer.get("flags") or {}).get("incomplete") is True:
                yield f"container {container['id'][:12]} stands on no complete layer"

    def _rolling(self, now: Facts, image: str) -> bool:
        """Whether an entry of the journal says that the items of this image are being replaced."""
        return any(
            path.startswith("storaged/journal-") and f'"image":"{image}"'.encode() in entry.data
            for path, entry in now.tree.items()
        )

    def _names(self, now: Facts) -> Iterator[str]:
        bearers: dict[str, str] = {}
        for image, record in now.images.items():
            for name in record.get("names") or ():
                if name in bearers:
                    yield f"{name} is on two images"
                bearers[name] = image

    def _tokens(self, now: Facts) -> Iterator[str]:
        for kind in ("images", "layers", "containers"):
            token = now.lock_token(kind)
            if now.table_bytes(kind) != self.before.table_bytes(kind) and token == self.before.lock_token(kind):
                yield f"{kind}.json was replaced and its token was not renewed before"
            if token and len(token) != _TOKEN:
                yield f"{kind}.lock has a token of {len(token)} bytes"

    def _backups(self, now: Facts) -> Iterator[str]:
        for kind in ("images", "layers", "containers"):
            old = self.before.table_bytes(kind)
            kept = now.tree.get(f"storaged/{kind}.json.before")
            if now.table_bytes(kind) != old and (kept is None or kept.data != old):
                yield f"{kind}.json is another one and there is no copy of the table before"


def _digest(data: bytes) -> str:
    return "sha256:" + hashlib.sha256(data).hexdigest()


def seen_by_us(store: Store) -> tuple[list[str], frozenset[str]]:
    """What our own reader finds wrong with the tables on the disk, and which images it calls dangling."""
    reader = StoreReader(store.location, metrics=Metrics())
    try:
        tables = reader.load().tables
    finally:
        reader.close()
    content = ContentReader(store.location, Metrics())
    snapshot = build(tables, [content.read(row) for row in tables.images], generation="seen", previous=None)
    flaws = [f"{flaw.file}: {flaw.detail}" for flaw in tables.flaws]
    return flaws, frozenset(image.id for image in snapshot.images if image.dangling)
