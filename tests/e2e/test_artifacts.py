"""Artifacts of files that are passed to a real daemon: by the commands and by both Python clients."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import anyio
import pytest

import storaged_client
from storaged.sample import SampleSpec, write_store
from storaged_client.cli.main import main
from storaged_client.progress import Progress
from tests.support.daemon import Daemon, serving

BACKENDS = pytest.mark.parametrize("backend", ["trio", "asyncio"])
SIZE = 300 << 20


@pytest.fixture
def large(tmp_path: Path) -> Path:
    """Hundreds of megabytes that take no room."""
    path = tmp_path / "model.gguf"
    with open(path, "wb") as file:
        file.write(b"GGUF")
        file.truncate(SIZE)
    return path


@pytest.fixture(params=["trio", "asyncio"])
def daemon(short_dir: Path, request: pytest.FixtureRequest) -> Iterator[Daemon]:
    write_store(short_dir / "root", short_dir / "run", SampleSpec(images=5, seed=1))
    with serving(short_dir, "--backend", request.param) as daemon:
        yield daemon


def kept(daemon: Daemon, name: str) -> Any:
    """What the list holds of its artifacts."""
    with storaged_client.connect(daemon.path) as store:
        image = store.manifests.get(name).manifest.id
        graphroot = Path(store.server.info().graphroot)
    return json.loads((graphroot / "overlay-images" / image / "artifacts.json").read_bytes())


def digest_of(path: Path) -> str:
    with open(path, "rb") as file:
        return f"sha256:{hashlib.file_digest(file, 'sha256').hexdigest()}"


def test_a_file_of_hundreds_of_megabytes_is_passed_by_the_command_and_small_ones_are_sent(
    daemon: Daemon, large: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    small = tmp_path / "a.json"
    small.write_text("{}")
    assert main(["--socket", daemon.path, "manifest", "create", "l"]) == 0
    files = [str(small), str(large)]
    assert main(["--socket", daemon.path, "manifest", "add", "--artifact", "--artifact-config=", "l", *files]) == 0
    assert capsys.readouterr().err == ""
    found = kept(daemon, "l")
    layers = json.loads(next(iter(found["manifests"].values())))["layers"]
    titles = [layer["annotations"]["org.opencontainers.image.title"] for layer in layers]
    assert titles == ["a.json", "model.gguf"]
    assert (layers[1]["size"], layers[1]["digest"]) == (SIZE, digest_of(large))
    assert found["detached"] == {digest_of(large): str(large)}
    assert hashlib.sha256(b"{}").hexdigest() in json.dumps(found["blobs"])


def test_the_blocking_client_passes_open_files_and_bytes(daemon: Daemon, large: Path) -> None:
    told: list[Progress] = []
    with storaged_client.connect(daemon.path) as store, open(large, "rb") as file:
        store.manifests.create("l")
        made = store.manifests.add(
            "l", artifact={"type": "x/y", "layers": [{"file": file}, {"data": b"hello"}]}, progress=told.append
        )
        with pytest.raises(storaged_client.InvalidParams, match="layer 0 is a device"), open("/dev/zero") as zero:
            store.manifests.add("l", artifact={"layers": [{"file": zero.fileno()}]})
        with pytest.raises(OSError, match="Bad file descriptor"):
            store.manifests.add("l", artifact={"layers": [{"file": 9999}]})
        assert store.manifests.get("l").manifest.instance_count == 1
    assert kept(daemon, "l")["files"] == {made.instances[0]: [str(large)]}
    assert told
    assert {(one.total, one.unit) for one in told} == {(SIZE, "bytes")}


@BACKENDS
def test_the_async_client_passes_open_files_among_other_calls(daemon: Daemon, large: Path, backend: str) -> None:
    async def use() -> tuple[str, ...]:
        async with storaged_client.aconnect(daemon.path) as store:
            await store.manifests.create("l")
            files = [os.open(large, os.O_RDONLY) for _ in range(3)]
            instances: list[str] = []

            async def add(number: int) -> None:
                layers = [{"file": files[number], "title": str(number)}]
                made = await store.manifests.add("l", artifact={"layers": layers})
                instances.extend(made.instances)

            async with anyio.create_task_group() as tasks:
                for number in range(3):
                    tasks.start_soon(store.images.exists, "x")
                    tasks.start_soon(add, number)
            for file in files:
                os.close(file)
            return tuple(instances)

    made = anyio.run(use, backend=backend)
    found = kept(daemon, "l")
    assert set(found["manifests"]) == set(made)
    assert len(made) == 3
    assert found["detached"] == {digest_of(large): str(large)}
