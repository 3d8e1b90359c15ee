"""Who tags and makes lists at once on one store; each tells a ledger what it was promised.

::

    daemon               tag shared image   create list   add to shared list     one socket
    podman 5.8           tag shared image   create list   add to shared list     its service, each tenth its command
    containers-storage   tag own image      create list                          1.43: it writes back all names it read
    skopeo, buildah      copy and commit images, until the others are done
"""

from __future__ import annotations

import hashlib
import io
import json
import random
import shutil
import subprocess
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from attrs import define, frozen

from tests.support.client import Client
from tests.support.peers import Store, ToolError
from tests.support.podman_service import Service

from .nothing_lost import Ledger

_BY_COMMAND = 10
"""Of so many operations podman does one by its command line."""
_EMPTY_INDEX = {"schemaVersion": 2, "mediaType": "application/vnd.oci.image.index.v1+json", "manifests": []}


@frozen(kw_only=True)
class Pool:
    """Images that were there before: one to tag, one for each addition to the shared list."""

    tagged: str
    shared_list: str
    additions: tuple[tuple[str, str], ...]
    """Id and digest."""


Operation = Callable[[int], None]
"""The operation of one number; a failure is raised as ToolError or RpcError."""


def kinds(operations: int, rng: random.Random) -> list[str]:
    """Of ten operations six tag, two make a list, two add to the shared one; in random order."""
    chosen = [("tag", "tag", "tag", "create", "add")[number % 5] for number in range(operations)]
    rng.shuffle(chosen)
    return chosen


@define(kw_only=True)
class Ours:
    """The daemon, over its socket."""

    client: Client
    pool: Pool
    ledger: Ledger
    kinds: list[str]
    additions: list[tuple[str, str]]

    def __call__(self, number: int) -> None:
        kind = self.kinds[number]
        if kind == "tag":
            names = [f"localhost/ours:{number}", f"localhost/ours-too:{number}"][: 1 + number % 2]
            self.client.call("images.tag", name=self.pool.tagged, tags=names)
            self.ledger.named(names, self.pool.tagged)
        elif kind == "create":
            name = f"localhost/our-list:{number}"
            image, digest = self.pool.additions[number % len(self.pool.additions)]
            made = self.client.call("manifests.create", name=name, images=[image])["id"]
            self.ledger.listed(made, [digest], name)
        else:
            image, digest = self.additions.pop()
            self.client.call("manifests.add", name=self.pool.shared_list, image=image)
            self.ledger.listed(self.pool.shared_list, [digest])


@define(kw_only=True)
class Podman:
    """podman 5.8: the service and the command line, in turn."""

    store: Store
    service: Service
    pool: Pool
    ledger: Ledger
    kinds: list[str]
    additions: list[tuple[str, str]]

    def __call__(self, number: int) -> None:
        kind, command = self.kinds[number], number % _BY_COMMAND == _BY_COMMAND - 1
        tagged, shared_list = self.pool.tagged, self.pool.shared_list
        if kind == "tag":
            name = f"localhost/podman:{number}"
            if command:
                self.store.podman("tag", tagged, name)
            else:
                self.service.change("POST", f"/images/{tagged}/tag", repo="localhost/podman", tag=str(number))
            self.ledger.named([name], tagged)
        elif kind == "create":
            name = f"localhost/podman-list:{number}"
            if command:
                made = self.store.podman("manifest", "create", name).strip()
            else:
                made = self.service.change("POST", f"/manifests/{name.replace('/', '%2F')}", images=[])["Id"]
            self.ledger.listed(made, [], name)
        else:
            image, digest = self.additions.pop()
            if command:
                self.store.podman("manifest", "add", shared_list, f"containers-storage:{image}")
            else:
                body = {"operation": "update", "images": [f"containers-storage:{image}"]}
                self.service.change("PUT", f"/manifests/{shared_list}", body=body)
            self.ledger.listed(shared_list, [digest])


@define(kw_only=True)
class StorageCommand:
    """containers-storage 1.43 of this machine, on images that it makes itself."""

    store: Store
    ledger: Ledger
    kinds: list[str]
    own: str = ""

    def found(self) -> None:
        self.own = self._list("localhost/storage-own:1")

    def __call__(self, number: int) -> None:
        if self.kinds[number] == "tag":
            name = f"localhost/storage:{number}"
            self._run("add-names", "-n", name, self.own)
            self.ledger.named([name], self.own)
        else:
            self._list(f"localhost/storage-list:{number}")

    def _list(self, name: str) -> str:
        """A manifest list without entries: the places of its images first, then what makes it a list."""
        made: str = json.loads(self._run("create-image", "-j", "-n", name))["id"]
        for key, content in (("instances.json", {}), ("manifest", _EMPTY_INDEX)):
            path = self.store.work / "tmp" / key
            path.write_text(json.dumps(content))
            self._run("set-image-data", "-f", str(path), made, key)
        self.ledger.listed(made, [], name)
        return made

    def _run(self, command: str, *arguments: str) -> str:
        store = self.store
        places = ("-g", str(store.graphroot), "-R", str(store.runroot), "-s", store.driver)
        argv = ["containers-storage", command, *places, *arguments]
        done = subprocess.run(argv, env=store.environment(), capture_output=True, text=True, check=False, timeout=120)
        if done.returncode != 0:
            raise ToolError(f"containers-storage {command} {' '.join(arguments)}: {done.stderr[-1000:]}")
        return done.stdout


@define(kw_only=True)
class Copiers:
    """skopeo and buildah bring images with layers of their own: all three tables are written."""

    store: Store
    ledger: Ledger

    def __call__(self, number: int) -> None:
        if number % 3 == 2:
            name = f"localhost/buildah:{number}"
            made = self.store.buildah_image(f"buildah {number}", tag=name)
        else:
            name = f"localhost/skopeo:{number}"
            folder = self.store.work / "context" / f"source-{number}"
            made = _write_source(folder, f"skopeo {number}")
            self.store.run("skopeo", "copy", "-q", f"dir:{folder}", f"containers-storage:{name}")
            shutil.rmtree(folder)
        self.ledger.named([name], made)


@define(kw_only=True)
class Unlocked:
    """What nobody may do: add names to images.json without its lock and without a token."""

    store: Store
    image: str

    def __call__(self, number: int) -> None:
        path = self.store.graphroot / f"{self.store.driver}-images/images.json"
        records = json.loads(path.read_bytes())
        for record in records:
            if record["id"] == self.image:
                record["names"] = [f"localhost/unlocked:{number}", *record["names"]]
        path.with_name(".unlocked").write_text(json.dumps(records))
        path.with_name(".unlocked").rename(path)


def _write_source(folder: Path, text: str) -> str:
    """An image of one file in the form of ``dir:``; its id."""
    folder.mkdir()
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w") as archive:
        entry = tarfile.TarInfo("file")
        entry.size = len(text)
        archive.addfile(entry, io.BytesIO(text.encode()))
    layer = stream.getvalue()
    rootfs = {"type": "layers", "diff_ids": [f"sha256:{_sha256(layer)}"]}
    config = json.dumps({"architecture": "amd64", "os": "linux", "config": {}, "rootfs": rootfs}).encode()
    kind = "application/vnd.oci.image"

    def blob(data: bytes, media_type: str) -> dict[str, Any]:
        (folder / _sha256(data)).write_bytes(data)
        return {"mediaType": f"{kind}.{media_type}", "size": len(data), "digest": f"sha256:{_sha256(data)}"}

    manifest = {
        "schemaVersion": 2,
        "mediaType": f"{kind}.manifest.v1+json",
        "config": blob(config, "config.v1+json"),
        "layers": [blob(layer, "layer.v1.tar")],
    }
    (folder / "manifest.json").write_text(json.dumps(manifest))
    (folder / "version").write_text("Directory Transport Version: 1.1\n")
    return _sha256(config)


def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
