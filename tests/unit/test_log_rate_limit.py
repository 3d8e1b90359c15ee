"""What may be logged without end is told a few times and then by its number."""

from __future__ import annotations

import io
import logging

from storaged import logs
from storaged.log_rate_limit import SECONDS, Kind, Throttle

KIND = Kind("storaged.x", logging.WARNING, "connection refused")
ONCE = Kind("storaged.audit", logging.INFO, "audit", (("uid", 7),), burst=1)


class Desk:
    def __init__(self) -> None:
        self.now = 0.0
        self.told: list[tuple[Kind, int, int]] = []
        self.throttle = Throttle(lambda *said: self.told.append(said), lambda: self.now)

    def passed(self, kind: Kind, count: int) -> int:
        return sum(self.throttle.passes(kind) for _ in range(count))


def test_the_first_of_a_kind_pass_and_the_number_of_the_others_is_told_after_a_minute() -> None:
    desk = Desk()
    assert desk.passed(KIND, 1000) == KIND.burst
    assert desk.passed(ONCE, 5) == 1
    desk.now = SECONDS - 1
    desk.throttle.settle()
    assert desk.told == []
    desk.now = SECONDS
    desk.throttle.settle()
    assert desk.told == [(KIND, 900, 60), (ONCE, 4, 60)]
    assert desk.passed(ONCE, 1) == 1


def test_what_all_passed_is_not_told_again() -> None:
    desk = Desk()
    desk.passed(KIND, 100)
    desk.passed(ONCE, 1)
    desk.throttle.settle(everything=True)
    assert desk.told == []


def test_at_the_end_everything_is_told() -> None:
    desk = Desk()
    desk.passed(ONCE, 3)
    desk.now = 7
    desk.throttle.settle(everything=True)
    assert desk.told == [(ONCE, 2, 7)]


def test_the_kinds_of_a_user_of_65_536_uids_are_counted_together_from_some_number_on() -> None:
    desk = Desk()
    kinds = [ONCE._replace(fields=(("uid", uid),)) for uid in range(65_536)]
    assert sum(desk.throttle.passes(kind) for kind in kinds) < 300
    desk.throttle.settle(everything=True)
    assert sum(count for _, count, _ in desk.told) > 65_000
    assert len(desk.told) < 300


def test_texts_without_end_are_counted_together_too() -> None:
    desk = Desk()
    for number in range(5000):
        desk.throttle.passes(KIND._replace(words=f"text {number}"))
    desk.throttle.settle(everything=True)
    assert desk.told == [(KIND._replace(words="other lines"), 5000 - 2 * 256 - KIND.burst, 0)]


def test_lines_of_one_template_are_of_one_kind_and_those_asked_for_by_debug_come_whole() -> None:
    now = 0.0
    written = io.StringIO()
    handler = logs.Throttled(written, clock=lambda: now)
    handler.setFormatter(logs.Lines(journal=True))
    logger = logging.Logger("storaged.x")
    logger.addHandler(handler)
    for number in range(150):
        logger.warning("connection refused uid=%d pid=%d", number, 1)
        logger.info("input refused connection=%d", number)
        logger.debug("connection lost connection=%d", number)
    now = 61.0
    logger.warning("other")
    lines = written.getvalue().splitlines()
    assert sum("refused uid=" in line for line in lines) == 100
    assert sum("connection lost" in line for line in lines) == 150
    assert lines[-3:] == [
        "<4>storaged.x: connection refused repeated=50 seconds=61",
        "<6>storaged.x: input refused repeated=50 seconds=61",
        "<4>storaged.x: other",
    ]


def test_a_number_told_by_chance_during_a_request_is_not_that_requests() -> None:
    written = io.StringIO()
    handler = logs.Throttled(written, clock=lambda: 0.0)
    handler.setFormatter(logs.Lines(journal=True))
    logger = logging.Logger("storaged.x")
    logger.addHandler(handler)
    for _ in range(3):
        logger.warning("x uid=%d", 7, extra=logs.repeats(uid=7))
    logs.begin_request(3, 17)
    try:
        handler.close()
    finally:
        logs.end_request()
    assert written.getvalue().splitlines() == ["<4>storaged.x: x uid=7", "<4>storaged.x: x uid=7 repeated=2 seconds=0"]
