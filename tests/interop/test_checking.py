"""The check beside the real tools: silent on what they leave, right about what is planted, and mended as it says."""

from __future__ import annotations

import os
import platform
import shutil
import struct
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from storaged.engine.content import Contents
from storaged.engine.loading import Loader
from storaged.metrics import Metrics
from storaged.operations.store_flaws import recorded
from storaged.store.checking.findings import Finding
from storaged.store.checking.loss import Loss, LossWatch
from storaged.store.checking.walk import walk
from storaged.store.content import ContentReader
from storaged.store.reader import StoreReader
from storaged.store.tables import StoreLocation
from tests.support.damaged import Damaged, everything
from tests.support.peers import Peer, Store, workspace

pytestmark = pytest.mark.timeout(180)

_CODE = bytes.fromhex("b8220000000f05ebf7")
"""Forever pause(2), for x86-64."""

_HIDE_UNIFIED = 'umount /sys/fs/cgroup/unified 2>/dev/null; exec "$@"'
"""crun refuses a machine with both kinds of cgroups; in a mount namespace of its own it need not see one."""


@pytest.fixture(params=["overlay", "vfs"])
def driver(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def store(writing_peer: Peer, driver: str) -> Iterator[Store]:
    with workspace(writing_peer, driver=driver) as store:
        _fill(store)
        yield store


@pytest.fixture
def overlay_store(writing_peer: Peer) -> Iterator[Store]:
    with workspace(writing_peer, driver="overlay") as store:
        _fill(store)
        yield store


def _fill(store: Store) -> None:
    """Images on each other, of podman and buildah, dangling ones, lists full and empty, containers of both."""
    store.build("one", tag="localhost/one:1")
    store.build("two", tag="localhost/two:1", base="localhost/one:1")
    store.build("three", base="localhost/two:1")
    store.buildah_image("four", tag="localhost/four:1")
    store.podman("manifest", "create", "localhost/list:1", "containers-storage:localhost/one:1")
    store.podman("manifest", "add", "localhost/list:1", "containers-storage:localhost/two:1")
    store.podman("manifest", "create", "localhost/empty:1")
    store.podman("untag", "localhost/four:1", "localhost/four:1")
    store.podman("create", "--name", "created", "localhost/one:1", "/none")
    store.buildah("from", "localhost/two:1")


def _damaged(store: Store) -> Damaged:
    location = StoreLocation(graphroot=str(store.graphroot), runroot=str(store.runroot), driver=store.driver)
    return Damaged(location=location)


def _names(found: list[Finding]) -> list[tuple[str, str]]:
    return [(each.name, each.id) for each in found]


def _mend(found: Finding) -> None:
    assert found.mend is not None
    subprocess.run(["sh", "-c", found.mend], check=True)


def test_what_the_tools_leave_has_no_finding_and_is_not_touched(store: Store) -> None:
    checked = _damaged(store)
    before = everything(store.work)
    assert checked.check("records") == checked.check("files") == checked.check("contents") == []
    assert _losses(checked.location) == ()
    assert everything(store.work) == before


def _losses(location: StoreLocation) -> tuple[Loss, ...]:
    """What ``info`` tells of loss."""
    reader = StoreReader(location, metrics=Metrics())
    try:
        contents = Contents(ContentReader(location, Metrics()))
        loader = Loader(reader, contents, Metrics())
        snapshot = loader.load(unproven=False, afresh=False, cancelled=lambda: False).snapshot
    finally:
        reader.close()
    return LossWatch(location).look(snapshot.generation, lambda: recorded(snapshot, 1 + len(location.additional)))


def test_a_table_that_was_emptied_is_a_loss_and_one_that_the_tools_empty_is_none(store: Store) -> None:
    checked = _damaged(store)
    table = checked.table("images")
    whole = table.read_bytes()
    for data in (b"", b"[]"):
        table.write_bytes(data)
        assert [loss.name for loss in _losses(checked.location)] == ["table_lost"]
    table.write_bytes(whole)
    store.buildah("rm", "-a")
    store.podman("rm", "-a")
    store.podman("rmi", "-a", "-f")
    assert checked.records("images") == []
    assert _losses(checked.location) == ()
    assert checked.check("files") == []


def test_removals_and_edits_leave_no_finding(store: Store) -> None:
    store.podman("rm", "created")
    store.buildah("rm", "-a")
    store.podman("manifest", "rm", "localhost/empty:1")
    store.podman("image", "prune", "-f")
    store.podman("tag", "localhost/two:1", "localhost/again:1")
    store.podman("rmi", "localhost/two:1")
    store.podman("save", "-o", f"{store.work}/saved.tar", "localhost/again:1")
    store.podman("rmi", "localhost/again:1")
    store.podman("load", "-i", f"{store.work}/saved.tar")
    assert _damaged(store).check() == []


def test_a_store_with_mounted_layers_has_no_finding(store: Store) -> None:
    store.podman("mount", "created")
    store.podman("image", "mount", "localhost/one:1")
    try:
        assert _damaged(store).check() == []
    finally:
        store.podman("umount", "-a")
        store.podman("image", "umount", "-a")


def test_running_containers_bring_no_finding(writing_peer: Peer, driver: str) -> None:
    if platform.machine() != "x86_64":
        pytest.skip("the program is for x86-64")
    run = ["unshare", "-m", "sh", "-c", _HIDE_UNIFIED, "sh", "podman", "run", "-d", "--ulimit", "nofile=1024:1024",
           "--ulimit", "nproc=1024:1024", "--cgroups=disabled", "--network=none"]  # fmt: skip
    with workspace(writing_peer, driver=driver) as store:
        _fill(store)
        context = store.work / "context" / "pause"
        context.mkdir()
        (context / "pause").write_bytes(_program())
        (context / "pause").chmod(0o755)
        (context / "Containerfile").write_text('FROM localhost/one:1\nCOPY pause /pause\nCMD ["/pause"]\n')
        store.podman("build", "-q", "--pull=never", "--isolation=chroot", "-t", "localhost/pause:1", str(context))
        try:
            for name in ("kept", "passing"):
                options = ["--name", name, *(["--rm"] if name == "passing" else [])]
                store.run(*run, *options, "localhost/pause:1")
            pids = store.podman("inspect", "--format", "{{.State.Status}} {{.State.Pid}}", "kept", "passing")
            for line in pids.splitlines():
                status, pid = line.split()
                assert (status, Path(f"/proc/{pid}/comm").read_text()) == ("running", "pause\n")
            assert len(pids.splitlines()) == 2
            assert _damaged(store).check() == []
        finally:
            store.podman("rm", "-f", "-t", "0", "kept", "passing", accept=(0, 1, 125))
        assert _damaged(store).check() == []


def _program() -> bytes:
    """A whole program in one segment, as elf(5) has it."""
    header = b"\x7fELF\x02\x01\x01" + bytes(9)
    header += struct.pack("<HHIQQQIHHHHHH", 2, 62, 1, 0x400078, 64, 0, 0, 64, 56, 1, 0, 0, 0)
    size = 120 + len(_CODE)
    return header + struct.pack("<IIQQQQQQ", 1, 5, 0, 0x400000, 0x400000, size, size, 0x1000) + _CODE


def test_checks_beside_busy_tools_bring_no_finding(store: Store) -> None:
    checked = _damaged(store)
    stop = threading.Event()
    failures: list[Exception] = []

    def work() -> None:
        turn = 0
        try:
            while not stop.is_set():
                turn += 1
                id = store.build(f"busy {turn}", tag="localhost/busy:1", base="localhost/two:1")
                store.podman("manifest", "add", "localhost/empty:1", f"containers-storage:{id}")
                store.podman("rmi", "localhost/busy:1")
        except Exception as error:
            failures.append(error)

    writer = threading.Thread(target=work)
    writer.start()
    found: list[Finding] = []
    rounds = 0
    try:
        while rounds < 40 and not failures:
            rounds += 1
            for step in walk(checked.location, scope="contents"):
                found += step.findings
    finally:
        stop.set()
        writer.join(120)
    assert failures == []
    assert _names(found) == []


# ---------------------------------------------------------------- planted, judged and mended by the tools


def test_a_lost_link_is_mended_as_told(overlay_store: Store) -> None:
    """Without ``lower-layers``, as a tool before 1.63 made the layer: for later ones the link is all there is."""
    checked = _damaged(overlay_store)
    base = checked.base["id"]
    for record in checked.records("layers"):
        (checked.contents(record["id"]) / "lower-layers").unlink(missing_ok=True)
    checked.link(base).unlink()
    found = checked.check()
    assert _names(found) == [("link_lost", base)]
    _mend(found[0])
    assert checked.check() == []
    overlay_store.podman("create", "--name", "after", "localhost/two:1", "/none")
    overlay_store.podman("mount", "after")
    overlay_store.podman("umount", "after")


def test_an_empty_lower_layers_is_mended_as_told(overlay_store: Store) -> None:
    checked = _damaged(overlay_store)
    layer = checked.layer["id"]
    path = checked.contents(layer) / "lower-layers"
    written = path.read_text() if path.exists() else None
    path.write_bytes(b"")
    found = checked.check()
    assert _names(found) == [("lower_layers_empty", layer)]
    _mend(found[0])
    assert checked.check() == []
    assert written in (None, path.read_text())
    overlay_store.podman("image", "mount", "localhost/two:1")
    overlay_store.podman("image", "umount", "localhost/two:1")


def test_lost_link_files_and_lowers_are_mended_to_what_they_were(overlay_store: Store) -> None:
    checked = _damaged(overlay_store)
    layer = checked.layer["id"]
    paths = [checked.contents(layer) / "link", checked.contents(layer) / "lower"]
    written = [path.read_text() for path in paths]
    for path in paths:
        path.write_bytes(b"")
    found = checked.check()
    assert [each.name for each in found] == ["link_file_lost", "lower_lost"]
    for each in found:
        _mend(each)
    assert [path.read_text() for path in paths] == written
    assert checked.check() == []


def test_a_missing_manifest_stops_podman_and_is_mended_as_told(store: Store) -> None:
    checked = _damaged(store)
    id = checked.image["id"]
    checked.item(id, "manifest").unlink()
    store.podman("images", accept=(125,))
    found = checked.check()
    assert _names(found) == [("manifest_missing", id)]
    _mend(found[0])
    assert checked.check() == []
    store.podman("images")


def test_an_invalid_name_stops_podman_and_is_mended_as_told(store: Store) -> None:
    checked = _damaged(store)
    image = checked.image
    checked.edit("images", image["id"], names=[*image["names"], "Bad Name:1"])
    store.podman("images", accept=(125,))
    found = checked.check()
    assert _names(found) == [("name_invalid", image["id"])]
    assert found[0].mend is not None
    if shutil.which("containers-storage") is None or store.peer.root is not None:
        return
    options = f"--graph {store.graphroot} --run {store.runroot} --storage-driver {store.driver}"
    store.run("sh", "-c", found[0].mend.replace("containers-storage", f"containers-storage {options}"))
    assert checked.check() == []
    store.podman("images")


def test_an_image_without_its_folder_works_again_after_a_load(store: Store) -> None:
    """The mend for images that no registry has; of the lost manifest only its bytes under the old digest stay lost."""
    checked = _damaged(store)
    store.podman("save", "-o", f"{store.work}/saved.tar", "localhost/one:1")
    image = next(record for record in checked.records("images") if "localhost/one:1" in record.get("names", ()))
    shutil.rmtree(checked.image_dir(image["id"]))
    store.podman("images", accept=(125,))
    found = checked.check()
    assert _names(found) == [("image_directory_missing", image["id"])]
    assert found[0].mend is not None
    assert "load" in found[0].mend
    store.podman("load", "-i", f"{store.work}/saved.tar")
    store.podman("images")
    assert {(each.name, each.id) for each in checked.check()} <= {("big_data_missing", image["id"])}


def test_a_lost_layer_comes_back_once_its_images_are_removed_and_loaded(store: Store) -> None:
    checked = _damaged(store)
    store.buildah_image("alone", tag="localhost/alone:1")
    store.podman("save", "-o", f"{store.work}/saved.tar", "localhost/alone:1")
    image = next(record for record in checked.records("images") if "localhost/alone:1" in record.get("names", ()))
    if store.driver == "overlay":
        checked.link(image["layer"]).unlink()
    shutil.rmtree(checked.contents(image["layer"]))
    found = checked.check()
    assert _names(found) == [("layer_directory_missing", image["layer"])]
    assert found[0].images == (image["id"],)
    store.podman("rmi", "localhost/alone:1")
    store.podman("load", "-i", f"{store.work}/saved.tar")
    assert checked.check() == []


def test_an_incomplete_layer_is_removed_by_the_next_command(store: Store) -> None:
    checked = _damaged(store)
    id = "a" * 64
    records = [*checked.records("layers"), {"id": id, "created": "2024-01-01T00:00:00Z", "flags": {"incomplete": True}}]
    checked.write("layers", records)
    found = checked.check()
    assert _names(found) == [("layer_incomplete", id)]
    assert found[0].mend == "podman images"
    store.podman("images")
    assert checked.check() == []


def test_debris_is_collected_as_told(store: Store) -> None:
    checked = _damaged(store)
    id = "a" * 64
    checked.image_dir(id).mkdir()
    checked.contents(id).mkdir()
    checked.tar_split(id).write_bytes(b"")
    found = checked.check()
    assert sorted(each.name for each in found) == [
        "image_directory_orphan",
        "layer_directory_orphan",
        "tar_split_orphan",
    ]
    assert {each.severity for each in found} == {"debris"}
    if store.peer.root is not None:
        store.podman("system", "prune", "--external", "-f")
        assert checked.check() == []


def test_a_killed_build_leaves_debris_or_a_half_made_image(store: Store) -> None:
    """podman 4.3 saves an image's record before its data; all else a kill leaves is removed next time, or debris."""
    checked = _damaged(store)
    for turn in range(6):
        content = store.work / "context" / f"big{turn}"
        content.mkdir()
        (content / "file").write_bytes(os.urandom(24 << 20))
        (content / "Containerfile").write_text("FROM localhost/one:1\nCOPY file /file\n")
        build = store.start(
            "podman", "build", "-q", "--pull=never", "--isolation=chroot", str(content), log=store.work / "log"
        )
        threading.Event().wait(0.15 * (turn + 1))
        build.kill()
        build.wait(60)
    store.podman("images")
    found = checked.check()
    assert [each for each in found if each.severity != "debris" and each.name != "image_half_made"] == []


def test_the_check_reads_a_store_that_podman_43_would_erase(podman_43: Peer) -> None:
    with workspace(podman_43) as store:
        _fill(store)
        checked = _damaged(store)
        table = Path(checked.table("images"))
        table.write_bytes(table.read_bytes()[:700])
        assert _names(checked.check()) == [("table_unreadable", str(table))]
        assert len(table.read_bytes()) == 700
