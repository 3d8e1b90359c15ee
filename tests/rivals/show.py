"""Everything that must be shown, mostly beside real tools, one command after the other.

    python -m tests.rivals.show --scale ci       about 1/20, a fresh seed that is printed
    python -m tests.rivals.show --scale full     the figures asked for, a fixed seed and a fresh one; hours;
                                                 writes docs/results.md

The test suite runs the same code with fixed seeds at a small scale. A time is judged at full scale only,
and there on a machine that should be quiet.
"""

from __future__ import annotations

import argparse
import os
import platform
import secrets
import subprocess
import sys
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from attrs import frozen

from storaged_client.contract.version import VERSION

FIXED_SEED = 1
_ROOT = Path(__file__).parents[2]
_RESULTS = _ROOT / "docs/results.md"


@frozen(kw_only=True)
class Showing:
    """One command: its module, what it shows, and the scale it has in CI."""

    module: str
    shows: str
    ci: float
    judges_time: bool = False
    page: str = ""
    """Of ``docs``, where it writes the figures of its last full run itself."""

    @property
    def name(self) -> str:
        return self.module.rpartition(".")[2]


SHOWINGS = (
    Showing(
        module="tests.rivals.differential",
        shows="the dangling set, and eight fields of each row, are podman 5.8's",
        ci=0.05,
    ),
    Showing(
        module="tests.rivals.filters",
        shows="over 500 generated stores, random filters, names and sorts choose what podman 5.8 chooses",
        ci=0.02,
    ),
    Showing(
        module="tests.rivals.usage",
        shows="df, tree and history are podman 5.8's; sizes that no record tells are those its drivers find",
        ci=0.1,
    ),
    Showing(
        module="tests.rivals.callers",
        shows="what RamaLama, Ansible, toolbox, distrobox and cleaners run, by storagectl under the name podman",
        ci=0.2,
    ),
    Showing(
        module="tests.rivals.acceptance",
        shows="podman's lines for rmi, prune, tag, untag and manifest: same output, exit status and store, 4.3 and 5.8",
        ci=1,
    ),
    Showing(
        module="tests.rivals.founding",
        shows="the founding scenario, each step right in the next read, podman 4.3, 5.8 and buildah writing",
        ci=1,
    ),
    Showing(
        module="tests.rivals.changes",
        shows="1,000 random changes by real tools under 8 readers: each shows at once, no state that never was",
        ci=0.05,
    ),
    Showing(
        module="tests.rivals.mutations",
        shows="after each of our changes, and 1,000 by chance, podman 4.3 and 5.8, buildah and skopeo take the store",
        ci=0.02,
    ),
    Showing(
        module="tests.rivals.lost_updates",
        shows="storaged, podman 5.8 and containers-storage 1.43 write at once, 500 operations each: nothing is lost",
        ci=0.05,
    ),
    Showing(
        module="tests.stateful.interleavings",
        shows="100,000 removals with another tool stepping in at every point: nothing protected goes, reports are true",
        ci=0.02,
    ),
    Showing(
        module="tests.rivals.loads",
        shows="200,000 loads beside podman 4.3 and 5.8 writing: none mid-transaction",
        ci=0.05,
    ),
    Showing(
        module="tests.rivals.crash",
        shows="what a crash of storaged leaves, and what its next start makes of it, is opened by podman 4.3 and 5.8",
        ci=0.03,
    ),
    Showing(
        module="tests.rivals.full_disk",
        shows="1,000 of 1,000 removals with no free byte, and with no free inode, and a whole reserve with each reply",
        ci=0.05,
    ),
    Showing(
        module="tests.rivals.holds",
        shows="reads beside a writer that holds the locks for 30 s; what our reading costs a writer",
        ci=0.03,
        judges_time=True,
    ),
    Showing(
        module="tests.rivals.commit_holds",
        shows="our commits hold the locks 50 ms at most at 43,000 layers, 250 ms beside a writer that wins every race",
        ci=0.02,
        judges_time=True,
    ),
    Showing(
        module="tests.rivals.costs",
        shows="one question costs the same at 100 and at 43,000 layers: system calls, store locks, instructions",
        ci=0.02,
        judges_time=True,
    ),
    Showing(
        module="tests.rivals.speed",
        shows="images.list and its dangling filter against podman 5.8's own service, 800 images",
        ci=0.05,
        judges_time=True,
    ),
    Showing(
        module="tests.rivals.prune_speed",
        shows="prune of 100, 200 and 400 images against podman 5.8's, and of 10,000 alone: time, calls, rewrites",
        ci=0.03,
        judges_time=True,
    ),
    Showing(
        module="tests.bench.compare",
        shows="every question beside podman's service and commands, buildah, containers-storage and containerd",
        ci=0.05,
        judges_time=True,
        page="benchmarks.md",
    ),
    Showing(
        module="tests.stress.fuzz",
        shows="1,000,000 hostile inputs into the peer, 10,000 through a socket, and cuts at every byte: right answers",
        ci=0.03,
        judges_time=True,
    ),
    Showing(
        module="tests.stress.connections",
        shows="10,000 connections that stall, flood, lie or never read leave nothing behind and delay nobody else",
        ci=0.025,
        judges_time=True,
    ),
    Showing(
        module="tests.bench.loop_holds",
        shows="the worst request of each method at 43,000 layers holds the event loop for 5 ms at most",
        ci=0.05,
        judges_time=True,
    ),
    Showing(
        module="tests.stress.hostile",
        shows="beside 300 hostile connections a ping takes 5 ms (p99); what they took of memory is back in a minute",
        ci=0.1,
        judges_time=True,
    ),
    Showing(
        module="tests.bench.starts",
        shows="first answer after a start, next answer after a foreign change, memory: 800 images and 43,000 layers",
        ci=0.01,
        judges_time=True,
        page="scaling.md",
    ),
    Showing(
        module="tests.bench.stalls",
        shows="a ping each 5 ms while another tool makes the daemon read 43,000 layers again twice a second",
        ci=0.02,
        judges_time=True,
        page="scaling.md",
    ),
    Showing(
        module="tests.bench.load",
        shows="1 to 200 clients with and without a foreign writer, which waits for its lock as beside an idle daemon",
        ci=0.02,
        judges_time=True,
        page="scaling.md",
    ),
    Showing(
        module="tests.bench.second_core",
        shows="what a second processor would bring: threads, processes that share a snapshot, processes of their own",
        ci=0.02,
        judges_time=True,
        page="scaling.md",
    ),
    Showing(
        module="tests.bench.soak",
        shows="half an hour of mixed load beside podman and buildah: no growth, no descriptor, no error",
        ci=0.067,
    ),
)


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--scale", choices=("ci", "full"), default="ci")
    parser.add_argument("--only", action="append", default=[], help="a module's last name; may be repeated")
    flags = parser.parse_args(argv)
    fresh = secrets.randbelow(1_000_000)
    seeds = (fresh,) if flags.scale == "ci" else (FIXED_SEED, fresh)
    print(f"fresh seed: {fresh}", flush=True)
    passed = failed = 0
    for showing in SHOWINGS:
        if flags.only and showing.name not in flags.only:
            continue
        runs = [_run(showing, seed, full=flags.scale == "full") for seed in seeds]
        passed += sum(run.held for run in runs)
        failed += sum(not run.held for run in runs)
        if flags.scale == "full":
            _record(showing, runs)
    print(f"{passed} passed, {failed} failed")
    return 1 if failed else 0


@frozen(kw_only=True)
class Run:
    """One command that was run: what it said last, and whether all it claims held."""

    line: str
    held: bool
    seconds: float
    figures: str


def _run(showing: Showing, seed: int, *, full: bool) -> Run:
    command = ["-m", showing.module, "--seed", str(seed), "--scale", "1" if full else str(showing.ci)]
    if showing.judges_time and not full:
        command.append("--untimed")
    line = "python " + " ".join(command)
    print(f"\n--- {showing.shows}\n    {line}", flush=True)
    began = time.monotonic()
    output: list[str] = []
    with subprocess.Popen(
        [sys.executable, *command], cwd=_ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as process:
        assert process.stdout is not None
        for text in process.stdout:
            print(text, end="", flush=True)
            output.append(text)
    seconds = time.monotonic() - began
    held = process.returncode == 0
    print(f"    {'held' if held else 'VIOLATED'}, {seconds:.0f} s", flush=True)
    return Run(line=line, held=held, seconds=seconds, figures="".join(output[-80:]))


# ---------------------------------------------------------------- docs/results.md

_HEAD = """# What was shown at full scale

Written by `.ci/run --full` (`python -m tests.rivals.show --scale full`, one section a command; `--only NAME` renews
one). Times are of a shared machine: compare within a section only.

"""


def _record(showing: Showing, runs: Sequence[Run]) -> None:
    """Put the runs in the place of this showing's section; the others stay as they are."""
    sections = _sections()
    when = f"{datetime.now(UTC):%d %B %Y}, storaged {VERSION}, CPython {platform.python_version()}"
    parts = [f"{when}, Linux {platform.release().partition('-')[0]}, {os.cpu_count()} cores.\n\n"]
    for run in runs:
        parts.append(f"`{run.line}`: **{'held' if run.held else 'VIOLATED'}**, {run.seconds:.0f} s\n\n")
        parts.append(f"```\n{run.figures}```\n\n")
    sections[showing.shows] = "".join(parts).rstrip("\n")
    bodies = (f"## {each.shows}\n{sections.get(each.shows) or _elsewhere(each)}\n\n" for each in SHOWINGS)
    _RESULTS.write_text(_HEAD + "".join(bodies))


def _elsewhere(showing: Showing) -> str:
    """What is said of a showing that has no run here."""
    if showing.page:
        return f"The figures of its last full run stand in [{showing.page}]({showing.page})."
    return "Not run at full scale yet."


def _sections() -> dict[str, str]:
    """The sections that are there, by their headings."""
    if not _RESULTS.exists():
        return {}
    found: dict[str, str] = {}
    for section in _RESULTS.read_text().split("\n## ")[1:]:
        heading, _, body = section.partition("\n")
        found[heading] = body.rstrip("\n")
    return found


if __name__ == "__main__":
    sys.exit(main())
