"""Whether everything is there that several writers were promised at once, and nothing else, whoever is asked."""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Sequence

from attrs import define, field

from tests.support.client import Client, RpcError
from tests.support.peers import Store, ToolError
from tests.support.podman_service import Service, service
from tests.support.report import Report

from .accepted import copied
from .written_store import check_files, tables


@define
class Ledger:
    """What was answered as done, by all writers."""

    names: dict[str, str] = field(factory=dict)
    """Each name and the image that should bear it."""
    lists: dict[str, set[str]] = field(factory=dict)
    """Each list and the digests of its entries."""
    lock: threading.Lock = field(factory=threading.Lock)

    def named(self, names: Sequence[str], image: str) -> None:
        with self.lock:
            self.names.update(dict.fromkeys(names, image))

    def listed(self, image: str, digests: Sequence[str], name: str | None = None) -> None:
        with self.lock:
            self.lists.setdefault(image, set()).update(digests)
            if name is not None:
                self.names[name] = image


@define
class _Seen:
    """Names by image, and entries by list, as one reader has them."""

    names: dict[str, set[str]]
    lists: dict[str, list[str]] = field(factory=dict)


def check(report: Report, where: str, store: Store, ledger: Ledger, client: Client, running: Service) -> None:
    """Every name and list is there, and nothing else: by images.json, the daemon, the podman service that ran while
    they were written, and another podman on a copy."""
    if not _compare(report, f"{where}: images.json", _recorded(report, where, store, ledger), ledger):
        return  # with records lost, files are left that nobody's record tells of
    check_files(report, where, store, tables(store))
    try:
        _compare(report, f"{where}: storaged", _ours(client), ledger)
        _compare(report, f"{where}: the service that ran", _theirs(running, ledger), ledger)
        with copied(store, store.peer) as copy, service(copy) as other:
            _compare(report, f"{where}: {store.peer.name} on a copy", _theirs(other, ledger), ledger)
            report.claim(copy.podman("system", "check") == "", f"{where}: podman system check finds damage")
    except (RpcError, ToolError) as error:
        report.claim(False, f"{where}: {error}")


def _recorded(report: Report, where: str, store: Store, ledger: Ledger) -> _Seen:
    """images.json and the manifests beside it; the records of lists are of the bytes of these."""
    records = tables(store).images
    seen = _Seen({key: set(record.get("names") or ()) for key, record in records.items()})
    folder = store.graphroot / f"{store.driver}-images"
    for image in ledger.lists.keys() & records.keys():
        path = folder / image / "manifest"
        data = path.read_bytes() if path.exists() else b"{}"
        seen.lists[image] = [entry["digest"] for entry in json.loads(data).get("manifests") or ()]
        sizes, digests = (records[image].get(f"big-data-{member}", {}) for member in ("sizes", "digests"))
        told = (sizes.get("manifest"), digests.get("manifest"))
        wanted = (len(data), "sha256:" + hashlib.sha256(data).hexdigest())
        report.claim(told == wanted, f"{where}: the record of list {image[:12]} is not of its bytes")
    return seen


def _ours(client: Client) -> _Seen:
    seen = _Seen({row["id"]: set(row["names"]) for row in client.images(all=True)})
    for row in client.call("manifests.list", include=["instances"])["manifests"]:
        seen.lists[row["id"]] = [instance["digest"] for instance in row["instances"]]
    return seen


def _theirs(podman: Service, ledger: Ledger) -> _Seen:
    rows = podman.images(everything=True)
    seen = _Seen({row["Id"]: set(row.get("RepoTags") or ()) for row in rows})
    for image in ledger.lists.keys() & seen.names.keys():
        entries = podman.get(f"/manifests/{image}/json").get("manifests") or []
        seen.lists[image] = [entry["digest"] for entry in entries]
    return seen


def _compare(report: Report, where: str, seen: _Seen, ledger: Ledger) -> bool:
    bearers = {name: image for image, names in seen.names.items() for name in names}
    lost = sorted(name for name, image in ledger.names.items() if bearers.get(name) != image)
    extra = sorted(bearers.keys() - ledger.names.keys())
    images = sorted(seen.names.keys() ^ set(ledger.names.values()))
    twice = sum(map(len, seen.names.values())) - len(bearers)
    held = [
        report.claim(not lost, f"{where}: {len(lost)} of {len(ledger.names)} names lost: {lost[:5]}"),
        report.claim(not extra, f"{where}: names that nobody was told of: {extra[:5]}"),
        report.claim(not images, f"{where}: images that are missing, or too many: {images[:5]}"),
        report.claim(not twice, f"{where}: {twice} names are on two images"),
    ]
    for image, wanted in ledger.lists.items():
        entries = seen.lists.get(image)
        same = entries is not None and len(entries) == len(wanted) and set(entries) == wanted
        apart = sorted(wanted ^ set(entries or ()))
        text = f"{len(apart)} of {len(wanted)} entries lost: {apart[:3]}" if entries is not None else "is no list"
        held.append(report.claim(same, f"{where}: list {image[:12]}: {text}"))
    return all(held)
