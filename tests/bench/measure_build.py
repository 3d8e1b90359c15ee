"""Prints what one ``build`` and one ``difference`` cost: ``python -m tests.bench.measure_build``. Asserts nothing."""

from __future__ import annotations

import time
from collections.abc import Callable
from random import Random

from storaged.snapshot.build import build
from storaged.snapshot.difference import difference
from storaged.store.tables import ImageRow, StoreTables
from tests.support.stores import Store, config

ROUNDS = 5


def fleet(images: int, layers: int, seed: int = 7) -> Store:
    """Chains that branch off one another, a list for every twenty images, every third image without a name."""
    random = Random(seed)
    store = Store()
    depth_of_chain = max(1, layers // images)
    made = 0
    tops: list[tuple[str, tuple[str, ...], tuple[str, ...]]] = []
    for number in range(images):
        if number % 20 == 19:
            instances = tuple((f"i{random.randrange(number)}", None) for _ in range(4))
            store.list(f"i{number}", (f"localhost/list{number}:1",), instances=instances)
            continue
        base, history, diff_ids = random.choice(tops[-50:]) if tops and random.random() < 0.6 else ("", (), ())
        fresh = depth_of_chain if number % 20 else layers - made - depth_of_chain * (images - number - 1)
        for _ in range(max(1, min(fresh, layers - made))):
            store.layer(f"l{made}", base or None)
            base, diff_ids = f"l{made}", (*diff_ids[-60:], f"sha256:{made}")
            made += 1
        history = (*history, f"step {number}")
        names = (f"quay.io/team/app{number // 8}:{number % 8}",) if number % 3 else ()
        store.image(f"i{number}", names, layer=base, config=config(history, diff_ids))
        tops.append((base, history, diff_ids))
    for number in range(20):
        store.container(f"c{number}", f"i{number}")
    return store


def best(work: Callable[[], object]) -> float:
    """Milliseconds of processor time, the least of some rounds."""
    times = []
    for _ in range(ROUNDS):
        began = time.process_time()
        work()
        times.append(time.process_time() - began)
    return min(times) * 1000


def measure(images: int, layers: int) -> str:
    store = fleet(images, layers)
    tables = StoreTables(images=tuple(store.images), layers=tuple(store.layers), containers=tuple(store.containers))
    contents = tuple(store.contents)
    first = build(tables, contents, generation="1", previous=None)
    rows = list(tables.images)
    rows[images // 2] = ImageRow(record=rows[images // 2 - 1].record, store=0, raw=b"")
    changed = StoreTables(images=tuple(rows), layers=tables.layers, containers=tables.containers)
    second = build(changed, contents, generation="2", previous=first)
    cold = best(lambda: build(tables, contents, generation="1", previous=None))
    warm = best(lambda: build(changed, contents, generation="2", previous=first))
    diff = best(lambda: difference(first, second))
    return (
        f"{len(first.images)} images, {len(first.layers)} layers: build {cold:.1f} ms, "
        f"after a change of one image {warm:.1f} ms, difference {diff:.2f} ms"
    )


def main() -> None:
    for images, layers in ((100, 200), (200, 400), (400, 800), (800, 1600), (3929, 43_222)):
        print(measure(images, layers))


if __name__ == "__main__":
    main()
