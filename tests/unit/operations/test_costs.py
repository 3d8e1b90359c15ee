"""What one question costs does not depend on how many images there are."""

import sys
from collections.abc import Callable

import pytest

from storaged.operations.branching import tree
from storaged.operations.explaining import why
from storaged.operations.listing import select
from storaged.operations.relating import relations
from storaged.operations.resolving import exists, resolve
from storaged.operations.tracing import history
from storaged.snapshot.model import Snapshot
from storaged_client.contract.params import ImagesList
from tests.unit.operations.asking import NOW
from tests.unit.snapshot.stores import AMD64, HERE, config, digest_of, family, image_id


def store_of(images: int) -> Snapshot:
    """``family``, a list of one of its images, and as many more images, half of them in lists of ten."""
    store = family()
    store.list("list", ("localhost/l:1",), instances=(("label", AMD64),))
    for number in range(images):
        store.layer(f"layer{number}")
        names = (f"quay.io/team/app{number}:1",) if number % 3 == 0 else ()
        store.image(f"more{number}", names, layer=f"layer{number}", config=config((f"h{number}",), (f"d{number}",)))
    for first in range(0, images // 2, 10):
        listed = tuple((f"more{number}", AMD64) for number in range(first, first + 10))
        store.list(f"list{first}", (f"localhost/list:{first}",), instances=listed)
    return store.snapshot()


def steps(work: Callable[[], object]) -> int:
    """Lines of Python run, calls of built-in functions included."""
    count = 0

    def trace(frame: object, event: str, argument: object) -> Callable[..., object]:
        nonlocal count
        count += 1
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        work()
    finally:
        sys.settrace(before)
    return count


HISTORY = {"history": [{"created_by": "a"}, {"created_by": "b"}, {"created_by": "c", "empty_layer": True}]}

QUESTIONS: dict[str, Callable[[Snapshot], object]] = {
    "why": lambda snapshot: why(snapshot, snapshot.by_id[image_id("label")], HERE),
    "relations": lambda snapshot: relations(snapshot, snapshot.by_id[image_id("app")]),
    "history": lambda snapshot: history(snapshot, snapshot.by_id[image_id("label")], HISTORY),
    "tree": lambda snapshot: tree(snapshot, snapshot.by_id[image_id("label")], what_requires=False),
    "what requires": lambda snapshot: tree(snapshot, snapshot.by_id[image_id("base")], what_requires=True),
    "resolve a name": lambda snapshot: resolve(snapshot, "localhost/base", False, HERE),
    "resolve a short name": lambda snapshot: resolve(snapshot, "team/app3:1", False, HERE),
    "resolve a digest": lambda snapshot: resolve(snapshot, digest_of("more5"), False, HERE),
    "resolve a prefix": lambda snapshot: resolve(snapshot, image_id("more5")[:20], False, HERE),
    "resolve a list": lambda snapshot: resolve(snapshot, "localhost/l:1", False, HERE),
    "exists": lambda snapshot: exists(snapshot, "localhost/base", False, HERE),
    "does not exist": lambda snapshot: exists(snapshot, "nowhere/none:1", False, HERE),
}


@pytest.mark.parametrize("question", QUESTIONS)
def test_a_question_takes_as_many_steps_at_800_images_as_at_100(question: str) -> None:
    ask = QUESTIONS[question]
    small, large = store_of(100), store_of(800)
    ask(small)  # references are parsed once
    assert steps(lambda: ask(large)) == steps(lambda: ask(small))


def references(snapshot: Snapshot, values: int) -> int:
    """Steps of a listing by so many names, one negated; a quarter of them match."""
    names = [f"quay.io/team/app{number}:{1 + number % 2}" for number in range(0, 3 * values, 3)]
    filters = (*(f"reference={name}" for name in names), "reference!=nowhere/none")
    params = ImagesList(filters=filters)
    select(snapshot, params, HERE, NOW)  # references are parsed, and names spelled, once
    return steps(lambda: select(snapshot, params, HERE, NOW))


def test_k_references_over_n_images_cost_n_plus_k() -> None:
    small, large = store_of(100), store_of(800)
    more_values = references(small, 64) - references(small, 16)
    assert references(large, 64) - references(large, 16) <= more_values * 1.2
    more_images = references(large, 1) - references(small, 1)
    assert references(large, 64) - references(small, 64) <= more_images * 1.2
