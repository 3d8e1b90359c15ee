"""podman 5.8 and storaged side by side on the same stores: generated ones, and ones made by real tools.

    python -m tests.acceptance.differential --seed 0 --scale 1

Generated stores are also compared with what their recipes say, so a mistake in the generator shows as
such (``--daemon 0`` does only that). The one deliberate difference is podman's: it calls an image
dangling that a list names by another digest than the record's own (libimage 9.1).
"""

from __future__ import annotations

import json
import random
import shutil
import sys
from collections.abc import Iterable, Sequence
from typing import Any

from storaged.sample import SHAPES, Sample, SampleSpec, write_store
from tests.support.daemon import Daemon, daemon
from tests.support.peers import Peer, Store, podman_43, podman_58, workspace
from tests.support.report import Report, arguments

SIZES = (100, 200, 400, 800)
FIELDS = ("Id", "Names", "Digest", "Created", "Size", "Labels", "ParentId", "Dangling")
_STORES = 12
"""Stores of each size at full scale."""


def main(argv: Sequence[str] | None = None) -> int:
    flags = arguments(
        __doc__ or "",
        argv,
        daemon=(int, 1, "0: compare the generator with podman alone"),
        sizes=(str, "", "e.g. 100,200"),
    )
    report = Report(timed=not flags.untimed)
    newer = podman_58()
    sizes = [int(size) for size in flags.sizes.split(",") if size] or SIZES
    rounds = max(1, round(_STORES * flags.scale))
    for size in sizes:
        for number in range(rounds):
            seed = flags.seed + number
            shapes = SHAPES if number == 0 else ("realistic",)
            for shape in shapes:
                compare_generated(report, newer, size=size, seed=seed, shape=shape, with_daemon=bool(flags.daemon))
    if flags.daemon:
        for number in range(max(1, round(6 * flags.scale))):
            for maker in (podman_43(), newer):
                for driver in ("vfs", "overlay"):
                    compare_real(report, maker, newer, driver=driver, seed=flags.seed + number)
    return report.finish()


def compare_generated(report: Report, peer: Peer, *, size: int, seed: int, shape: Any, with_daemon: bool) -> None:
    """One generated store, read by podman, by its recipe and by storaged."""
    read_only = size // 10 if shape == "realistic" and seed % 2 else 0
    driver: Any = ("vfs", "overlay")[seed % 2]
    with workspace(peer, driver=driver, additional=bool(read_only)) as store:
        spec = SampleSpec(
            images=size, seed=seed, shape=shape, driver=driver, containers=size // 20, read_only=read_only
        )
        sample = write_store(
            store.graphroot, store.runroot, spec, additional=store.additional[0] if read_only else None
        )
        where = f"{shape} {size} seed {seed} {driver}"
        theirs = store.dangling()
        report.claim(
            theirs == sample.podman_dangling,
            f"{where}: recipe and podman differ: {_some(theirs ^ sample.podman_dangling)}",
        )
        report.figure(
            where,
            f"dangling {len(theirs)}, in lists by another digest {len(sample.podman_dangling - sample.dangling)}",
        )
        rows = podman_rows(store)
        wrong = {row["Id"] for row in rows if (row["ParentId"] or None) != sample.parent[row["Id"]]}
        report.claim(not wrong, f"{where}: recipe and podman differ in the parents of {_some(wrong)}")
        if not with_daemon:
            return
        with daemon(store) as ours:
            found = our_dangling(ours)
            report.claim(
                found == sample.dangling, f"{where}: recipe and storaged differ: {_some(found ^ sample.dangling)}"
            )
            check_why(report, where, ours, sample)
            compare_rows(report, where, rows, our_rows(ours), excused=sample.podman_dangling ^ sample.dangling)


def compare_real(report: Report, maker: Peer, reader: Peer, *, driver: str, seed: int) -> None:
    """A store made by one podman and its buildah; read by podman 5.8, after which ``maker`` never sees it again."""
    with workspace(maker, driver=driver) as store:
        where = f"made by {maker.name} seed {seed} {driver}"
        make_real(store, random.Random(seed))
        with daemon(store) as ours:
            found, rows = our_dangling(ours), our_rows(ours)
        for name in ("libpod", "db.sql", "defaultNetworkBackend"):
            path = store.graphroot / name
            shutil.rmtree(path, ignore_errors=True) if path.is_dir() else path.unlink(missing_ok=True)
        shutil.rmtree(store.work / "libpod")
        second = Store(peer=reader, work=store.work, driver=driver)
        second.prepare()
        theirs = second.dangling()
        report.figure(where, f"images {len(rows)}, dangling {len(theirs)}")
        report.claim(found == theirs, f"{where}: podman and storaged differ: {_some(found ^ theirs)}")
        compare_rows(report, where, podman_rows(second), rows, excused=())


def make_real(store: Store, rng: random.Random) -> None:
    """Some twenty images by podman and buildah: bases, children, moved tags, lists, containers."""
    bases = [store.build(f"base {rng.random()}", tag=f"localhost/base{number}:1") for number in range(2)]
    untagged = [store.build(f"loose {rng.random()}", label=f"loose={number}") for number in range(2)]
    untagged += [store.buildah_image(f"by buildah {rng.random()}") for _ in range(2)]
    store.buildah_image("named by buildah", tag="localhost/buildah:1")
    for number in range(2):
        store.build(f"child {rng.random()}", tag="localhost/moving:1", base=f"localhost/base{number}:1")
    grandchild = store.build(f"grandchild {rng.random()}", base="localhost/moving:1", label="a=b=c")
    store.podman("untag", "localhost/base1:1")
    store.podman("tag", bases[0], "localhost/other:2", "quay.io/org/unit:latest")
    for number, members in enumerate(([untagged[0]], [untagged[2], grandchild], [])):
        name = f"localhost/list{number}:1"
        store.podman("manifest", "create", name)
        for member in members:
            store.podman("manifest", "add", name, f"containers-storage:{member}")
    store.podman(
        "manifest", "annotate", "--annotation", "k=v", "localhost/list1:1", _digest_in(store, "localhost/list1:1")
    )
    store.podman("create", "--pull=never", "--network=none", "--name", "one", "localhost/base0:1", "/x")
    store.buildah("from", "--pull-never", "localhost/base0:1")
    archive = str(store.work / "archive.tar")
    store.podman("save", "-q", "--format", "oci-archive", "-o", archive, "localhost/buildah:1")
    store.podman("rmi", "localhost/buildah:1")
    store.podman("load", "-q", "-i", archive)


def _digest_in(store: Store, name: str) -> str:
    return str(json.loads(store.podman("manifest", "inspect", name))["manifests"][0]["digest"])


def podman_rows(store: Store) -> list[dict[str, Any]]:
    return list(json.loads(store.podman("images", "-a", "--format", "json")))


def our_rows(ours: Daemon) -> list[dict[str, Any]]:
    return list(json.loads(ours.storagectl("images", "-a", "--format", "json")))


def our_dangling(ours: Daemon) -> set[str]:
    printed = ours.storagectl("images", "-q", "--no-trunc", "--filter", "dangling=true")
    return {line.removeprefix("sha256:") for line in printed.split()}


def check_why(report: Report, where: str, ours: Daemon, sample: Sample) -> None:
    """``why`` names exactly the lists of the recipe, and agrees on dangling."""
    lists_of_all = set(sample.lists)
    with ours.client() as client:
        for image in [*sample.in_lists][:50]:
            answer = client.call("images.why", name=image, manifest=image in lists_of_all)
            lists = {reason["list"] for reason in answer["reasons"] if reason["code"] == "manifest_list"}
            report.claim(
                lists == set(sample.in_lists[image]) and answer["dangling"] == (image in sample.dangling),
                f"{where}: why {image[:12]}: lists {_some(lists)}, dangling {answer['dangling']}",
            )


def compare_rows(
    report: Report, where: str, theirs: list[dict[str, Any]], ours: list[dict[str, Any]], *, excused: Iterable[str]
) -> None:
    """The JSON listings agree on FIELDS. ``excused`` images may differ in Dangling."""
    excused = set(excused)
    if not report.claim(
        sorted(row["Id"] for row in theirs) == sorted(row["Id"] for row in ours), f"{where}: other images are listed"
    ):
        return
    for their, our in zip(_ordered(theirs), _ordered(ours), strict=True):
        for field in FIELDS:
            if field == "Digest" and _is_list(their):
                continue
            if field == "Dangling" and their["Id"] in excused:
                continue
            a, b = their.get(field), our.get(field)
            if field == "Dangling":  # left out where false
                a, b = bool(a), bool(b)
            report.claim(a == b, f"{where}: {their['Id'][:12]} {field}: podman {a!r}, storaged {b!r}")


_EMPTY_LIST = "sha256:20b959ad5960"


def _is_list(row: dict[str, Any]) -> bool:
    """podman shows the digest of the empty list for every list it ever made."""
    return str(row.get("Digest", "")).startswith(_EMPTY_LIST)


def _ordered(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return sorted(rows, key=lambda row: (row["Id"], bool(row.get("ReadOnly"))))


def _some(ids: Iterable[str]) -> str:
    listed = sorted(str(each)[:12] for each in ids)
    return f"{len(listed)} ({', '.join(listed[:4])})"


if __name__ == "__main__":
    sys.exit(main())
