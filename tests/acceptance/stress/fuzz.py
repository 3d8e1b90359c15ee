"""Hostile and careless bytes and descriptors: no crash, no hang over a second, no growth, and the right answers.

python -m tests.acceptance.stress.fuzz --seed 0 --scale 1        1,000,000 inputs into the peer, 10,000 through a socket

Each input goes into the sans-io peer whole and cut at random, and both must be what an independent slow reference makes
of it; then others through a socket into a daemon, on both back ends; and every example of docs/protocol.md is cut at
every byte.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence

from tests.protocol.calculator import VECTORS
from tests.support.daemon import BACKENDS, on_sample
from tests.support.report import Report, arguments

from . import cuts, fuzz_peer, fuzz_socket
from .examples import examples

_INTO_PEER = 1_000_000
_THROUGH_SOCKET = 10_000
_IMAGES = 20


def corpus() -> list[bytes]:
    """What is mutated: the document's examples and the vectors."""
    return [*examples(), *(vector["send"].encode() for vector in VECTORS)]


def main(argv: Sequence[str] | None = None) -> int:
    flags = arguments(__doc__ or "", argv)
    report = Report(timed=not flags.untimed)
    cuts.into_peer(report, examples())
    fuzz_peer.fuzz(report, seed=flags.seed, count=max(1_000, round(_INTO_PEER * flags.scale)), corpus=corpus())
    for number, backend in enumerate(BACKENDS):
        with on_sample(_IMAGES, seed=flags.seed, backend=backend) as (daemon, _):
            fuzz_socket.fuzz(
                report,
                daemon,
                seed=flags.seed + number,
                count=max(100, round(_THROUGH_SOCKET * flags.scale / len(BACKENDS))),
                corpus=corpus(),
            )
            cuts.into_socket(report, daemon, examples())
    return report.finish()


if __name__ == "__main__":
    sys.exit(main())
