"""The writer's commits beside the real podman: it takes each for its own, and neither loses the other's changes."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from attrs import frozen

from storaged.metrics import Metrics
from storaged.store.changes import Change, ImageEdit, Item, NewImage
from storaged.store.layout.records import ImageID, ImageRecord
from storaged.store.reader import StoreReader
from storaged.store.tables import StoreLocation
from storaged.store.writing.commit import StoreWriter
from storaged.store.writing.prepared import PlanOutdated
from tests.support.peers import Peer, Store, workspace

pytestmark = pytest.mark.timeout(300)

LIST = ImageID("ab" * 32)
CREATED = "2024-01-02T03:04:05.123456789Z"


@frozen(kw_only=True)
class Beside:
    """The writer and a podman on one store."""

    store: Store
    reader: StoreReader
    writer: StoreWriter

    def images(self) -> dict[str, ImageRecord]:
        return {row.record.id: row.record for row in self.reader.load().tables.images}

    def apply(self, change: Change) -> None:
        """Commit under all locks: no race can be lost."""
        with self.writer.exclusively(time.monotonic() + 30):
            prepared = self.writer.prepare(change, self.reader.load_locked().stamp)
            committed = self.writer.commit(prepared, deadline=time.monotonic() + 30)
        assert self.writer.finish(committed) == ()

    def shown(self) -> dict[str, list[str]]:
        """The names of each image as podman lists them."""
        rows = json.loads(self.store.podman("images", "--all", "--format", "json"))
        return {row["Id"]: row.get("Names") or [] for row in rows}


@contextmanager
def beside(peer: Peer, driver: str = "vfs") -> Iterator[Beside]:
    with workspace(peer, driver=driver) as store:
        store.podman("images", "-q")
        location = StoreLocation(graphroot=str(store.graphroot), runroot=str(store.runroot), driver=driver)
        reader, writer = StoreReader(location, metrics=Metrics()), StoreWriter(location, metrics=Metrics())
        try:
            yield Beside(store=store, reader=reader, writer=writer)
        finally:
            reader.close()
            writer.close()


def manifest_list(entries: list[tuple[bytes, str]], sources: dict[str, str]) -> tuple[Item, ...]:
    """The items of a list that names these manifests."""
    named = [
        {
            "mediaType": "application/vnd.oci.image.manifest.v1+json",
            "digest": digest(data),
            "size": len(data),
            "platform": {"architecture": architecture, "os": "linux"},
        }
        for data, architecture in entries
    ]
    index = {"schemaVersion": 2, "mediaType": "application/vnd.oci.image.index.v1+json", "manifests": named}
    return (
        Item(key="manifest", data=json.dumps(index).encode()),
        Item(key="instances.json", data=json.dumps(sources).encode()),
        Item(key="artifacts.json", data=b"{}"),
    )


def digest(data: bytes) -> str:
    return "sha256:" + hashlib.sha256(data).hexdigest()


def test_podman_takes_every_kind_of_commit_for_its_own(writing_peer: Peer) -> None:
    with beside(writing_peer) as both:
        store = both.store
        one, two = store.build("one", tag="localhost/one:1"), store.build("two", tag="localhost/two:1")
        both.apply(Change(edits=(ImageEdit(image=ImageID(one), members={"names": ["localhost/new:1"]}),)))
        assert both.shown() == {one: ["localhost/new:1"], two: ["localhost/two:1"]}

        data = (store.graphroot / "vfs-images" / one / "manifest").read_bytes()
        members = {"id": LIST, "names": ["localhost/list:1"], "created": CREATED}
        both.apply(Change(added=(NewImage(members=members, items=manifest_list([], {"": LIST})),)))
        assert json.loads(store.podman("manifest", "inspect", "localhost/list:1"))["manifests"] in ([], None)
        items = manifest_list([(data, "amd64")], {digest(data): f"containers-storage:localhost/new:1@{one}"})
        both.apply(Change(edits=(ImageEdit(image=LIST, items=items),), editing=(LIST,)))
        (entry,) = json.loads(store.podman("manifest", "inspect", "localhost/list:1"))["manifests"]
        assert entry["digest"] == digest(data)
        store.podman("manifest", "annotate", "--arch", "arm64", "localhost/list:1", digest(data))
        assert both.images()[LIST].digest == digest(items[0].data)

        gone = both.images()[two]
        assert gone.layer is not None
        both.apply(Change(removed=(ImageID(two),), layers=(gone.layer,)))
        assert set(both.shown()) == {one, LIST}
        if writing_peer.version.startswith("5."):
            store.podman("system", "check", "--quick")
        again = store.build("two", tag="localhost/two:2")
        store.podman("tag", again, "localhost/three:1")
        store.podman("rmi", "--all", "--force")
        assert both.images() == {}


_TAGGER = """
import subprocess, sys
for number in range(int(sys.argv[2])):
    subprocess.run([*sys.argv[3:], "podman", "tag", sys.argv[1], f"localhost/theirs:{number}"], check=True)
"""


def test_neither_loses_what_the_other_writes(writing_peer: Peer) -> None:
    """Each side adds names to its own image; a lost update would take earlier ones away."""
    tags = 15
    with beside(writing_peer) as both:
        store = both.store
        theirs, ours = store.build("theirs"), ImageID(store.build("ours"))
        enter = store.peer.argv(store.work, [])
        tagger = subprocess.Popen(
            [sys.executable, "-c", _TAGGER, theirs, str(tags), *enter], env=store.environment(), cwd=store.work
        )
        added: list[str] = []
        while tagger.poll() is None:
            name = f"localhost/ours:{len(added)}"
            loaded = both.reader.load_unproven()
            change = Change(edits=(ImageEdit(image=ours, members={"names": [*added, name]}),))
            try:
                prepared = both.writer.prepare(change, loaded.stamp)
                both.writer.commit(prepared, deadline=time.monotonic() + 30)
            except PlanOutdated:
                continue
            added.append(name)
            time.sleep(0.01)
        assert tagger.wait() == 0
        images = both.images()
        assert images[ours].names == tuple(added)
        assert len(added) > tags
        assert set(images[theirs].names or ()) == {f"localhost/theirs:{number}" for number in range(tags)}
