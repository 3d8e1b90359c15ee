"""What is made of the numbers: a leak is seen among transients, a slow answer however the client waits."""

from __future__ import annotations

import json
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from random import Random

import pytest

from tests.acceptance.stress.connections import _judge_times
from tests.acceptance.stress.pace import Paced
from tests.acceptance.stress.steadiness import growth, slope, troughs
from tests.support.report import Report, percentile


def _samples(leak: float, seed: int = 1) -> list[tuple[float, float]]:
    """An hour of a process that holds 50, and for moments much more; ``leak`` an hour."""
    random = Random(seed)
    return [
        (
            second,
            50 + leak * second / 3600 + (random.uniform(0, 100) if random.random() < 0.5 else random.random() / 10),
        )
        for second in range(0, 3600, 4)
    ]


@pytest.mark.parametrize("seed", range(5))
def test_a_leak_is_seen_among_transients_many_times_as_large(seed: int) -> None:
    assert abs(growth(_samples(0, seed))) < 0.5
    assert 1.5 < growth(_samples(2, seed)) < 2.5


def test_a_step_at_the_beginning_is_no_slope() -> None:
    assert slope([(t, 10.0 if t < 10 else 15.0) for t in range(100)]) == 0


def test_troughs_are_the_least_of_each_stretch() -> None:
    assert troughs([(0, 5), (1, 3), (2, 9), (3, 7), (4, 8)], blocks=2) == [(1, 3), (3, 7)]


@pytest.fixture
def slow_server(short_dir: Path) -> Iterator[str]:
    """Answers every line at once, but for a pause of 0.6 s after the tenth."""
    path = str(short_dir / "s")
    with socket.socket(socket.AF_UNIX) as door:
        door.bind(path)
        door.listen()

        def serve() -> None:
            channel, _ = door.accept()
            with channel, channel.makefile("rb") as lines:
                for number, line in enumerate(lines):
                    if number == 10:
                        time.sleep(0.6)
                    reply = {"jsonrpc": "2.0", "id": json.loads(line)["id"], "result": {}}
                    channel.sendall(json.dumps(reply).encode() + b"\n")

        thread = threading.Thread(target=serve)
        thread.start()
        yield path
        thread.join()


def test_one_pause_delays_every_question_that_was_due_meanwhile(slow_server: str) -> None:
    paced = Paced(slow_server, [("x", {})], clients=1, rate=50)
    times = paced.window(1.0)
    paced.close()
    assert len(times) == 50
    # A client that asks only when it was answered would have one late answer of fifty.
    assert percentile(times, 0.8) > 0.2


def test_answers_that_are_slow_beside_the_crowd_are_judged() -> None:
    quick, slow = [[0.001] * 98 + [0.002] * 2] * 3, [[0.001] * 98 + [0.01] * 2] * 3
    for loaded, held in ((quick, True), (slow, False), ([*quick, slow[0]], True)):
        report = Report()
        _judge_times(report, "here", quick, loaded)
        assert bool(report.violations) != held
