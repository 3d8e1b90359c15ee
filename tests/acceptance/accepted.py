"""Whether the real tools take a store for their own, and its images still run: always on a copy of it.

A store that podman 5.x has opened holds files with which podman 4.3 does not start, so that each gets a copy of its
own, without what belongs to podman alone.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from attrs import evolve, frozen

from tests.support.peers import Peer, Store, ToolError, workspace
from tests.support.report import Report

from .should_be import Known, Model
from .written_store import check_files, tables

_PODMANS = ("libpod", "db.sql", "storaged", "defaultNetworkBackend")


def copy(source: Store, target: Store) -> None:
    """The graphroot without podman's own database and our own folder, and the containers that last until a restart."""
    target.graphroot.mkdir(exist_ok=True)
    for path in source.graphroot.iterdir():
        # podman may have mounted the driver's folder on itself: only in its own mount namespace, or below.
        if path.name not in _PODMANS:
            subprocess.run(["cp", "-a", str(path), str(target.graphroot)], check=True)
    volatile = source.runroot / f"{source.driver}-containers"
    if volatile.exists():
        target.runroot.mkdir(exist_ok=True)
        subprocess.run(["cp", "-a", str(volatile), str(target.runroot)], check=True)


@frozen(kw_only=True)
class _InPlace(Peer):
    """A peer of this machine that sees a copy where its original is: manifest lists tell where their images are."""

    copy: Path

    @classmethod
    def of(cls, peer: Peer, copied: Store) -> _InPlace:
        return cls(name=peer.name, version=peer.version, copy=copied.work)

    def argv(self, work: Path, command: Sequence[str]) -> list[str]:
        return ["unshare", "-m", "sh", "-c", _IN_PLACE, "sh", str(self.copy), str(work), *command]


_IN_PLACE = """
mount --make-rprivate /
mount --bind "$1/root" "$2/root"
mount --bind "$1/runroot" "$2/runroot"
shift 2
exec "$@"
"""


@contextmanager
def copied(source: Store, peer: Peer) -> Iterator[Store]:
    with workspace(peer, driver=source.driver) as target:
        copy(source, target)
        yield target


def check_listed(report: Report, where: str, source: Store, peer: Peer, model: Model) -> None:
    """podman shows the images, names and lists that should be there; 5.8 finds no damage."""
    with copied(source, peer) as store:
        where = f"{where}, {peer.name}"
        try:
            _check_lists(report, where, store, model)
            _check_images(report, where, store, model)
        except ToolError as error:
            report.claim(False, f"{where}: {error}")


def check_all(report: Report, where: str, source: Store, peer: Peer, model: Model, most: int) -> None:
    """Besides: buildah and skopeo take it, up to ``most`` images of a sort run and are what they were; at last podman
    removes everything."""
    with copied(source, peer) as store:
        where = f"{where}, {peer.name}"
        try:
            _check_lists(report, where, store, model)
            listed = json.loads(store.buildah("images", "--all", "--no-trunc", "--json"))
            ids = {row["id"].removeprefix("sha256:") for row in listed}
            report.claim(ids == set(model.images), f"{where}: buildah lists {ids}")
            layered = [image for image in model.plain if image.diff_ids][-most:]
            bare = [image for image in model.plain if not image.diff_ids][-most:]
            for image in layered + bare:
                _check_copied(report, where, store, image)
            for image in layered:
                _check_runs(report, where, store, image)
            pushing = source if peer == source.peer else evolve(source, peer=_InPlace.of(peer, store))
            for image in model.lists[-most:]:
                _check_pushed(report, where, pushing, image, model)
            _check_images(report, where, store, model)
            _check_emptied(report, where, store)
        except ToolError as error:
            report.claim(False, f"{where}: {error}")


def _check_lists(report: Report, where: str, store: Store, model: Model) -> None:
    for image in model.lists:
        entries = json.loads(store.podman("manifest", "inspect", image.id)).get("manifests") or []
        digests = [entry["digest"] for entry in entries]
        report.claim(digests == list(image.entries or ()), f"{where}: manifest inspect {image.id[:12]}: {digests}")


def _check_images(report: Report, where: str, store: Store, model: Model) -> None:
    """What podman lists. This may change the store: podman 4.3 lists no image without layers beside a manifest list.

    It fails on those it made itself, too ("retrieving parent of image"): it then removes the lists first.
    """
    wanted = {image.id: set(image.names) for image in model.images.values()}
    newer = store.peer.version.startswith("5.")
    if newer:
        report.claim(store.podman("system", "check") == "", f"{where}: podman system check finds damage")
    elif model.lists and any(not image.diff_ids for image in model.plain):
        for image in model.lists:
            store.podman("manifest", "rm", *(image.names or [image.id]))
            del wanted[image.id]
    rows = json.loads(store.podman("images", "--all", "--no-trunc", "--format", "json"))
    seen = {row["Id"]: set(row.get("Names") or ()) for row in rows}
    report.claim(seen == wanted, f"{where}: podman images: {_apart(seen, wanted)}")
    plain = [image.id for image in model.plain]
    inspected = json.loads(store.podman("image", "inspect", *plain)) if plain else []
    report.claim([row["Id"] for row in inspected] == plain, f"{where}: podman inspects {len(inspected)} images")


def _check_emptied(report: Report, where: str, store: Store) -> None:
    """podman can remove all that we wrote, and nothing of it is left.

    podman 4.3 does not read the files in which newer tools keep containers that last until a restart.
    """
    if not store.peer.version.startswith("5.") and tables(store).containers:
        return
    store.podman("rmi", "--all", "--force")
    found = tables(store)
    left = (*found.images, *found.layers, *found.containers)
    report.claim(not left, f"{where}: left after podman rmi --all --force: {left}")
    check_files(report, f"{where}, emptied", store, found)


def _check_copied(report: Report, where: str, store: Store, image: Known) -> None:
    """skopeo reads it whole: the configuration and the layers have the digests they had when it was made."""
    target = store.work / "skopeo"
    store.run("skopeo", "copy", "-q", f"containers-storage:{image.id}", f"dir:{target}")
    manifest = json.loads((target / "manifest.json").read_bytes())
    config = manifest["config"]["digest"].removeprefix("sha256:")
    report.claim(config == image.id, f"{where}: skopeo copies {image.id[:12]} with another configuration")
    blobs = [layer["digest"].removeprefix("sha256:") for layer in manifest["layers"]]
    for blob in (config, *blobs):
        report.claim(_sha256(target / blob) == blob, f"{where}: skopeo copies other bytes than {blob[:12]}")
    told = tuple(json.loads((target / config).read_bytes())["rootfs"].get("diff_ids") or ())
    report.claim(told == image.diff_ids, f"{where}: skopeo copies {image.id[:12]} with the layers {told}")
    report.claim(
        tuple(f"sha256:{blob}" for blob in blobs) == image.diff_ids, f"{where}: {image.id[:12]} has the blobs {blobs}"
    )
    shutil.rmtree(target)


def _check_runs(report: Report, where: str, store: Store, image: Known) -> None:
    # Newer buildah raises these limits itself, which not everybody may.
    limits = [f"--ulimit={kind}=1024:1024" for kind in ("nofile", "nproc")]
    container = store.buildah("from", "--pull-never", *limits, image.id).strip()
    run = ("run", "--isolation=chroot", container, "/program", "--version")
    # buildah 1.28 loses the output of one run in forty, on a store of its own, too; not its exit status.
    said = store.buildah(*run) or store.buildah(*run) or store.buildah(*run)
    report.claim(said.startswith("ldconfig"), f"{where}: a container of {image.id[:12]} says {said!r}")
    store.buildah("rm", container)


def _check_pushed(report: Report, where: str, store: Store, image: Known, model: Model) -> None:
    """A list all of whose images are there can be pushed."""
    digests = {found.digest for found in model.plain}
    if not set(image.entries or ()) <= digests or not image.entries:
        return
    target = store.work / "pushed"
    store.podman("manifest", "push", "--all", image.id, f"dir:{target}")
    pushed = json.loads((target / "manifest.json").read_bytes())["manifests"]
    report.claim(
        [entry["digest"] for entry in pushed] == list(image.entries), f"{where}: list {image.id[:12]} pushed: {pushed}"
    )
    shutil.rmtree(target)


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _apart(
    seen: dict[str, set[str]], wanted: dict[str, set[str]]
) -> dict[str, tuple[set[str] | None, set[str] | None]]:
    pairs = {key: (seen.get(key), wanted.get(key)) for key in seen.keys() | wanted.keys()}
    return {key: pair for key, pair in pairs.items() if pair[0] != pair[1]}
