"""The observer misses no state and takes none of a writer at work for complete."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from storaged.sample import SampleSpec, SampleWriter, write_store
from storaged.sample.exclusive import exclusive, publish
from storaged.store.layout import paths
from tests.acceptance.changes import Readers
from tests.acceptance.observer import Observer, State
from tests.support.peers import Peer, Store
from tests.support.report import Report


@pytest.fixture
def store(tmp_path: Path) -> Store:
    if os.geteuid() != 0:
        pytest.skip("fanotify needs uid 0")
    made = Store(peer=Peer(name="none", version=""), work=tmp_path)
    write_store(made.graphroot, made.runroot, SampleSpec(images=5, driver="vfs"))
    return made


def test_every_save_of_a_writer_is_one_state(store: Store) -> None:
    writer = SampleWriter(store.graphroot, store.runroot, store.driver)
    observer = Observer(store)
    observer.start()
    image = writer.add_image("text")
    named = [f"localhost/name:{number}" for number in range(50)]
    for name in named:
        writer.set_names(image, [name])
    observer.settled()
    observer.stop()
    assert observer.problems == []
    bearing = [row[1] for state in observer.states() for row in state.images if row[0] == image]
    assert bearing == [(), *((name,) for name in named)]


def test_a_state_between_two_saves_under_one_hold_is_not_complete(store: Store) -> None:
    observer = Observer(store)
    observer.start()
    path = paths.layers_json(str(store.graphroot), store.driver)
    with exclusive(paths.layers_lock(str(store.graphroot), store.driver)) as lock:
        for count in (1, 2):
            publish(Path(path), [{"id": f"{number:064x}", "created": ""} for number in range(count)], lock)
    observer.settled()
    observer.stop()
    assert [len(state.layers) for state in observer.states()[1:]] == [2]


def test_a_reply_of_tables_that_never_were_together_is_reported() -> None:
    first = State(images=(("a",),), layers=(("x",),), containers=())
    second = State(images=(("b",),), layers=(("y",),), containers=())
    mixed = {"images": first.images, "layers": second.layers, "containers": ()}
    for kinds, violations in ((mixed, 1), ({**mixed, "layers": first.layers}, 0)):
        report = Report()
        Readers.judge(report, "here", [{"g": kinds}], [["g"]], [first, second])
        assert len(report.violations) == violations


def test_a_reader_that_goes_back_in_time_is_reported() -> None:
    states = [State(images=((name,),), layers=(), containers=()) for name in "ab"]
    seen = {name: {"images": ((name,),), "layers": (), "containers": ()} for name in "ab"}
    for order, violations in ((["a", "b"], 0), (["b", "a"], 1)):
        report = Report()
        Readers.judge(report, "here", [seen], [order], states)
        assert len(report.violations) == violations
