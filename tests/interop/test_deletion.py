"""Deleting layers beside the real tools: they find a sound store, respect what is staged, and finish what died."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from storaged.metrics import Metrics
from storaged.store.changes import Change
from storaged.store.layout import paths
from storaged.store.layout.records import LayerID
from storaged.store.reader import Loaded, StoreReader
from storaged.store.tables import StoreLocation
from storaged.store.writing.commit import StoreWriter
from storaged.store.writing.prepared import Committed
from storaged.store.writing.recovery import Recovery
from storaged_client.contract.errors import ImageInUse
from tests.support.peers import Peer, PeerMissing, Store, ToolError, workspace

from .rootless import User, user

pytestmark = pytest.mark.timeout(240)


@pytest.fixture(params=["overlay", "vfs"])
def store(request: pytest.FixtureRequest, writing_peer: Peer) -> Iterator[Store]:
    """``base:1`` with ``child:1`` on it, and ``other:1``."""
    with workspace(writing_peer, driver=request.param) as store:
        store.build("base", tag="localhost/base:1")
        store.build("child", tag="localhost/child:1", base="localhost/base:1")
        store.build("other", tag="localhost/other:1")
        yield store


def location_of(store: Store) -> StoreLocation:
    return StoreLocation(graphroot=str(store.graphroot), runroot=str(store.runroot), driver=store.driver)


def loaded(location: StoreLocation) -> Loaded:
    reader = StoreReader(location, metrics=Metrics())
    try:
        return reader.load()
    finally:
        reader.close()


def removal_of(location: StoreLocation, name: str) -> Change:
    """Of an image and of the layers that only it has."""
    tables = loaded(location).tables
    image = next(row.record for row in tables.images if name in (row.record.names or ()))
    others = {row.record.layer for row in tables.images if row.record.id != image.id}
    parents = {row.record.id: row.record.parent for row in tables.layers}
    layers: list[LayerID] = []
    here = image.layer
    while here is not None and here not in others:
        if any(parent == here and child not in layers for child, parent in parents.items()):
            break
        layers.append(here)
        here = parents[here]
    return Change(removed=(image.id,), layers=tuple(layers))


def committed(writer: StoreWriter, location: StoreLocation, change: Change) -> Committed:
    prepared = writer.prepare(change, loaded(location).stamp)
    return writer.commit(prepared, deadline=time.monotonic() + 20)


def remove(store: Store, name: str) -> Change:
    location = location_of(store)
    change = removal_of(location, name)
    writer = StoreWriter(location, metrics=Metrics())
    try:
        assert writer.finish(committed(writer, location, change)) == ()
    finally:
        writer.close()
    return change


def recover(store: Store) -> None:
    writer = StoreWriter(location_of(store), metrics=Metrics())
    try:
        assert Recovery(location_of(store), writer, metrics=Metrics()).run().left == ()
    finally:
        writer.close()


def assert_sound(store: Store, names: set[str]) -> None:
    """The peer lists these names, can read every image whole, and finds no damage; nothing is left on disk."""
    listed = store.podman("images", "--format", "{{.Repository}}:{{.Tag}}").split()
    assert set(listed) == names
    for name in names:
        target = store.work / "pushed"
        store.podman("push", "--tls-verify=false", name, f"dir:{target}")
    if not store.peer.version.startswith("4."):
        store.podman("system", "check")
    folder = Path(paths.layer_contents(str(store.graphroot), store.driver, LayerID("l"))).parent
    recorded = {row.record.id for row in loaded(location_of(store)).tables.layers}
    lying = {path.name for path in folder.iterdir() if len(path.name) == 64}
    assert lying == recorded
    if store.driver == "overlay":
        assert {os.readlink(link).split("/")[1] for link in (folder / "l").iterdir()} == recorded
    splits = {path.name.split(".")[0] for path in (store.graphroot / f"{store.driver}-layers").glob("*.tar-split.gz")}
    assert splits == recorded


def test_an_image_and_its_layer_are_gone_for_every_tool_and_the_rest_is_whole(store: Store) -> None:
    change = remove(store, "localhost/child:1")
    assert len(change.layers) == 1
    assert_sound(store, {"localhost/base:1", "localhost/other:1"})
    store.build("child", tag="localhost/child:1", base="localhost/base:1")
    assert_sound(store, {"localhost/base:1", "localhost/other:1", "localhost/child:1"})
    store.podman("rmi", "localhost/child:1")
    remove(store, "localhost/base:1")
    assert_sound(store, {"localhost/other:1"})


def test_what_is_staged_is_left_alone_by_the_tools_while_it_is_removed(store: Store) -> None:
    location = location_of(store)
    writer = StoreWriter(location, metrics=Metrics())
    try:
        done = committed(writer, location, removal_of(location, "localhost/child:1"))
        staged = sorted((store.graphroot / store.driver / "tempdirs").glob("temp-dir-*/*"))
        assert staged
        store.podman("images")
        store.build("more", tag="localhost/more:1")
        assert sorted((store.graphroot / store.driver / "tempdirs").glob("temp-dir-*/*")) == staged
        assert writer.finish(done) == ()
    finally:
        writer.close()
    assert_sound(store, {"localhost/base:1", "localhost/other:1", "localhost/more:1"})


_KILLED = """
import os, sys, time
from storaged.metrics import Metrics
from storaged.store.changes import Change
from storaged.store.reader import StoreReader
from storaged.store.tables import StoreLocation
from storaged.store.writing.commit import StoreWriter
from tests.acceptance.faults.calls import Intercepted
graphroot, runroot, driver, image, layer, at = sys.argv[1:]
class Ending(Intercepted):
    def make(self, call, perform):
        if at in f"{call.name} {' '.join(map(str, call.arguments.values()))}":
            os._exit(9)
        return perform()
location = StoreLocation(graphroot=graphroot, runroot=runroot, driver=driver)
reader = StoreReader(location, metrics=Metrics())
writer = StoreWriter(location, metrics=Metrics(), files=Ending())
prepared = writer.prepare(Change(removed=(image,), layers=(layer,)), reader.load().stamp)
writer.finish(writer.commit(prepared, deadline=time.monotonic() + 20))
"""


def _killed(store: Store, at: str) -> None:
    """Remove ``child:1`` by a process that ends just before a call of this kind on this path."""
    change = removal_of(location_of(store), "localhost/child:1")
    roots = [str(store.graphroot), str(store.runroot), store.driver]
    argv = [sys.executable, "-c", _KILLED, *roots, change.removed[0], change.layers[0], at]
    assert subprocess.run(argv, check=False, timeout=60).returncode == 9


@pytest.mark.parametrize("moment", ["flagged", "moving", "moved", "removing"])
@pytest.mark.parametrize("first", ["the tool", "storaged"])
def test_a_deletion_that_died_is_finished_by_whoever_comes_first(store: Store, moment: str, first: str) -> None:
    contents = os.path.dirname(paths.layer_contents(str(store.graphroot), store.driver, LayerID("l")))
    call = {
        "flagged": f"mkdir {store.graphroot}/{store.driver}/tempdirs",
        "moving": f"rename {contents}/",
        "moved": f"unlink {'link' if store.driver == 'overlay' else 'file'}",
        "removing": "rmdir ",
    }[moment]
    _killed(store, call)
    if first == "the tool":
        store.podman("images")
        # Tools before 1.59 take staging folders for damage, so they are looked at after recovery.
        store.build("more", tag="localhost/more:1")
    recover(store)
    names = {"localhost/base:1", "localhost/other:1"} | ({"localhost/more:1"} if first == "the tool" else set())
    assert_sound(store, names)
    assert list((store.graphroot / store.driver / "tempdirs").glob("*")) == []


def test_podman_5_6_and_later_clears_what_a_killed_deletion_staged(podman_58: Peer) -> None:
    with workspace(podman_58, driver="overlay") as store:
        store.build("base", tag="localhost/base:1")
        store.build("child", tag="localhost/child:1", base="localhost/base:1")
        _killed(store, "unlink link")
        assert list((store.graphroot / "overlay" / "tempdirs").glob("temp-dir-*/*"))
        store.podman("images")
        assert list((store.graphroot / "overlay" / "tempdirs").iterdir()) == []
        recover(store)
        assert_sound(store, {"localhost/base:1"})


def test_an_image_that_podman_has_mounted_is_refused_until_it_is_unmounted(writing_peer: Peer) -> None:
    with workspace(writing_peer, driver="overlay") as store:
        store.build("base", tag="localhost/base:1")
        store.build("child", tag="localhost/child:1", base="localhost/base:1")
        try:
            store.podman("image", "mount", "localhost/child:1")
        except ToolError as error:
            pytest.skip(f"podman cannot mount here: {error}")
        location = location_of(store)
        writer = StoreWriter(location, metrics=Metrics())
        try:
            with pytest.raises(ImageInUse, match="podman image unmount"):
                writer.prepare(removal_of(location, "localhost/child:1"), loaded(location).stamp)
        finally:
            writer.close()
        store.podman("image", "unmount", "--all")
        remove(store, "localhost/child:1")
        assert_sound(store, {"localhost/base:1"})


# -------------------------------------------------------------- a user's store

_REMOVE = """
import sys, time
from storaged.metrics import Metrics
from storaged.store.changes import Change
from storaged.store.reader import StoreReader
from storaged.store.tables import StoreLocation
from storaged.store.writing.commit import StoreWriter
location = StoreLocation(graphroot=sys.argv[1], runroot=sys.argv[2], driver=sys.argv[3])
reader = StoreReader(location, metrics=Metrics())
loaded = reader.load()
(image,) = [row.record for row in loaded.tables.images if sys.argv[4] in (row.record.names or ())]
writer = StoreWriter(location, metrics=Metrics())
prepared = writer.prepare(Change(removed=(image.id,), layers=(image.layer,)), loaded.stamp)
print(writer.finish(writer.commit(prepared, deadline=time.monotonic() + 20)))
"""


@pytest.fixture
def someone() -> Iterator[User]:
    try:
        with user() as found:
            yield found
    except PeerMissing as missing:
        if os.environ.get("STORAGED_REQUIRE_PEERS") == "1":
            pytest.fail(str(missing))
        pytest.skip(str(missing))


@pytest.mark.parametrize("driver", ["overlay", "vfs"])
def test_layers_with_files_of_subordinate_ids_are_removed_by_their_user(someone: User, driver: str) -> None:
    podman = ["podman", "--storage-driver", driver]
    context = someone.home / "context"
    context.mkdir()
    (context / "file").write_text("x")
    (context / "Containerfile").write_text("FROM scratch\nCOPY --chown=1000:1000 file /dir/file\n")
    for name, text in (("stays", "x"), ("goes", "y")):
        (context / "file").write_text(text)
        try:
            someone.run(*podman, "build", "-q", "--isolation=chroot", "-t", f"localhost/{name}:1", str(context))
        except ToolError as error:
            pytest.skip(f"podman cannot build for a user with {driver} here: {error}")
    before = someone.files()
    own = someone.graphroot.stat().st_uid
    assert {owner for _, owner in before} - {own}, "no file of another id: nothing would be shown"
    arguments = [str(someone.graphroot), str(someone.runroot), driver, "localhost/goes:1"]
    with pytest.raises(ToolError, match="newuidmap"):
        someone.storaged(_REMOVE, *arguments, path="/nowhere")
    assert someone.files() == before
    assert someone.storaged(_REMOVE, *arguments).strip() == "()"
    listed = someone.run(*podman, "images", "--format", "{{.Repository}}:{{.Tag}}").split()
    assert listed == ["localhost/stays:1"]
    after = {path for path, _ in someone.files()}
    layers = json.loads((someone.graphroot / f"{driver}-layers" / "layers.json").read_text())
    assert len(layers) == 1
    contents = Path(paths.layer_contents(str(someone.graphroot), driver, LayerID("l"))).parent
    assert {path.name for path in contents.iterdir() if len(path.name) == 64} == {layers[0]["id"]}
    assert not [path for path in after if "temp-dir-" in path or "journal-" in path]
