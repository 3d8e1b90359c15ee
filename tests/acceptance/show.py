"""Runs every acceptance command, mostly beside real tools, one after the other.

    python -m tests.acceptance.show --scale ci       about 1/20, a fresh seed that is printed
    python -m tests.acceptance.show --scale full     the required figures, a fixed seed and a fresh one; hours;
                                                 renews the lines of docs/results.md

Each command's whole output is left in build/results/.

A time is judged at full scale only, and there on a machine that should be quiet.
"""

from __future__ import annotations

import argparse
import os
import platform
import re
import secrets
import subprocess
import sys
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path

from attrs import frozen

from storaged_client.contract.version import VERSION

FIXED_SEED = 1
_ROOT = Path(__file__).parents[2]
_RESULTS = _ROOT / "docs/results.md"
_OUTPUTS = _ROOT / "build/results"


@frozen(kw_only=True)
class Showing:
    """One command: its module, what it shows, and the scale it has in CI."""

    module: str
    shows: str
    ci: float
    judges_time: bool = False
    figure: str = "claims held"
    """How the line of its output begins that docs/results.md quotes."""
    page: str = ""
    """Of ``docs``, where it writes the figures of its last full run itself."""

    @property
    def name(self) -> str:
        return self.module.rpartition(".")[2]


SHOWINGS = (
    Showing(
        module="tests.acceptance.differential",
        shows="the dangling set and eight fields of each row equal podman 5.8's",
        ci=0.05,
    ),
    Showing(
        module="tests.acceptance.filters",
        shows="on 500 generated stores, random filters, names and sort orders select what podman 5.8 selects",
        ci=0.02,
        figure="questions and commands",
    ),
    Showing(
        module="tests.acceptance.usage",
        shows="df, tree and history equal podman 5.8's; sizes that no record holds equal those of its drivers",
        ci=0.1,
    ),
    Showing(
        module="tests.acceptance.callers",
        shows="command lines of RamaLama, Ansible, toolbox, distrobox and cleaners work with storagectl named podman",
        ci=0.2,
    ),
    Showing(
        module="tests.acceptance.command_lines",
        shows="rmi, prune, tag, untag and manifest: output, exit status and store as with podman 4.3 and 5.8",
        ci=1,
    ),
    Showing(
        module="tests.acceptance.founding",
        shows="the founding scenario, with podman 4.3, 5.8 and buildah writing: the next read is right after each step",
        ci=1,
    ),
    Showing(
        module="tests.acceptance.changes",
        shows="1,000 random changes by real tools beside 8 readers: each shows at once, no impossible state is seen",
        ci=0.05,
        figure="podman-5.8: replies",
    ),
    Showing(
        module="tests.acceptance.mutations",
        shows="podman 4.3 and 5.8, buildah and skopeo accept the store after each of our and 1,000 random changes",
        ci=0.02,
    ),
    Showing(
        module="tests.acceptance.lost_updates",
        shows="storaged, podman 5.8 and containers-storage 1.43 write at once, 500 operations each: nothing is lost",
        ci=0.05,
    ),
    Showing(
        module="tests.acceptance.interleavings",
        shows="100,000 removals with interference at every point: nothing protected is removed, reports are true",
        ci=0.02,
        figure="requests interfered with",
    ),
    Showing(
        module="tests.acceptance.loads",
        shows="200,000 loads while podman 4.3 and 5.8 write: none shows half a transaction",
        ci=0.05,
        figure="podman-5.8: different states loaded",
    ),
    Showing(
        module="tests.acceptance.crash",
        shows="podman 4.3 and 5.8 open the store after a crash of storaged, and after its recovery",
        ci=0.03,
        figure="overlay: distinct states",
    ),
    Showing(
        module="tests.acceptance.full_disk",
        shows="1,000 of 1,000 removals succeed with no free byte or no free inode; each reply leaves a full reserve",
        ci=0.05,
        figure="overlay, no free bytes: removed",
    ),
    Showing(
        module="tests.acceptance.holds",
        shows="reads beside a writer that holds the locks for 30 s; what our reads cost a writer",
        ci=0.03,
        judges_time=True,
        figure="images: slowest read",
    ),
    Showing(
        module="tests.acceptance.commit_holds",
        shows="commits hold the locks for at most 50 ms at 43,000 layers, 250 ms beside a writer that wins every race",
        ci=0.02,
        judges_time=True,
        figure="remove, beside a writer: its longest wait",
    ),
    Showing(
        module="tests.acceptance.costs",
        shows="a request costs the same at 100 and at 43,000 layers: system calls, store locks, instructions",
        ci=0.02,
        judges_time=True,
        figure="why: instructions",
    ),
    Showing(
        module="tests.acceptance.speed",
        shows="images.list and its dangling filter compared with podman 5.8's service, 800 images",
        ci=0.05,
        judges_time=True,
        figure="dangling: times faster than podman's service",
    ),
    Showing(
        module="tests.acceptance.prune_speed",
        shows="prune of 100, 200 and 400 images compared with podman 5.8, and of 10,000 alone: time, calls, rewrites",
        ci=0.03,
        judges_time=True,
        figure="on a layer each: times faster than podman",
    ),
    Showing(
        module="tests.bench.compare",
        shows="every request compared with podman's service and commands, buildah, containers-storage and containerd",
        ci=0.05,
        judges_time=True,
        page="benchmarks.md",
    ),
    Showing(
        module="tests.acceptance.stress.fuzz",
        shows="1,000,000 hostile inputs to the peer, 10,000 through a socket, cuts at every byte: all answered right",
        ci=0.03,
        judges_time=True,
        figure="inputs into the peer",
    ),
    Showing(
        module="tests.acceptance.stress.connections",
        shows="10,000 connections that stall, flood, lie or never read leave nothing behind and delay no other client",
        ci=0.025,
        judges_time=True,
        figure="trio: p99 loaded over idle",
    ),
    Showing(
        module="tests.bench.shared_connection",
        shows="threads that share a client do not wait for a read that waits for a writer, as behind one lock",
        ci=0.1,
        judges_time=True,
        figure="pipelined, beside a read that waits",
    ),
    Showing(
        module="tests.bench.loop_holds",
        shows="the worst request of each method at 43,000 layers holds the event loop for 5 ms at most",
        ci=0.05,
        judges_time=True,
    ),
    Showing(
        module="tests.acceptance.stress.hostile",
        shows="beside 300 hostile connections a ping takes 5 ms at most (p99); their memory is freed within a minute",
        ci=0.1,
        judges_time=True,
    ),
    Showing(
        module="tests.acceptance.stress.hostile_http",
        shows="100,000 hostile HTTP inputs: podman reads what the gateway read, no answer is another request's",
        ci=0.02,
        figure="trio: hostile inputs",
    ),
    Showing(
        module="tests.acceptance.rest_reads",
        shows="500 stores, random questions of both REST trees: the gateway answers as podman 5.8's service does",
        ci=0.01,
    ),
    Showing(
        module="tests.acceptance.rest_changes",
        shows="40 stores, random changes by REST: answers and stores as by podman 5.8's service",
        ci=0.05,
    ),
    Showing(
        module="tests.acceptance.rest_suites",
        shows="podman-py's integration suite loses no test before the gateway, nor does docker-py's if it is there",
        ci=1,
        figure="podman-py, gateway on trio",
    ),
    Showing(
        module="tests.bench.starts",
        shows="time to the first answer, next answer after another tool's change, memory: 800 images and 43,000 layers",
        ci=0.01,
        judges_time=True,
        page="scaling.md",
    ),
    Showing(
        module="tests.bench.stalls",
        shows="a ping every 5 ms while another tool makes the daemon reload 43,000 layers twice a second",
        ci=0.02,
        judges_time=True,
        page="scaling.md",
    ),
    Showing(
        module="tests.bench.load",
        shows="1 to 200 clients with and without another writer, which waits no longer than beside an idle daemon",
        ci=0.02,
        judges_time=True,
        page="scaling.md",
    ),
    Showing(
        module="tests.bench.second_core",
        shows="what a second processor would bring: threads, processes that share a snapshot, separate processes",
        ci=0.02,
        judges_time=True,
        page="scaling.md",
    ),
    Showing(
        module="tests.acceptance.stress.soak",
        shows="half an hour of mixed load beside podman and buildah: no growth, no leaked descriptor, no error",
        ci=0.067,
        figure="trio: growth by the slope",
    ),
)


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--scale", choices=("ci", "full"), default="ci")
    parser.add_argument("--only", action="append", default=[], help="a module's last name; may be repeated")
    parser.add_argument("--jobs", type=int, default=2, help="commands at once at CI scale, which judges no time")
    flags = parser.parse_args(argv)
    fresh = secrets.randbelow(1_000_000)
    seeds = (fresh,) if flags.scale == "ci" else (FIXED_SEED, fresh)
    print(f"fresh seed: {fresh}", flush=True)
    full = flags.scale == "full"
    chosen = [showing for showing in SHOWINGS if not flags.only or showing.name in flags.only]
    passed = failed = 0
    with ThreadPoolExecutor(1 if full else flags.jobs) as pool:
        begun = [[pool.submit(_run, showing, seed, full=full) for seed in seeds] for showing in chosen]
        for showing, futures in zip(chosen, begun, strict=True):
            runs = [future.result() for future in futures]
            passed += sum(run.held for run in runs)
            failed += sum(not run.held for run in runs)
            if full:
                _record(showing, runs)
    print(f"{passed} passed, {failed} failed")
    return 1 if failed else 0


@frozen(kw_only=True)
class Run:
    """One command that was run: the output it gave, and whether all it claims held."""

    seed: int
    held: bool
    output: tuple[str, ...]


def _run(showing: Showing, seed: int, *, full: bool) -> Run:
    command = ["-m", showing.module, "--seed", str(seed), "--scale", "1" if full else str(showing.ci)]
    if showing.judges_time and not full:
        command.append("--untimed")
    line = "python " + " ".join(command)
    began = time.monotonic()
    done = subprocess.run(
        [sys.executable, *command], cwd=_ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False
    )
    held = done.returncode == 0
    verdict = f"{_verdict(held)}, {time.monotonic() - began:.0f} s"
    print(f"\n--- {showing.shows}\n    {line}\n{done.stdout}    {verdict}", flush=True)
    machine = f"CPython {platform.python_version()}, Linux {platform.release()}, {os.cpu_count()} cores"
    header = f"{datetime.now(UTC):%Y-%m-%d %H:%M}Z, storaged {VERSION}, {machine}\n{line}\n"
    _OUTPUTS.mkdir(parents=True, exist_ok=True)
    (_OUTPUTS / f"{showing.name}-{seed}.txt").write_text(f"{header}{done.stdout}{verdict}\n")
    return Run(seed=seed, held=held, output=tuple(done.stdout.splitlines(keepends=True)))


def _verdict(held: bool) -> str:
    return "held" if held else "VIOLATED"


# ---------------------------------------------------------------- docs/results.md

_HEAD = """# Results at full scale

One line per claim, from its last full run. `python -m tests.acceptance.show --scale full` renews all of them (hours);
`--only NAME` renews one. `build/results/` then holds the complete output. The times come from a shared machine with two
cores: compare them only within a line. The figure is the most telling line of the output, with one value for each seed.

| claim | command | date | seeds | scale | verdict | figure |
|---|---|---|---|---|---|---|
"""


def _record(showing: Showing, runs: Sequence[Run]) -> None:
    """Put the runs into this showing's line of docs/results.md; the other lines stay as they are."""
    lines = _lines()
    when = f"{datetime.now(UTC):%Y-%m-%d}"
    seeds = ", ".join(str(run.seed) for run in runs)
    cells = [when, seeds, "1", _verdict(all(run.held for run in runs)), _figure(showing, runs)]
    lines[showing.name] = _line(showing, cells)
    empty = ["", "", "", "", f"[{showing.page}]({showing.page})"] if showing.page else ["", "", "", "not run yet", ""]
    _RESULTS.write_text(_HEAD + "".join(lines.get(each.name) or _line(each, empty) for each in SHOWINGS))


def _line(showing: Showing, cells: Sequence[str]) -> str:
    return f"| {' | '.join((showing.shows, f'`python -m {showing.module}`', *cells))} |\n"


def _figure(showing: Showing, runs: Sequence[Run]) -> str:
    """The line that the showing names, as the first run gave it, and the values of the others."""
    if showing.page:
        return f"[{showing.page}]({showing.page})"
    shown = (line.partition(", violated")[0].strip() for run in runs for line in run.output)
    found = [line for line in shown if line.startswith(showing.figure)]
    return "; ".join([*found[:1], *(line.rpartition(": ")[2] for line in found[1:])]).replace("|", "\\|")


def _lines() -> dict[str, str]:
    """The lines that are there, by the last name of their commands."""
    table = _RESULTS.read_text() if _RESULTS.exists() else ""
    commands = re.finditer(r"^\|[^|]*\| `python -m ([\w.]+)` \|.*\n", table, re.MULTILINE)
    return {found[1].rpartition(".")[2]: found[0] for found in commands}


if __name__ == "__main__":
    sys.exit(main())
