"""All that docs/scaling.md tells, measured one after the other: about ten minutes on a machine that should be quiet.

python -m tests.bench.scaling --scale 1
"""

from __future__ import annotations

import sys
from collections.abc import Sequence

from . import load, second_core, stalls, starts

_COMMANDS = (stalls, starts, load, second_core)


def main(argv: Sequence[str] | None = None) -> int:
    """The worst exit status of all of them, each with the same flags."""
    flags = list(sys.argv[1:] if argv is None else argv)
    worst = 0
    for command in _COMMANDS:
        print(f"\n--- {command.__name__}", flush=True)
        worst = max(worst, command.main(flags))
    return worst


if __name__ == "__main__":
    sys.exit(main())
