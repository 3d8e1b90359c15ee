"""What of the benchmarks of load can be wrong without a clock."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest

from storaged.sample import SampleSpec
from tests.bench.load_clients import Clients
from tests.bench.load_document import table, write_part
from tests.bench.load_ground import Spread, compiled, ground
from tests.bench.load_sampled import PLACES, place_of
from tests.bench.load_writer import ForeignWriter, two_states
from tests.bench.stalls import ping
from tests.support.daemon import on_sample


def test_a_part_of_the_document_takes_the_place_of_the_one_before_and_of_nothing_else(tmp_path: Path) -> None:
    document = tmp_path / "d.md"
    document.write_text("# a\n<!-- x: begin -->\nold\n<!-- x: end -->\nkept\n<!-- y: begin -->\ny\n<!-- y: end -->\n")
    write_part("x", "python -m x", "new", document=document)
    text = document.read_text()
    assert "old" not in text
    assert text.index("begin") < text.index("python -m x") < text.index("new") < text.index("<!-- x: end -->")
    assert text.endswith("\nkept\n<!-- y: begin -->\ny\n<!-- y: end -->\n")
    with pytest.raises(ValueError, match="z: begin"):
        write_part("z", "python -m z", "new", document=document)


def test_a_table_has_as_many_cells_in_each_line() -> None:
    lines = table(("a", "b"), [("x", 1.23456), (None, 12345.6)]).splitlines()
    assert {line.count("|") for line in lines} == {3}
    assert lines[2:] == ["| x | 1.23 |", "| - | 12346 |"]


def test_a_spread_is_of_what_was_measured_and_of_nothing_it_is_not_made() -> None:
    spread = Spread.of([number / 1000 for number in range(1, 1001)])
    assert (spread.count, spread.p50, spread.p99, spread.p999, spread.longest) == (1000, 500, 990, 999, 1000)
    with pytest.raises(ValueError, match="nothing"):
        Spread.of([])


@pytest.mark.parametrize("kind", ["tag", "layer"])
def test_the_foreign_writer_makes_one_change_and_takes_it_back(kind: str) -> None:
    with ground(SampleSpec(images=5, seed=1)) as store:
        path = store.layers_json if kind == "layer" else store.images_json
        before = path.read_bytes()
        writer = ForeignWriter(path, path.with_suffix(".lock"), kind)
        tokens = set()
        for number in range(4):
            writer.write()
            tokens.add(path.with_suffix(".lock").read_bytes())
            now = json.loads(path.read_bytes())
            changed = [record for record in now if record not in json.loads(before)]
            assert len(changed) == (number + 1) % 2
        assert len(tokens) == 4
        assert path.read_bytes() == before
    with pytest.raises(ValueError, match="no such change"):
        two_states(before, "other")


def test_processes_find_their_modules_compiled_and_the_environment_is_as_before(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    import os

    monkeypatch.setenv("PYTHONDONTWRITEBYTECODE", "1")
    before = dict(os.environ)
    with compiled():
        assert "PYTHONDONTWRITEBYTECODE" not in os.environ
        assert Path(os.environ["PYTHONPYCACHEPREFIX"]).is_dir()
    assert dict(os.environ) == before


def test_a_sample_belongs_to_the_innermost_frame_that_is_somebodys() -> None:
    import sys

    assert place_of(sys._getframe()) == "other"
    names = {}
    for path in ("storaged/server/receiving.py", "trio/_core/_run.py", "storaged/service/encoding.py"):
        scope: dict[str, object] = {"sys": sys}
        exec(compile("frame = sys._getframe()", f"/x/{path}", "exec"), scope)
        names[path] = place_of(scope["frame"])  # type: ignore[arg-type]
    assert list(names.values()) == [PLACES[0][0], PLACES[1][0], PLACES[-1][0]]


@pytest.mark.parametrize("backend", ["trio", "asyncio"])
def test_each_question_of_the_clients_is_answered_once(backend: str) -> None:
    with on_sample(5, seed=1, backend=backend) as (daemon, sample):
        answered, lateness = ping(daemon.path, seconds=0.2)
        assert len(answered) == len(lateness) == 40
        assert all(spent >= late > -1 for spent, late in zip(answered, lateness, strict=True))
        clients = Clients(daemon.path, 7, "images.exists", {"name": sample.images[0]})
        try:
            assert len(clients.open(0.3, 10.0).times) == 21
        finally:
            clients.close()
        clients = Clients(daemon.path, 3, "images.resolve", {"name": "localhost/nobody:1"})
        try:
            began = time.perf_counter()
            answers = clients.closed(0.1)
            assert answers.seconds <= time.perf_counter() - began
            assert len(answers.errors) == len(answers.times) > 3
            assert min(answers.times) > 0
        finally:
            clients.close()
