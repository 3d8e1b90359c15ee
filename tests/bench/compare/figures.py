"""All that was measured in a run, found again by case, shape, size and program."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from attrs import define, field, frozen

from tests.support.report import Report

from .timing import Timing

STORAGED = "storaged"
ANEW = "storaged, made anew"
"""The same question with a member beside it that has no effect, so that no answer of before serves."""
SERVICE = "podman's service"
ECHO = "bare echo"
LOOP = "echo on trio"
BYTES = "the reply's bytes"
PARSED = "the reply by json.loads"
NOTHING = "python, nothing done"
PING = "server.ping"
PODMAN = "podman"
STORAGECTL = "storagectl"
BUILDAH = "buildah"
CONTAINERS_STORAGE = "containers-storage"
CONTAINERD = "containerd"
PODMAN_PY = "podman-py"
CLIENT = "storaged_client"

STAT_AND_PREAD = "stat and pread"
STDLIB = "read and json.loads"
MSGSPEC = "read and msgspec.json.decode"
EMPTY = "an empty store"
OURS = (STORAGED, ANEW, CLIENT, STORAGECTL)
LIMITS = (ECHO, LOOP, PING, BYTES, PARSED, NOTHING, STAT_AND_PREAD, STDLIB, MSGSPEC, EMPTY)
"""What no program can be faster than: told as how many times as long ours takes."""


@frozen(kw_only=True)
class Figure:
    """One series. ``size``: images of the store; ``shape``: a shape of the sample's."""

    case: str
    shape: str
    size: int
    who: str
    timing: Timing

    @property
    def place(self) -> tuple[str, int]:
        return self.shape, self.size


@define
class Figures:
    """In the order they were taken."""

    all: list[Figure] = field(factory=list)
    facts: dict[str, str] = field(factory=dict)
    """What else a reader wants to know: bytes, rows, layers."""

    def add(self, report: Report, case: str, place: tuple[str, int], timings: Mapping[str, Timing]) -> None:
        """Keep the series of one comparison and print them."""
        shape, size = place
        for who, timing in timings.items():
            self.all.append(Figure(case=case, shape=shape, size=size, who=who, timing=timing))
            told = f"{timing.median * 1e3:.4g} (p99 {timing.p99 * 1e3:.4g}, of {timing.count})"
            report.figure(f"{case}, {shape} {size}: {who}, ms", told)

    def of(self, case: str) -> Iterator[Figure]:
        return (figure for figure in self.all if figure.case == case)

    def cases(self) -> list[str]:
        return list(dict.fromkeys(figure.case for figure in self.all))

    def median(self, case: str, place: tuple[str, int], who: str) -> float | None:
        """Seconds; None where it was not measured."""
        for figure in self.of(case):
            if figure.place == place and figure.who == who:
                return figure.timing.median
        return None

    def ratio(self, case: str, place: tuple[str, int], *, slow: str, fast: str) -> float | None:
        """How many times as long ``slow`` takes; None where one of them was not measured."""
        numerator, denominator = self.median(case, place, slow), self.median(case, place, fast)
        return None if numerator is None or denominator is None else numerator / denominator
