"""What every command here shares: flags, printed figures, claims, the exit status."""

from __future__ import annotations

import argparse
import math
from collections.abc import Sequence


def arguments(
    description: str, argv: Sequence[str] | None = None, **extra: tuple[type, object, str]
) -> argparse.Namespace:
    """Parse ``--seed``, ``--scale`` (1 = full size), ``--untimed`` and the flags of one command.

    ``extra`` maps a flag to its type, default and help.
    """
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--scale", type=float, default=0.02, help="1 is the full size (default: that of CI)")
    parser.add_argument("--untimed", action="store_true", help="print times, do not judge them")
    for name, (kind, default, text) in extra.items():
        parser.add_argument(f"--{name.replace('_', '-')}", type=kind, default=default, help=text)
    return parser.parse_args(argv)


class Report:
    """Collects claims that held and claims that did not.

    ``timed``: whether claims about time count. In the test suite they are printed only, for a busy
    machine says nothing about the daemon.
    """

    def __init__(self, *, timed: bool = True) -> None:
        self._timed = timed
        self.held = 0
        self.violations: list[str] = []

    def figure(self, name: str, value: object) -> None:
        """Print a number that was measured."""
        text = f"{value:.4g}" if isinstance(value, float) else str(value)
        print(f"{name}: {text}", flush=True)

    def claim(self, held: bool, text: str) -> bool:
        """Count a claim; print it where it does not hold."""
        if held:
            self.held += 1
        else:
            self.violations.append(text)
            if len(self.violations) <= 20:
                print(f"VIOLATION: {text}", flush=True)
        return held

    def in_time(self, held: bool, text: str) -> None:
        """A claim about a duration or a ratio of durations."""
        if self._timed:
            self.claim(held, text)
        elif not held:
            print(f"not judged here: {text}", flush=True)

    def finish(self) -> int:
        """Print the sum and return the exit status: 1 with any violation, or if nothing was claimed at all."""
        print(f"claims held: {self.held}, violated: {len(self.violations)}", flush=True)
        return 0 if self.held and not self.violations else 1


def percentile(values: Sequence[float], share: float) -> float:
    """The value that ``share`` of the values do not exceed."""
    ordered = sorted(values)
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)]


def median(values: Sequence[float]) -> float:
    return percentile(values, 0.5)
