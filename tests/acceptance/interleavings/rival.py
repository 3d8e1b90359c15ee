"""Another tool at work on the store, one step at a time: what buildah, podman and skopeo do to it, by its rules.

::

    step ─▶ an operation begins, or goes on ─▶ its next pause, with locks in hand or without, or its end
                    │
                    └ a lock is busy: it gives up, as if it had not begun

It has its own lock code, never waits, and does in one thread what several processes would do at once: a record
lock belongs to its descriptor, so it is shut out by ours all the same.
"""

from __future__ import annotations

import errno
import fcntl
import json
import os
import shutil
import struct
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from pathlib import Path
from random import Random
from typing import Any

from attrs import evolve

from storaged.sample.content import (
    OCI_MANIFEST,
    File,
    Instance,
    Layer,
    Recipe,
    Step,
    digest_of,
    layer_id,
    list_bytes,
    tar_of,
)
from storaged.sample.disk import link_of, put_file, write_layer
from storaged.sample.exclusive import publish
from storaged.sample.moments import Moment
from storaged.sample.records import ContainerDraft, image_draft, layer_record, list_draft
from storaged.store.layout import paths
from storaged.store.layout.records import ContainerID, ImageID, LayerID
from storaged.store.tables import StoreLocation

NAMES = tuple(f"localhost/{letter}:latest" for letter in "abcd")
LETTERS = "uvwx"
_MANY = 14
"""Images above which it removes more than it makes."""
_DEEP = 4
_THEN = Moment(ns=1_700_000_000_000_000_000)

Pauses = Generator[None, None, None]


class Busy(Exception):
    """A lock is held by somebody else."""


class Rival:
    """Works on one store. ``holding`` while it pauses with locks in hand."""

    def __init__(self, location: StoreLocation, random: Random) -> None:
        self._root, self._run, self._driver = location.graphroot, location.runroot, location.driver
        self._random = random
        self._at_work: Pauses | None = None
        self._what = ""
        self.holding = 0
        self.recipes: dict[str, Recipe] = {}
        self.removed: set[str] = set()
        """Images it ever removed since this was last cleared, those that came back with their ids among them."""
        self._count = 0

    def step(self) -> str:
        """Begin something or go on with it; says what, and ``busy`` where a lock was not to be had."""
        if self._at_work is None:
            operation = self._choose()
            self._what, self._at_work = operation.__name__.strip("_"), operation()
        try:
            next(self._at_work)
        except StopIteration:
            self._at_work = None
        except Busy:
            self._at_work = None
            return "busy"
        return self._what

    def let_go(self) -> None:
        """Go on until no lock is in hand."""
        while self.holding:
            self.step()

    def end(self) -> None:
        """Go on until the operation has ended."""
        while self._at_work is not None:
            self.step()

    def table(self, noun: str) -> list[dict[str, Any]]:
        path = Path(self._table(noun))
        records: list[dict[str, Any]] = json.loads(path.read_bytes() or b"[]")
        return records

    # -------------------------------------------------------------- operations

    def _choose(self) -> Callable[[], Pauses]:
        images = len(self.table("images"))
        making = 8 if images < _MANY else 2
        choices: list[tuple[Callable[[], Pauses], int]] = [
            (self._build, 2 * making),
            (self._tag, 4),
            (self._untag, 9),
            (self._create_list, making - 2),
            (self._edit_list, 8),
            (self._create_container, 3 if len(self.table("containers")) < 4 else 1),
            (self._delete_container, 4),
            (self._remove, 2 if images < _MANY else 10),
            (self._repair, 40 if self._halves() else 0),
        ]
        return self._random.choices([each for each, _ in choices], [weight for _, weight in choices])[0]

    def _build(self) -> Pauses:
        """A layer, then the record on it, in holds of their own; some make the record first and its data later."""
        random = self._random
        known = [record["id"] for record in self.table("images") if record["id"] in self.recipes]
        base = self.recipes[random.choice(known)] if known and random.random() < 0.75 else None
        if base is not None and len(base.history) >= _DEEP:
            base = None
        recipe = self._recipe(base, random.choice(LETTERS), layered=base is None or random.random() < 0.7)
        top = recipe.chain[-1]
        if base is None or recipe.top != base.top:
            with self._locked("layers") as (lock,):
                records = self.table("layers")
                known = [record["id"] for record in records]
                if top.parent is not None and top.parent not in known:
                    return
                if top.id not in known:
                    write_layer(self._root, self._driver, top)
                    yield from self._pause()
                    publish(Path(self._table("layers")), [*records, layer_record(top)], lock)
            yield
        names = (random.choice(NAMES),) if random.random() < 0.4 else ()
        draft = image_draft(recipe, names=names, second_manifest=random.random() < 0.3)
        later = random.random() < 0.15
        with self._locked("layers", "images") as (_, lock):
            records = self.table("images")
            if top.id not in [record["id"] for record in self.table("layers")]:
                return
            if any(record["id"] == draft.id for record in records):
                return
            _steal(records, names)
            folder = Path(paths.image_dir(self._root, self._driver, ImageID(draft.id)))
            folder.mkdir(mode=0o700)
            whole = draft
            if later:
                draft = evolve(draft, items=())
            for key, data in draft.items:
                put_file(folder / paths.big_data_file(key), data)
            yield from self._pause()
            record = {key: value for key, value in draft.record().items() if value or key == "metadata"}
            publish(Path(self._table("images")), [*records, record], lock)
            self.recipes[draft.id] = recipe
        if later:
            yield
            with self._locked("images") as (lock,):
                records = self.table("images")
                found = [record for record in records if record["id"] == draft.id]
                if found and not found[0].get("big-data-names"):
                    for key, data in whole.items:
                        put_file(folder / paths.big_data_file(key), data)
                    found[0].update({key: whole.record()[key] for key in whole.record() if key.startswith("big-data")})
                    publish(Path(self._table("images")), records, lock)

    def _tag(self) -> Pauses:
        with self._locked("images") as (lock,):
            records = self.table("images")
            if records:
                name, record = self._random.choice(NAMES), self._random.choice(records)
                _steal(records, (name,))
                record["names"] = [name, *(record.get("names") or ())]
                yield from self._pause()
                publish(Path(self._table("images")), records, lock)

    def _untag(self) -> Pauses:
        with self._locked("images") as (lock,):
            records = self.table("images")
            named = [record for record in records if record.get("names")]
            if named:
                self._random.choice(named).pop("names")
                yield from self._pause()
                publish(Path(self._table("images")), records, lock)

    def _create_list(self) -> Pauses:
        list_id = self._random.randbytes(32).hex()
        names = (self._random.choice(NAMES),) if self._random.random() < 0.4 else ()
        with self._locked("images") as (lock,):
            records = self.table("images")
            draft = list_draft(list_id, self._instances(records), {"": list_id}, created=_THEN, names=names)
            _steal(records, names)
            folder = Path(paths.image_dir(self._root, self._driver, ImageID(list_id)))
            folder.mkdir(mode=0o700)
            for key, data in draft.items:
                put_file(folder / paths.big_data_file(key), data)
            yield from self._pause()
            publish(Path(self._table("images")), [*records, draft.record()], lock)

    def _edit_list(self) -> Pauses:
        """The manifest, then the record; now and then the tool dies in between."""
        with self._locked("images") as (lock,):
            records = self.table("images")
            lists = [record for record in records if "instances.json" in record.get("big-data-names", ())]
            if not lists:
                return
            record = self._random.choice(lists)
            data = list_bytes(self._instances(records))
            path = self._manifest(record["id"])
            path.with_name(".new").write_bytes(data)
            path.with_name(".new").rename(path)
            yield from self._pause()
            if self._random.random() < 0.5:
                return
            _describe(record, data)
            publish(Path(self._table("images")), records, lock)

    def _repair(self) -> Pauses:
        """What a tool left half done is done again."""
        with self._locked("images") as (lock,):
            records = self.table("images")
            for record in records:
                if record["id"] in self._halves():
                    _describe(record, self._manifest(record["id"]).read_bytes())
            publish(Path(self._table("images")), records, lock)
        yield

    def _create_container(self) -> Pauses:
        random = self._random
        with self._locked("layers", "images", "containers") as (layers, _, containers):
            records, known = self.table("layers"), self.table("images")
            based = [record for record in known if record.get("layer")]
            if not based:
                return
            image = random.choice(based)
            self._count += 1
            layer = Layer(
                id=random.randbytes(32).hex(),
                parent=image["layer"],
                diff_id="",
                size=0,
                blob_digest="",
                blob_size=0,
                gzip=False,
                created=_THEN.text(),
                container=True,
            )
            draft = ContainerDraft(
                id=random.randbytes(32).hex(),
                name=f"c{self._count}",
                image=image["id"],
                image_name="",
                layer=layer,
                created=_THEN,
                buildah=random.random() < 0.5,
            )
            write_layer(self._root, self._driver, layer)
            publish(Path(self._table("layers")), [*records, layer_record(layer)], layers)
            yield from self._pause()
            Path(paths.containers_dir(self._root, self._driver), draft.id, "userdata").mkdir(parents=True)
            publish(Path(self._table("containers")), [*self.table("containers"), draft.record()], containers)

    def _delete_container(self) -> Pauses:
        with self._locked("layers", "containers") as (layers, containers):
            records = self.table("containers")
            if not records:
                return
            going = self._random.choice(records)
            records.remove(going)
            publish(Path(self._table("containers")), records, containers)
            yield from self._pause()
            shutil.rmtree(Path(paths.containers_dir(self._root, self._driver), ContainerID(going["id"])))
            self._drop_layers([going["layer"]], layers)

    def _remove(self) -> Pauses:
        with self._locked("layers", "images", "containers") as (layers, images, _):
            used = {record["image"] for record in self.table("containers")}
            records = self.table("images")
            free = [record for record in records if record["id"] not in used]
            if not free:
                return
            going = self._random.choice(free)
            records.remove(going)
            self.removed.add(going["id"])
            publish(Path(self._table("images")), records, images)
            yield from self._pause()
            shutil.rmtree(paths.image_dir(self._root, self._driver, ImageID(going["id"])))
            needed = {record.get("layer") for record in (*records, *self.table("containers"))}
            layer = going.get("layer")
            while layer and layer not in needed and all(each.get("parent") != layer for each in self.table("layers")):
                parent = next((each.get("parent") for each in self.table("layers") if each["id"] == layer), None)
                self._drop_layers([layer], layers)
                layer = parent

    # -------------------------------------------------------------- within

    def _pause(self) -> Iterator[None]:
        """Let others go on while the locks are in hand; mostly not."""
        if self._random.random() < 0.25:
            yield

    def _recipe(self, base: Recipe | None, letter: str, *, layered: bool) -> Recipe:
        """Of few letters, so that images and layers that went come back with the ids they had."""
        history = base.history if base is not None else ()
        step = Step(created=_THEN, created_by=f"RUN {letter}", empty_layer=not layered)
        chain = base.chain if base is not None else ()
        if layered:
            file = File(name=f"file-{len(chain)}", data=letter.encode() * 10, mtime=_THEN.ns // 10**9)
            tar = tar_of(file)
            parent = chain[-1].id if chain else None
            layer = Layer(
                id=layer_id(parent, digest_of(tar)),
                parent=parent,
                diff_id=digest_of(tar),
                size=len(tar),
                blob_digest=digest_of(tar),
                blob_size=len(tar),
                gzip=False,
                created=_THEN.text(),
                file=file,
            )
            chain = (*chain, layer)
        return Recipe(created=_THEN, history=(*history, step), chain=chain)

    def _instances(self, records: list[dict[str, Any]]) -> tuple[Instance, ...]:
        """Some images, by any of their digests."""
        digests = [
            digest
            for record in records
            for key, digest in (record.get("big-data-digests") or {}).items()
            if key.startswith("manifest")
        ]
        some = self._random.sample(digests, min(len(digests), self._random.randrange(4)))
        return tuple(Instance(digest=digest, size=1, media_type=OCI_MANIFEST) for digest in dict.fromkeys(some))

    def _halves(self) -> list[str]:
        return [
            record["id"]
            for record in self.table("images")
            if "instances.json" in record.get("big-data-names", ())
            and digest_of(self._manifest(record["id"]).read_bytes()) != record["big-data-digests"]["manifest"]
        ]

    def _drop_layers(self, gone: list[str], lock: int) -> None:
        publish(Path(self._table("layers")), [each for each in self.table("layers") if each["id"] not in gone], lock)
        for layer in map(LayerID, gone):
            folder = Path(paths.layer_contents(self._root, self._driver, layer))
            shutil.rmtree(folder)
            if self._driver == "overlay":
                (folder.parent / "l" / link_of(layer)).unlink()
            Path(paths.tar_split(self._root, self._driver, layer)).unlink(missing_ok=True)

    def _manifest(self, image: str) -> Path:
        return Path(paths.big_data_path(self._root, self._driver, ImageID(image), "manifest"))

    def _table(self, noun: str) -> str:
        return os.path.join(self._root, f"{self._driver}-{noun}", f"{noun}.json")

    @contextmanager
    def _locked(self, *nouns: str) -> Iterator[tuple[int, ...]]:
        """Hold these locks of the store. Only the images' and layers' are of use to who reads; all are exclusive."""
        taken: list[int] = []
        try:
            for noun in nouns:
                path = os.path.join(self._root, f"{self._driver}-{noun}", f"{noun}.lock")
                taken.append(os.open(path, os.O_RDWR | os.O_CLOEXEC))
                try:
                    fcntl.fcntl(taken[-1], fcntl.F_OFD_SETLK, struct.pack("hhqqi4x", fcntl.F_WRLCK, 0, 0, 0, 0))
                except OSError as error:
                    if error.errno not in (errno.EAGAIN, errno.EACCES):
                        raise
                    raise Busy(noun) from None
            self.holding += 1
            try:
                yield tuple(taken)
            finally:
                self.holding -= 1
        finally:
            for descriptor in reversed(taken):
                os.close(descriptor)


def _steal(records: list[dict[str, Any]], names: tuple[str, ...]) -> None:
    for record in records:
        if set(names) & set(record.get("names") or ()):
            record["names"] = [name for name in record["names"] if name not in names]


def _describe(record: dict[str, Any], manifest: bytes) -> None:
    record["big-data-sizes"]["manifest"] = len(manifest)
    record["big-data-digests"]["manifest"] = digest_of(manifest)
