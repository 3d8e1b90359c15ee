"""What one question costs does not depend on how many images and layers there are.

Counted are instructions of the interpreter and calls of built-in functions. What a built-in function does
within one call is not seen: how long a request takes, and which system calls it makes, ``acceptance.costs`` shows.
"""

import gc
import sys
import threading
from collections.abc import Callable
from types import CodeType, FrameType

import pytest

from storaged.operations import layer_list
from storaged.operations.image_list import select
from storaged.snapshot.model import Snapshot
from storaged_client.contract.params import ImagesList
from tests.support.questions import DEPTH, FEW, FLEET, QUESTIONS, store_of
from tests.support.stores import HERE
from tests.unit.operations.asking import NOW


@pytest.fixture(scope="module")
def few() -> Snapshot:
    return store_of(FEW, DEPTH)


@pytest.fixture(scope="module")
def fleet() -> Snapshot:
    return store_of(FLEET, DEPTH)


def steps(work: Callable[[], object]) -> int:
    """Instructions of the interpreter, and calls of built-in functions."""
    # A collection in between would run the callbacks that others registered for it, and count them.
    collecting = gc.isenabled()
    gc.disable()
    try:
        # From 3.12 on the traced instructions of a piece of code are all told only from its second call on.
        return _monitored(work) if sys.version_info >= (3, 12) else _traced(work)
    finally:
        if collecting:
            gc.enable()


def _traced(work: Callable[[], object]) -> int:
    count = 0

    def trace(frame: FrameType, event: str, argument: object) -> Callable[..., object]:
        nonlocal count
        frame.f_trace_opcodes, frame.f_trace_lines = True, False
        count += event == "opcode"
        return trace

    def profile(frame: FrameType, event: str, argument: object) -> None:
        nonlocal count
        count += event == "c_call"

    before = sys.gettrace(), sys.getprofile()
    sys.settrace(trace)
    sys.setprofile(profile)
    try:
        work()
    finally:
        sys.setprofile(before[1])
        sys.settrace(before[0])
    return count


def _monitored(work: Callable[[], object]) -> int:
    monitoring, own, tool = sys.monitoring, threading.get_ident(), sys.monitoring.PROFILER_ID
    events = monitoring.events.INSTRUCTION | monitoring.events.CALL
    count = 0

    def note(code: CodeType, offset: int, *_: object) -> None:
        nonlocal count
        count += threading.get_ident() == own

    monitoring.use_tool_id(tool, "steps")
    try:
        monitoring.register_callback(tool, monitoring.events.INSTRUCTION, note)
        monitoring.register_callback(tool, monitoring.events.CALL, note)
        monitoring.set_events(tool, events)
        work()
    finally:
        monitoring.set_events(tool, monitoring.events.NO_EVENTS)
        monitoring.free_tool_id(tool)
    return count


@pytest.mark.parametrize("question", QUESTIONS)
def test_a_question_takes_as_many_steps_at_43_000_layers_as_at_100(
    question: str, few: Snapshot, fleet: Snapshot
) -> None:
    assert len(few.layers) < 120
    assert len(fleet.layers) > 43_000
    ask = QUESTIONS[question]
    for snapshot in (few, fleet):
        ask(snapshot)  # references are parsed once
    assert steps(lambda: ask(fleet)) == steps(lambda: ask(few)) > 0


@pytest.mark.parametrize(
    "many",
    [lambda snapshot: [image.id for image in snapshot.images], lambda snapshot: [len(x.id) for x in snapshot.layers]],
    ids=["an instruction an image", "a built-in function a layer"],
)
def test_work_for_each_image_or_layer_would_be_counted(
    many: Callable[[Snapshot], object], few: Snapshot, fleet: Snapshot
) -> None:
    assert steps(lambda: many(fleet)) > steps(lambda: many(few)) + FLEET


def test_a_page_of_the_forest_takes_as_many_steps_at_43_000_layers_as_at_100(few: Snapshot, fleet: Snapshot) -> None:
    def page(snapshot: Snapshot) -> object:
        return [layer_list.summary(snapshot.layer_by_id[layer]) for layer in layer_list.tree(snapshot, None)[40:90]]

    assert steps(lambda: page(fleet)) == steps(lambda: page(few))


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
