"""The disk floor beside the real podman: same store found, same locks respected, no load in mid-transaction."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import threading
import time
from pathlib import Path

import pytest

from storaged.metrics import Metrics
from storaged.store import inventory
from storaged.store.config import discover
from storaged.store.content import ContentReader
from storaged.store.files import Files
from storaged.store.layout import paths
from storaged.store.locks.order import hold
from storaged.store.reader import StoreReader, WriterActive
from storaged.store.tables import StoreLocation
from storaged_client.contract.errors import StoreBusy
from tests.support.peers import Peer, PeerMissing, Store, podman_43, podman_58

from .load_race import race

pytestmark = pytest.mark.timeout(120)

CONF = """
[storage]
driver = "vfs"
graphroot = "{work}/g$UID"
runroot = "$HOME/r"
[storage.options]
additionalimagestores = ["{work}/ro"]
"""


@pytest.fixture(params=[podman_43, podman_58], ids=["4.3", "5.8"])
def peer(request: pytest.FixtureRequest) -> Peer:
    try:
        found: Peer = request.param()
    except PeerMissing as missing:
        if os.environ.get("STORAGED_REQUIRE_PEERS") == "1":
            pytest.fail(str(missing))
        pytest.skip(str(missing))
    return found


@pytest.fixture
def store(peer: Peer, short_dir: Path) -> Store:
    store = Store(peer=peer, work=short_dir)
    store.prepare()
    store.podman("images", "-q")
    return store


def location_of(store: Store) -> StoreLocation:
    return StoreLocation(graphroot=str(store.graphroot), runroot=str(store.runroot), driver=store.driver)


@pytest.mark.parametrize(
    ("variables", "flags"),
    [
        ({"CONTAINERS_STORAGE_CONF": "named.conf"}, {}),
        ({"CONTAINERS_STORAGE_CONF": "named.conf"}, {"root": "other"}),
        ({"CONTAINERS_STORAGE_CONF": "named.conf"}, {"runroot": "other"}),
        ({"CONTAINERS_STORAGE_CONF": "named.conf"}, {"driver": "vfs"}),
        ({"CONTAINERS_STORAGE_CONF": "named.conf", "STORAGE_OPTS": ""}, {}),
        ({"XDG_CONFIG_HOME": "xdg"}, {}),
    ],
    ids=["named file", "root flag", "runroot flag", "driver flag", "empty STORAGE_OPTS", "XDG_CONFIG_HOME of root"],
)
def test_the_store_found_is_the_one_podman_opens(
    peer: Peer, short_dir: Path, variables: dict[str, str], flags: dict[str, str]
) -> None:
    store = Store(peer=peer, work=short_dir)
    store.prepare()
    store.run("podman", "--root", f"{short_dir}/ro", "--runroot", f"{short_dir}/rr", "images", "-q")
    for path in ("named.conf", "xdg/containers/storage.conf"):
        (short_dir / path).parent.mkdir(parents=True, exist_ok=True)
        (short_dir / path).write_text(CONF.format(work=short_dir))
    env = {name: value for name, value in store.environment().items() if name != "CONTAINERS_STORAGE_CONF"}
    env |= {name: f"{short_dir}/{value}" if value else "" for name, value in variables.items()}
    given = {name: value if name == "driver" else f"{short_dir}/{value}" for name, value in flags.items()}
    options = [f"--{'storage-driver' if name == 'driver' else name}={value}" for name, value in given.items()]
    done = subprocess.run(
        peer.argv(short_dir, ["podman", *options, "info", "--format", "json"]),
        env=env, capture_output=True, text=True, check=True,
    )  # fmt: skip
    told = json.loads(done.stdout)["store"]
    found = discover(env, 0, given.get("root"), given.get("runroot"), given.get("driver"))
    assert found.graphroot == told["graphRoot"]
    assert found.runroot == told["runRoot"]
    assert found.driver == told["graphDriverName"]
    additional = [value for key, value in (told["graphOptions"] or {}).items() if key.endswith("imagestore")]
    assert list(found.additional) == additional
    if "configFile" in told and "CONTAINERS_STORAGE_CONF" in variables:
        assert found.config_file == told["configFile"]


@pytest.mark.parametrize("mode", ["shared", "exclusive"])
@pytest.mark.parametrize("name", ["layers", "images", "containers"])
def test_podman_waits_while_we_hold_a_lock(store: Store, mode: str, name: str) -> None:
    """The kernel's own list shows podman blocked by our hold; it ends once we let go."""
    location = location_of(store)
    lock = next(path for path in inventory.lock_files(location) if path.endswith(f"{name}.lock"))
    inode = os.stat(lock).st_ino
    log = store.work / "log"
    with hold(
        [lock], "shared" if mode == "shared" else "exclusive", deadline=time.monotonic() + 10, files=Files(),
        metrics=Metrics(),
    ):  # fmt: skip
        process = store.start("podman", "images", "-q", log=log)
        until = time.monotonic() + 20
        while not _blocked(inode):
            assert process.poll() is None, log.read_text()
            assert time.monotonic() < until, "podman never waited for us"
            threading.Event().wait(0.01)
    assert process.wait(20) == 0


def _blocked(inode: int) -> bool:
    return any("->" in line and f":{inode} " in line for line in Path("/proc/locks").read_text().splitlines())


def test_we_see_and_respect_podmans_own_lock(store: Store) -> None:
    """While podman waits for its input under the layers lock, the probe names it and no shared hold is let in."""
    reader = StoreReader(location_of(store), metrics=Metrics())
    stop = threading.Event()
    seen: set[tuple[str | None, str | None]] = set()

    def write() -> None:
        turn = 0
        while not stop.is_set():
            turn += 1
            store.build(f"content {turn}", tag="localhost/busy:1")

    writer = threading.Thread(target=write)
    writer.start()
    try:
        until = time.monotonic() + 60
        while len(seen) < 1 and time.monotonic() < until:
            holder = reader.writer()
            if holder is not None:
                seen.add((holder.command, holder.mode))
    finally:
        stop.set()
        writer.join(100)
        reader.close()
    assert {mode for _, mode in seen} == {"write"}
    assert {command for command, _ in seen} <= {"podman", "buildah", "exe"}


def test_every_change_of_podman_is_in_the_next_load_and_every_content_is_whole(store: Store) -> None:
    reader = StoreReader(location_of(store), metrics=Metrics())
    contents = ContentReader(location_of(store), Metrics())
    before = reader.stamp()
    store.build("one", tag="localhost/one:1")
    assert reader.stamp() != before
    store.podman("manifest", "create", "localhost/l:1", "containers-storage:localhost/one:1")
    tables = reader.load().tables
    by_name = {name: row for row in tables.images for name in row.record.names or ()}
    assert set(by_name) == {"localhost/one:1", "localhost/l:1"}
    listed, image = contents.read(by_name["localhost/l:1"]), contents.read(by_name["localhost/one:1"])
    assert listed.manifest is not None
    assert image.manifest is not None
    assert listed.manifest.is_list
    assert image.config is not None
    assert (listed.damage, image.damage) == ((), ())
    assert [instance.digest for instance in listed.manifest.instances] == [by_name["localhost/one:1"].record.digest]
    store.podman("untag", "localhost/one:1", "localhost/one:1")
    assert {name for row in reader.load().tables.images for name in row.record.names or ()} == {"localhost/l:1"}
    store.podman("manifest", "rm", "localhost/l:1")
    assert len(reader.load().tables.images) == len(tables.images) - 1
    reader.close()


def test_no_load_beside_a_busy_podman_is_in_mid_transaction(peer: Peer) -> None:
    assert race(peer, 5000, seed=7, writers=2) == []


@pytest.fixture
def debian_store(short_dir: Path) -> Store:
    try:
        peer = podman_43()
    except PeerMissing as missing:
        if os.environ.get("STORAGED_REQUIRE_PEERS") == "1":
            pytest.fail(str(missing))
        pytest.skip(str(missing))
    if shutil.which("containers-storage") is None:
        pytest.skip("no containers-storage on this machine: apt-get install containers-storage")
    store = Store(peer=peer, work=short_dir)
    store.prepare()
    store.podman("images", "-q")
    return store


def test_a_layer_import_waiting_for_its_tar_excludes_us_and_is_named(debian_store: Store) -> None:
    """The import holds layers.lock until its standard input ends: both ways of exclusion, without a race."""
    location = location_of(debian_store)
    lock = paths.layers_lock(location.graphroot, location.driver)
    command = ["containers-storage", "--graph", location.graphroot, "--run", location.runroot,
               "--storage-driver", location.driver, "import-layer"]  # fmt: skip
    reader = StoreReader(location, metrics=Metrics())
    with subprocess.Popen(
        command, env=debian_store.environment(), stdin=subprocess.PIPE, stdout=subprocess.DEVNULL
    ) as rival:
        assert rival.stdin is not None
        until = time.monotonic() + 20
        while (holder := reader.writer()) is None or holder.lock != lock or holder.pid != rival.pid:
            assert time.monotonic() < until, "the import never took its lock"
        with pytest.raises(WriterActive) as active:
            reader.load()
        assert active.value.holder.command == "containers-stor"
        with (
            pytest.raises(StoreBusy) as busy,
            hold([lock], "shared", deadline=time.monotonic() + 0.1, files=Files(), metrics=Metrics()),
        ):
            pass
        assert busy.value.data["holder"] == {"pid": rival.pid, "command": "containers-stor", "mode": "write"}
        beside = reader.load_unproven().tables
        assert not beside.proven
        assert any(row.record.incomplete for row in beside.layers)
        rival.stdin.write(b"\0" * 1024)
        rival.stdin.close()
        assert rival.wait(20) == 0
    after = reader.load().tables
    assert after.proven
    assert [row.record.incomplete for row in after.layers] == [False]
    reader.close()


def test_containers_storage_waits_while_we_hold_a_lock(debian_store: Store) -> None:
    location = location_of(debian_store)
    lock = paths.images_lock(location.graphroot, location.driver)
    inode = os.stat(lock).st_ino
    with hold([lock], "shared", deadline=time.monotonic() + 10, files=Files(), metrics=Metrics()):
        process = debian_store.start(
            "containers-storage", "--graph", location.graphroot, "--run", location.runroot,
            "--storage-driver", location.driver, "images", log=debian_store.work / "log",
        )  # fmt: skip
        until = time.monotonic() + 20
        while not _blocked(inode):
            assert process.poll() is None
            assert time.monotonic() < until, "containers-storage never waited for us"
            threading.Event().wait(0.01)
    assert process.wait(20) == 0
