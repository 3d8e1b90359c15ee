"""The four shapes of the benchmarks built by podman, each held against the one of the generator.

    python -m tests.bench.real_shapes --images 12

Figures are taken on generated stores, for podman needs half a second an image. Here it builds the same at a small size,
and storaged and podman are asked the same of both: how many images there are, on how many layers and how deep, how many
are lists, named by lists, and dangling. With 5.8 where ``STORAGED_SID_ROOT`` names it.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from typing import get_args

from attrs import asdict, frozen

from storaged.sample import SampleSpec, write_store
from storaged.sample.spec import Shape
from tests.support.daemon import daemon
from tests.support.peers import Peer, Store, podman_58, workspace
from tests.support.report import Report, arguments

_DRIVER = "overlay"


@frozen(kw_only=True)
class Form:
    """What a store is like, whoever wrote it."""

    images: int
    named: int
    lists: int
    in_lists: int
    dangling: int
    podmans_dangling: int
    layers: int
    depths: tuple[int, ...]
    """Of the images that are no lists, in order."""


def main(argv: Sequence[str] | None = None) -> int:
    flags = arguments(__doc__ or "", argv, images=(int, 12, "of each shape, lists included"))
    report = Report(timed=not flags.untimed)
    measure(report, podman_58(), images=flags.images, seed=flags.seed)
    return report.finish()


def measure(report: Report, peer: Peer, *, images: int, seed: int) -> None:
    """Build each shape with the peer, generate it, and hold the two against each other."""
    for shape, build in BUILDERS.items():
        with workspace(peer, driver=_DRIVER) as store:
            build(store, images)
            real = form(store)
        with workspace(peer, driver=_DRIVER) as store:
            spec = SampleSpec(images=images, shape=shape, seed=seed, driver=_DRIVER, contents="files")
            write_store(store.graphroot, store.runroot, spec)
            generated = form(store)
        report.figure(shape, asdict(real))
        report.claim(real == generated, f"{shape}: podman makes {real}, the generator {generated}")


def form(store: Store) -> Form:
    """As storaged and the store's own podman see it."""
    with daemon(store) as ours, ours.client() as client:
        rows = client.call("images.list", all=True)["images"]
        layers = client.call("layers.list")["layers"]
        trees = [client.call("images.tree", name=row["id"]) for row in rows if not row["manifest_list"]]
    return Form(
        images=len(rows),
        named=sum(bool(row["names"]) for row in rows),
        lists=sum(row["manifest_list"] for row in rows),
        in_lists=sum(bool(row["in_lists"]) for row in rows),
        dangling=sum(row["dangling"] for row in rows),
        podmans_dangling=len(store.dangling()),
        layers=len(layers),
        depths=tuple(sorted(len(tree["layers"]) for tree in trees)),
    )


def _distinct(store: Store, images: int) -> None:
    for number in range(images):
        store.build(f"{number}")


def _shared(store: Store, images: int) -> None:
    """One step an image: what differs is the label alone, so that all stand on the one layer of that content."""
    context = store.work / "context"
    (context / "file").write_text("shared")
    (context / "Containerfile").write_text("FROM scratch\nCOPY file /file\n")
    for number in range(images):
        store.podman("build", "-q", "--layers=false", "--timestamp=0", f"--label=n={number}", str(context))


def _lists(store: Store, images: int) -> None:
    store.build("listed", tag="localhost/listed:1")
    for number in range(images - 1):
        store.podman("manifest", "create", f"localhost/list-{number}:1", "containers-storage:localhost/listed:1")


def _half_listed(store: Store, images: int) -> None:
    made = [store.build(f"{number}") for number in range(images - 1)]
    store.podman("manifest", "create", "localhost/list:1")
    for image in made[::2]:
        store.podman("manifest", "add", "localhost/list:1", image)


BUILDERS: dict[Shape, Callable[[Store, int], None]] = {
    "distinct": _distinct,
    "shared": _shared,
    "lists": _lists,
    "half_listed": _half_listed,
}
"""How each shape is made. A realistic store is a mix, which the differentials build by their own scenarios."""

assert {*BUILDERS, "realistic"} == {*get_args(Shape)}


if __name__ == "__main__":
    sys.exit(main())
