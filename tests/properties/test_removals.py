"""Random stores pruned and emptied, against what a slow and obvious reader of the rules would do.

``STORAGED_EXAMPLES`` scales the search, ``STORAGED_SIZE`` the stores.
"""

from __future__ import annotations

import os
from copy import deepcopy
from datetime import UTC, datetime
from random import Random

from attrs import evolve
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from msgspec import structs

from storaged.operations.pruning import Pruning, prune
from storaged.operations.removal_request import RequestedName
from storaged.operations.removals import Batch
from storaged.operations.removing import Removing, remove
from storaged.operations.usage import usage
from storaged.store.changes import Change
from tests.support.applying import apply
from tests.support.slow_model import Model, Plan, Row, random_plan
from tests.support.stores import HERE, image_id, layer_id

EXAMPLES = int(os.environ.get("STORAGED_EXAMPLES", "60"))
SIZE = int(os.environ.get("STORAGED_SIZE", "14"))
NOW = datetime(2026, 6, 1, tzinfo=UTC)

scaled = settings(
    max_examples=EXAMPLES, deadline=None, suppress_health_check=list(HealthCheck), derandomize=EXAMPLES <= 60
)
seeds = st.integers(0, 2**32)


def made(random: Random, size: int) -> tuple[Plan, set[str]]:
    """A store as tools make it, and what is leased: an id is one image, in each store at most once."""
    plan = random_plan(random, size)
    if random.random() < 0.8:
        # One of them keeps everything: the rest of the rules would hardly be tried.
        plan.rows = [row for row in plan.rows if row.kind not in ("unreadable", "broken")]
    plan.rows = list({(row.name, row.store): row for row in plan.rows}.values())
    known: dict[str, Row] = {}
    for at, row in enumerate(plan.rows):
        plan.rows[at] = evolve(known.setdefault(row.name, row), store=row.store, names=row.names)
    return plan, {row.name for row in plan.rows if random.random() < 0.07}


def used(plan: Plan, row: Row) -> bool:
    return any(image == row.name for _, image, _ in plan.containers)


def pruned(plan: Plan, leased: set[str]) -> set[str]:
    """What podman's prune, repeated until nothing more goes, would take: one look at everything a pass."""
    plan = deepcopy(plan)
    gone: set[str] = set()
    while True:
        model = Model(plan=plan)
        going = [
            row
            for row in model.shown
            if row.store == 0 and model.dangling(row) and not used(plan, row) and row.name not in leased
        ]
        if not going:
            return gone
        gone |= {row.name for row in going}
        plan.rows = [row for row in plan.rows if row not in going]


def freed(plan: Plan, gone: set[str]) -> set[str]:
    """The layers of what went that nothing needs afterwards: all of them, less what is needed, until that is all."""
    model = Model(plan=plan)
    going = [row for row in plan.rows if row.store == 0 and row.name in gone]
    stay = [row for row in plan.rows if row not in going]
    free: set[str] = set()
    for row in going:
        free |= model.own_layers(row)[0]
    parents = {name: parent for name, parent, *_ in plan.layers}
    free = {name for name in free if not _in_cycle(name, parents)}
    free -= {layer for row in stay for layer in (row.layer, *row.mapped) if layer is not None}
    free -= {layer for _, _, layer in plan.containers if layer is not None}
    while True:
        needed = {parent for name, parent in parents.items() if name not in free and parent in free}
        if not needed:
            return free
        free -= needed


def _in_cycle(name: str, parents: dict[str, str | None]) -> bool:
    at = parents.get(name)
    for _ in parents:
        if at is None or at == name:
            break
        at = parents.get(at)
    return at == name


def check(plan: Plan, done: Batch, change: Change, gone: set[str]) -> None:
    """The change lets go of these images and of exactly their layers, in order, and says what that gives back."""
    assert set(change.removed) == {image_id(name) for name in gone}
    layers = freed(plan, gone)
    assert set(change.layers) == {layer_id(name) for name in layers}
    place = {layer: at for at, layer in enumerate(change.layers)}
    for name, parent, *_ in plan.layers:
        if name in layers and parent in layers:
            assert place[layer_id(name)] < place[layer_id(parent)]
    sizes = {name: size for name, _, size, _ in plan.layers}
    data = sum(
        15 if row.kind in ("list", "unreadable") else 10 * len(row.digests)
        for row in plan.rows
        if row.store == 0 and row.name in gone
    )
    told = [removal.freed.size for removal in done.removals]
    if None in told:
        assert any(sizes[name] is None for name in layers)
    else:
        assert sum(told) == data + sum(sizes[name] or 0 for name in layers)
    apply(plan.store(), change)


@scaled
@given(seeds, st.integers(0, SIZE))
def test_prune_takes_in_one_pass_what_repeated_passes_would(seed: int, size: int) -> None:
    plan, leased = made(Random(seed), size)
    store = plan.store()
    view = structs.replace(HERE, leases={image_id(name): ("lease",) for name in leased})
    planned = prune(store.snapshot(), Pruning(now=NOW), view)
    gone = pruned(plan, leased)
    check(plan, planned.result, planned.change, gone)
    kept = {kept.id for kept in planned.result.kept}
    shown = {image_id(row.name) for row in plan.rows if row.kind != "half"}
    assert kept | set(planned.change.removed) == shown
    assert all(kept.reasons for kept in planned.result.kept)
    if not any(row.layer == "lost" for row in plan.rows):
        # On a lost layer images are kin only as long as another layer still names it.
        later = apply(store, planned.change)
        assert prune(later.snapshot(), Pruning(now=NOW), view).change.empty


@scaled
@given(seeds, st.integers(0, SIZE), st.integers(1, 3))
def test_rounds_end_where_one_commit_does_and_each_is_whole(seed: int, size: int, most: int) -> None:
    plan, leased = made(Random(seed), size)
    view = structs.replace(HERE, leases={image_id(name): ("lease",) for name in leased})
    whole = prune(plan.store().snapshot(), Pruning(now=NOW), view)
    names = {image_id(row.name): row.name for row in plan.rows}
    removed: list[str] = []
    layers: list[str] = []
    rest = None
    while rest is None or rest:
        planned = prune(plan.store().snapshot(), Pruning(now=NOW), view, among=rest, most=most)
        gone = {names[image] for image in planned.change.removed}
        check(plan, planned.result, planned.change, gone)
        assert not planned.result.changed
        removed += planned.change.removed
        layers += planned.change.layers
        lost = freed(plan, gone)
        plan.rows = [row for row in plan.rows if row.store or row.name not in gone]
        plan.layers = [layer for layer in plan.layers if layer[0] not in lost]
        rest = planned.result.rest
    assert sorted(removed) == sorted(whole.change.removed)
    assert sorted(layers) == sorted(whole.change.layers)


@scaled
@given(seeds, st.integers(0, SIZE), st.booleans())
def test_all_takes_nothing_in_use_leased_or_named_by_a_list_that_stays(seed: int, size: int, external: bool) -> None:
    plan, leased = made(Random(seed), size)
    view = structs.replace(HERE, leases={image_id(name): ("lease",) for name in leased})
    snapshot = plan.store().snapshot()
    planned = prune(snapshot, Pruning(all=True, external=external, now=NOW), view)
    model = Model(plan=plan)
    if any(row.kind == "unreadable" for row in model.shown):
        assert planned.change.empty
        return
    gone = {row.name for row in model.shown if row.store == 0 and image_id(row.name) in planned.change.removed}
    stay = [row for row in model.shown if row.store or row.name not in gone]
    for row in model.shown:
        if row.store == 0 and row.name in gone:
            assert row.name not in leased
            assert external or not used(plan, row)
            assert not {other.name for other in stay} & (model.in_lists(row) - {row.name})
        elif row.store == 0 and row.name not in leased and (external or not used(plan, row)):
            assert model.in_lists(row) - {row.name}
    if not external:
        check(plan, planned.result, planned.change, gone)


@scaled
@given(seeds, st.integers(1, SIZE), st.booleans())
def test_a_removal_takes_what_was_named_and_ancestors_only_while_dangling(seed: int, size: int, force: bool) -> None:
    random = Random(seed)
    plan, leased = made(random, size)
    shown = [row for row in plan.rows if row.kind != "half"]
    asked = random.sample(shown, min(len(shown), 3))
    wanted = [RequestedName(name=random.choice([*row.names, image_id(row.name), image_id(row.name)])) for row in asked]
    view = structs.replace(HERE, leases={image_id(name): ("lease",) for name in leased})
    planned = remove(plan.store().snapshot(), wanted, Removing(force=force), view)
    done, change = planned.result, planned.change
    names = {image_id(row.name): row.name for row in plan.rows}
    before = deepcopy(plan)
    for removal in done.removals:
        model = Model(plan=plan)
        (row,) = [row for row in plan.rows if row.name == names[removal.image.id] and row.store == 0]
        assert row.name not in leased
        assert force or not used(plan, row)
        if removal.reason.code == "ancestor":
            assert model.dangling(row)
            assert image_id(row.name) not in {edit.image for edit in change.edits}
        plan.rows.remove(row)
    refused = {refusal.name for refusal in done.refused}
    touched = {*change.removed, *(edit.image for edit in change.edits)}
    assert len(refused) <= len({item.name for item in wanted})
    assert touched or refused or not asked
    gone = {names[image] for image in change.removed}
    if not change.containers:
        check(before, done, change, gone)
    assert not {edit.image for edit in change.edits} & set(change.removed)
    for edit in change.edits:
        assert edit.members["names"]


@scaled
@given(seeds, st.integers(1, SIZE))
def test_a_removal_gives_back_what_the_usage_of_the_store_foretells(seed: int, size: int) -> None:
    plan, _ = made(Random(seed), size)
    plan.rows = [row for row in plan.rows if row.kind not in ("unreadable", "broken") and row.store == 0]
    snapshot = plan.store().snapshot()
    for image, row in zip(snapshot.images, usage(snapshot).images, strict=True):
        if not image.containers:
            done = remove(snapshot, [RequestedName(image=image.id)], Removing(), HERE).result
            told = [removal.freed.size for removal in done.removals]
            assert row.freed == (None if None in told else sum(size or 0 for size in told))
