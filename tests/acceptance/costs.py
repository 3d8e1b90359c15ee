"""What one question costs at 100 layers and at 43,000: system calls, store locks, instructions, time.

The daemon is the real one, on stores of the sample; strace sees what it asks of the kernel for one request. The
instructions are those of the operations alone, counted by valgrind.

python -m tests.acceptance.costs --scale 1
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from storaged.sample import SampleSpec, SampleWriter, write_store
from tests.support.client import Client
from tests.support.daemon import Daemon, daemon
from tests.support.peers import Peer, workspace
from tests.support.questions import DEPTH, FEW, FLEET
from tests.support.report import Report, arguments, percentile
from tests.support.strace import calls as calls_of
from tests.support.strace import strace

from .instructions import MORE

_ROOT = Path(__file__).parents[2]
_NAME = "localhost/asked:1"
_ASKED = 20
"""Requests of a kind that are watched; a call made fewer times belongs to something else the daemon does."""
_TURN = 0.002
"""Seconds after which a request does not share a look at the store's files with the one before it."""
_BY_CHANCE = "recvmsg"
"""A second one is made where the next request is not there yet."""
_MORE_INSTRUCTIONS = 1.1
"""How many more instructions a question may take at the largest size: the depth of a bisection differs."""
_FLAT = 1.5


def main(argv: Sequence[str] | None = None) -> int:
    flags = arguments(__doc__ or "", argv)
    report = Report(timed=not flags.untimed)
    images = max(4 * FEW, round(FLEET * flags.scale))
    count_instructions(report, images)
    count_system_calls(report, images, seed=flags.seed, rounds=max(20, round(300 * flags.scale)))
    return report.finish()


# ---------------------------------------------------------------- instructions


def count_instructions(report: Report, images: int) -> None:
    """Each question at ``FEW`` images and at so many."""
    if shutil.which("valgrind") is None:
        report.claim(False, "instructions are not counted without valgrind: apt-get install valgrind")
        return
    few, many = _instructions(FEW), _instructions(images)
    for question, small in few.items():
        large = many[question]
        report.figure(f"{question}: instructions at {FEW * DEPTH} and {images * DEPTH} layers", f"{small} {large}")
        report.claim(large <= _MORE_INSTRUCTIONS * small, f"{question}: {large} instructions instead of {small}")


def _instructions(images: int) -> dict[str, int]:
    with tempfile.TemporaryDirectory(prefix="rival-") as folder:
        command = ["valgrind", "--tool=cachegrind", "--cache-sim=no", f"--cachegrind-out-file={folder}/%p"]
        command += [sys.executable, "-m", "tests.acceptance.instructions", str(images)]
        environment = {**os.environ, "PYTHONHASHSEED": "0"}
        done = subprocess.run(command, cwd=_ROOT, env=environment, capture_output=True, text=True, check=True)
        found = {}
        for line in done.stdout.splitlines():
            name, once, often = line.split("\t")
            found[name] = (_total(Path(folder) / often) - _total(Path(folder) / once)) // MORE
        return found


def _total(written: Path) -> int:
    (line,) = (line for line in written.read_text().splitlines() if line.startswith("summary:"))
    return int(line.split()[1])


# ---------------------------------------------------------------- system calls


def count_system_calls(report: Report, images: int, *, seed: int, rounds: int) -> None:
    """Each method at about 100 layers and at those of so many images, by the real daemon."""
    sizes = (SampleSpec(images=FEW, layers=100, seed=seed), SampleSpec(images=images, layers=images * DEPTH, seed=seed))
    counted: list[dict[str, Counter[str]]] = []
    times: list[dict[str, float]] = []
    for spec in sizes:
        with workspace(Peer(name="sample", version=""), driver=spec.driver) as store:
            sample = write_store(store.graphroot, store.runroot, spec)
            asked = SampleWriter(store.graphroot, store.runroot, spec.driver).add_image("asked", names=[_NAME])
            with daemon(store) as ours, ours.client() as client:
                report.figure(f"{spec.images} images: layers", sample.layers + 1)
                questions = _questions(client, asked)
                counted.append({method: _watched(ours, client, method, questions[method]) for method in questions})
                times.append({method: _time(client, rounds, method, questions[method]) for method in questions})
    few, many = counted
    for method, calls in few.items():
        larger = many[method]
        report.figure(f"{method}: system calls at each size", f"{_said(calls)} | {_said(larger)}")
        report.claim(bool(calls), f"{method}: strace saw nothing")
        report.claim(larger["locks"] == 0, f"{method}: takes {larger['locks']} store locks")
        more = {name: (calls[name], n) for name, n in larger.items() if n > calls[name] and name != _BY_CHANCE}
        report.claim(not more, f"{method}: more system calls at the larger size: {more}")
        small, large = times[0][method], times[1][method]
        report.figure(f"{method}: ms at each size", f"{small * 1000:.3g} {large * 1000:.3g}")
        report.in_time(large <= _FLAT * small, f"{method}: {large * 1000:.3g} ms instead of {small * 1000:.3g}")


def _questions(client: Client, image: str) -> dict[str, dict[str, Any]]:
    """One question a method, about the same image of one layer in each store."""
    top = client.call("images.get", names=[image])["images"][0]["image"]["top_layer"]
    name = {"name": _NAME}
    return {
        "server.ping": {},
        "images.resolve": name,
        "images.exists": name,
        "images.why": name,
        "images.relations": name,
        "images.history": name,
        "images.tree": name,
        "images.get": {"names": [_NAME]},
        "layers.get": {"id": top},
        "layers.list": {"limit": 10},
        "layers.tree": {"limit": 10},
    }


def _watched(ours: Daemon, client: Client, method: str, params: Mapping[str, Any]) -> Counter[str]:
    """The system calls of one request, by name; ``locks`` counts those that take a lock of the store.

    The least of three looks: what a daemon that has just started does besides is in one of them at most.
    """
    first, second, third = (_look(ours, client, method, params) for _ in range(3))
    return first & second & third


def _look(ours: Daemon, client: Client, method: str, params: Mapping[str, Any]) -> Counter[str]:
    client.call(method, **params)
    with strace(ours.pid) as log:
        for _ in range(_ASKED):
            client.call(method, **params)
            time.sleep(_TURN)
    found = calls_of(log)
    log.unlink()
    return Counter({name: each for name, count in found.items() if (each := round(count / _ASKED))})


def _time(client: Client, rounds: int, method: str, params: Mapping[str, Any]) -> float:
    """Seconds that nine of ten requests exceed: what the machine does besides makes requests slower, none faster."""
    times = []
    for _ in range(rounds):
        client.call(method, **params)
        times.append(client.elapsed)
    return percentile(times, 0.1)


def _said(calls: Counter[str]) -> str:
    return " ".join(f"{name} {count}" for name, count in sorted(calls.items()))


if __name__ == "__main__":
    sys.exit(main())
