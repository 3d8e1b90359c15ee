"""Changes through a real daemon at a real socket: leases, the log, and what a start finishes."""

from __future__ import annotations

import json
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from storaged.sample import SampleSpec, write_store
from tests.support.client import Client
from tests.support.daemon import PATIENCE, serving

BACKENDS = pytest.mark.parametrize("backend", ["trio", "asyncio"])


def lay(folder: Path) -> Any:
    return write_store(folder / "root", folder / "run", SampleSpec(images=20, seed=1))


def until(condition: Callable[[], Any]) -> Any:
    deadline = time.monotonic() + PATIENCE
    while not (found := condition()):
        assert time.monotonic() < deadline
        time.sleep(0.01)
    return found


def removed(client: Client) -> set[str]:
    return {image["id"] for image in client.call("images.prune")["removed"]}


@BACKENDS
def test_a_lease_keeps_an_image_from_prune_until_its_client_is_gone(short_dir: Path, backend: str) -> None:
    image = sorted(lay(short_dir).dangling)[0]
    with serving(short_dir, "--backend", backend) as daemon, daemon.client() as pruning:
        with daemon.client() as leasing:
            lease = leasing.call("store.lease", images=[image])
            assert lease["images"] == [image]
            taken = removed(pruning)
            assert taken
            assert image not in taken
        until(lambda: pruning.call("images.why", name=image)["prunable"])
        assert removed(pruning) == {image}


@BACKENDS
def test_a_change_is_seen_on_disk_and_in_the_log_and_by_the_same_client_at_once(short_dir: Path, backend: str) -> None:
    image = sorted(lay(short_dir).dangling)[0]
    with serving(short_dir, "--backend", backend) as daemon, daemon.client() as client:
        tagged = client.call("images.tag", name=image, tags=["app:1"])
        assert (tagged["id"], tagged["names"], tagged["changed"]) == (image, ["localhost/app:1"], True)
        seen = client.call("images.resolve", name="app:1", consistency="cached")
        assert (seen["id"], seen["generation"]) == (image, tagged["generation"])
        table = json.loads((short_dir / "root" / "overlay-images" / "images.json").read_text())
        assert next(record for record in table if record["id"] == image)["names"] == ["localhost/app:1"]
        line = daemon.await_line("audit method=images.tag", anywhere=True)
        assert line.rstrip().endswith(f"target={image},app:1 result=ok connection=1 request=1")
        daemon.signal(signal.SIGTERM)
        assert daemon.await_exit() == 0


def test_a_read_only_daemon_refuses_changes_and_leaves_nothing_in_the_store(short_dir: Path) -> None:
    image = sorted(lay(short_dir).dangling)[0]
    with serving(short_dir, "--read-only") as daemon, daemon.client() as client:
        refused = client.request("images.tag", {"name": image, "tags": ["app:1"]})["error"]
        assert refused["data"]["name"] == "StoreReadOnly"
        assert "--read-only" in refused["message"]
        assert not (short_dir / "root" / "storaged").exists()


def test_a_start_takes_away_what_a_killed_daemon_was_writing_and_makes_the_reserve(short_dir: Path) -> None:
    image = sorted(lay(short_dir).dangling)[0]
    images = short_dir / "root" / "overlay-images"
    with serving(short_dir) as daemon, daemon.client() as client:
        assert "result" in client.request("images.tag", {"name": image, "tags": ["app:1"]})
        daemon.signal(signal.SIGKILL)
        daemon.process.wait()
    left = images / ".tmp-images.json-storaged-0123456789abcdef0123456789abcdef-00000001"
    foreign = images / ".tmp-images.json123456"
    for path in (left, foreign):
        path.write_text("[]")
    with serving(short_dir) as daemon, daemon.client() as client:
        until(lambda: not left.exists())
        until((short_dir / "root" / "storaged" / "reserve").exists)
        assert foreign.exists()
        assert client.call("images.resolve", name="app:1")["id"] == image


def test_a_store_that_is_not_made_yet_has_nothing_to_prune_and_is_made_by_its_first_image(short_dir: Path) -> None:
    (short_dir / "root").mkdir()
    with serving(short_dir) as daemon, daemon.client() as client:
        assert client.call("images.prune")["removed"] == []
        assert [entry.name for entry in (short_dir / "root").iterdir()] == ["storaged"]
        config = {"architecture": "amd64", "os": "linux", "rootfs": {"type": "layers", "diff_ids": []}}
        created = client.call("images.create", config=config)["ids"]
        assert [image["id"] for image in client.call("images.list")["images"]] == created
