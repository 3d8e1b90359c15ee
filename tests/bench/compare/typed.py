"""Typed objects in Python: our client beside podman-py on podman's own service."""

from __future__ import annotations

import gc
import json
import time
from collections.abc import Callable

import storaged_client
from storaged.sample import SampleSpec

from .figures import BYTES, CLIENT, PARSED, PODMAN_PY
from .stage import Run, stage
from .timing import Contender, by_turns

SIZES = (100, 800)
TYPED = "typed objects, listed"
READ = "typed objects, listed, id and names of each read"
_REQUEST = '{"jsonrpc":"2.0","id":1,"method":"images.list","params":{"all":true}}'


def measure(run: Run) -> None:
    """A list of all images as objects; once only made, once also read.

    podman-py is left out, with the reason, where it is not installed.
    """
    try:
        import podman
    except ImportError:
        run.missing["podman-py"] = "not installed: pip install -e '.[bench]'"
        return
    run.versions[PODMAN_PY] = podman.__version__
    for images in run.sizes(SIZES):
        with (
            stage(run, SampleSpec(images=images, seed=run.seed, driver="vfs")) as on,
            storaged_client.connect(on.daemon.path) as store,
        ):
            if on.rest is None:
                return
            with podman.PodmanClient(base_url=f"unix://{on.store.work}/service", timeout=300) as rival:

                def ours(read: bool) -> int:
                    rows = store.images.list(all=True)
                    return len({(row.id, *row.names) for row in rows}) if read else len(rows)

                def theirs(read: bool) -> int:
                    rows = rival.images.list(all=True)
                    return len({(row.id, *row.tags) for row in rows}) if read else len(rows)

                def received() -> float:
                    on.client.raw(_REQUEST)
                    return on.client.elapsed

                def parsed() -> float:
                    gc.collect()
                    start = time.perf_counter()
                    json.loads(on.client.raw(_REQUEST))
                    return time.perf_counter() - start

                counted = ours(True), theirs(True)
                run.report.claim(counted[0] == counted[1], f"{TYPED}: ours and podman-py's: {counted}")
                for case, read in ((TYPED, False), (READ, True)):
                    contenders = [
                        Contender(who=CLIENT, ask=_timed(ours, read), burst=10, warm=5),
                        Contender(who=BYTES, ask=received, burst=10, warm=5),
                        Contender(who=PARSED, ask=parsed, burst=10, warm=5),
                        Contender(who=PODMAN_PY, ask=_timed(theirs, read)),
                    ]
                    run.figures.add(run.report, case, on.place, by_turns(contenders, run.effort()))


def _timed(ask: Callable[[bool], int], read: bool) -> Callable[[], float]:
    def timed() -> float:
        # What an earlier one left behind is nobody's cost.
        gc.collect()
        start = time.perf_counter()
        ask(read)
        return time.perf_counter() - start

    return timed
