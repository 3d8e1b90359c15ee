"""docker, docker-py, podman-py and podman --remote ask and change images through the gateway."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator

import pytest

from tests.interop.conftest import missing
from tests.support.daemon import daemon
from tests.support.peers import Peer, Store, workspace

docker = pytest.importorskip("docker")
podman = pytest.importorskip("podman")
_NAME = "localhost/kept:1"


@pytest.fixture(scope="module", params=["trio", "asyncio"])
def store(request: pytest.FixtureRequest, podman_58: Peer) -> Iterator[Store]:
    with workspace(podman_58) as store:
        store.build("kept", tag=_NAME)
        flags = ("--api-socket", str(store.work / "api"), "--podman-socket", "none")
        with daemon(store, backend=request.param, more=flags):
            yield store


def test_docker_py_lists_at_once_what_it_changed(store: Store) -> None:
    client = docker.DockerClient(base_url=f"unix://{store.work}/api")
    image = client.images.get(_NAME)
    for number in range(5):
        name = f"localhost/py:{number}"
        assert image.tag("localhost/py", tag=str(number))
        assert name in {tag for each in client.images.list() for tag in each.tags}
        client.images.remove(name)
        assert name not in {tag for each in client.images.list() for tag in each.tags}
    client.close()


def test_podman_py_lists_at_once_what_it_changed(store: Store) -> None:
    with podman.PodmanClient(base_url=f"unix://{store.work}/api") as client:
        image = client.images.get(_NAME)
        for number in range(5):
            assert image.tag("localhost/podman-py", str(number))
            assert client.images.exists(f"localhost/podman-py:{number}")
            client.images.remove(f"localhost/podman-py:{number}")
            assert not client.images.exists(f"localhost/podman-py:{number}")


@pytest.mark.parametrize("client", ["docker", "podman-4.3", "podman-5.8"])
def test_commands_tag_and_remove(store: Store, podman_43: Peer, client: str) -> None:
    if client == "docker" and shutil.which("docker") is None:
        missing("docker is missing: sh tests/support/docker_cli.sh")

    def run(*arguments: str) -> str:
        url = f"unix://{store.work}/api"
        command = ["docker", "-H", url] if client == "docker" else ["podman", "--remote", "--url", url]
        if client == "podman-5.8":
            command = store.peer.argv(store.work, command)
        whole = [*command, *arguments]
        done = subprocess.run(whole, env=store.environment(), capture_output=True, text=True, timeout=60, check=False)
        assert done.returncode == 0, (arguments, done.stderr)
        return done.stdout

    assert "localhost/kept" in run("images")
    run("tag", _NAME, "localhost/other:1")
    assert "localhost/other" in run("images")
    assert run("image", "inspect", "--format", "{{.Id}}", "localhost/other:1").strip()
    assert run("history", "-q", "localhost/other:1").strip()
    run("rmi", "localhost/other:1")
    assert "localhost/other" not in run("images")
    run("system", "df")
