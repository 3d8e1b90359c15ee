"""Random stores against the slow model. ``STORAGED_EXAMPLES`` scales the search, ``STORAGED_SIZE`` the stores."""

from __future__ import annotations

import os
from random import Random

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from storaged.operations.resolving import find
from storaged.snapshot.model import Snapshot
from storaged_client.contract.errors import AmbiguousName
from tests.support.slow_model import Model, Plan, Row, random_plan
from tests.support.stores import HERE, digest_of, image_id, layer_id

EXAMPLES = int(os.environ.get("STORAGED_EXAMPLES", "60"))
SIZE = int(os.environ.get("STORAGED_SIZE", "14"))

scaled = settings(
    max_examples=EXAMPLES, deadline=None, suppress_health_check=list(HealthCheck), derandomize=EXAMPLES <= 60
)


def agree(model: Model, snapshot: Snapshot) -> None:
    shown = [(at, row) for at, row in enumerate(model.plan.rows) if row.kind != "half"]
    assert [image.id for image in snapshot.images] == [image_id(row.name) for _, row in shown]
    for image, (at, row) in zip(snapshot.images, shown, strict=True):
        parent = model.parent(row)
        assert image.parent == (image_id(parent) if parent is not None else None), row
        assert set(image.children) == {image_id(name) for name in model.children(row)}, row
        assert len(image.children) == len(set(image.children))
        assert set(image.possible_children) == {image_id(name) for name in model.possible_children(row)}, row
        assert set(image.in_lists) == {image_id(name) for name in model.in_lists(row)}, row
        assert image.dangling == model.dangling(row), row
        assert (image.size, image.unique_size) == model.sizes(at), row
        chain, whole = model.chain(row.layer)
        assert image.layers[-1:] == ((layer_id(row.layer),) if chain else ())
        assert set(image.layers) <= set(map(layer_id, chain))
        assert len(image.layers) == len(chain) or not whole, row
        assert snapshot.by_id[image.id] is snapshot.images[_at(shown, model.found_by_id(row.name))]
        for name in row.names:
            expected = model.found_by_name(name)
            assert (snapshot.by_name.get(name) is None) == (expected is None)
            if expected is not None:
                assert snapshot.by_name[name].id == image_id(expected.name)
    named = {digest_of(digest) for lists in model.lists().values() for digest in lists}
    assert set(snapshot.referenced) == named


def _at(shown: list[tuple[int, Row]], wanted: Row) -> int:
    return next(place for place, (_, row) in enumerate(shown) if row is wanted)


@scaled
@given(st.integers(0, 2**32), st.integers(0, SIZE))
def test_every_relation_equals_that_of_the_slow_model(seed: int, size: int) -> None:
    plan = random_plan(Random(seed), size)
    agree(Model(plan=plan), plan.store().snapshot())


@scaled
@given(st.integers(0, 2**32), st.integers(1, SIZE))
def test_lists_protect_across_generations_as_in_the_slow_model(seed: int, size: int) -> None:
    random = Random(seed)
    plan = random_plan(random, size)
    known: dict[str, tuple[str, ...]] = {}
    snapshot: Snapshot | None = None
    for _ in range(5):
        model = Model(plan=plan, known=known)
        snapshot = plan.store().snapshot(snapshot)
        agree(model, snapshot)
        known = model.learn()
        assert set(snapshot.last_lists) == {image_id(name) for name in known}
        _change(random, plan)


def _change(random: Random, plan: Plan) -> None:
    """What other tools and accidents do: remove, tear, mend, edit, untag."""
    for row in list(plan.rows):
        what = random.random()
        if what < 0.1:
            plan.rows.remove(row)
        elif what < 0.3 and row.kind in ("list", "unreadable"):
            row.kind = "unreadable" if row.kind == "list" else "list"
        elif what < 0.4 and row.kind == "list":
            row.instances = row.instances[1:]
        elif what < 0.5:
            row.names = ()


@scaled
@given(st.integers(0, 2**32), st.integers(1, SIZE))
def test_a_prefix_finds_the_only_image_or_says_which_it_may_be(seed: int, size: int) -> None:
    plan = random_plan(Random(seed), size)
    snapshot = plan.store().snapshot()
    ids = {image_id(row.name): row for row in Model(plan=plan).shown}
    near = {name for name in ids if snapshot.by_id[name].store == 0}
    for wanted in ids:
        for length in (1, 2, 8, 63):
            prefix = wanted[:length]
            fitting = [name for name in near if name.startswith(prefix)] or [n for n in ids if n.startswith(prefix)]
            if len(fitting) > 1:
                with pytest.raises(AmbiguousName) as caught:
                    find(snapshot, prefix, manifest=False, or_list=True, view=HERE)
                assert caught.value.data["candidates"] == sorted(fitting)
                continue
            found = find(snapshot, prefix, manifest=False, or_list=True, view=HERE).image
            assert snapshot.by_id[fitting[0]].is_list or found.id == fitting[0]
