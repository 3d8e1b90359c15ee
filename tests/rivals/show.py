"""Everything that must be shown beside real tools, one command after the other.

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
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path

from attrs import frozen

from storaged_client.contract.version import VERSION

FIXED_SEED = 1
_ROOT = Path(__file__).parents[2]


@frozen(kw_only=True)
class Showing:
    """One command: its module, what it shows, and the scale it has in CI."""

    module: str
    shows: str
    ci: float
    judges_time: bool = False


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
        module="tests.rivals.loads",
        shows="200,000 loads beside podman 4.3 and 5.8 writing: none mid-transaction",
        ci=0.05,
    ),
    Showing(
        module="tests.rivals.holds",
        shows="reads beside a writer that holds the locks for 30 s; what our reading costs a writer",
        ci=0.03,
        judges_time=True,
    ),
    Showing(
        module="tests.rivals.speed",
        shows="images.list and its dangling filter against podman 5.8's own service, 800 images",
        ci=0.05,
        judges_time=True,
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
    results: list[str] = []
    passed = failed = 0
    for showing in SHOWINGS:
        if flags.only and showing.module.rpartition(".")[2] not in flags.only:
            continue
        for seed in seeds:
            status, section = _show(showing, seed, full=flags.scale == "full")
            results.append(section)
            passed, failed = passed + (status == 0), failed + (status != 0)
    if flags.scale == "full" and not flags.only:
        (_ROOT / "docs/results.md").write_text("".join(_document(results, passed, failed)))
    print(f"{passed} passed, {failed} failed")
    return 1 if failed else 0


def _show(showing: Showing, seed: int, *, full: bool) -> tuple[int, str]:
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
    verdict = "held" if process.returncode == 0 else f"VIOLATED (exit {process.returncode})"
    print(f"    {verdict}, {seconds:.0f} s", flush=True)
    figures = "".join(output[-60:])
    return process.returncode, f"## {showing.shows}\n`{line}`: **{verdict}**, {seconds:.0f} s\n\n```\n{figures}```\n\n"


def _document(results: Sequence[str], passed: int, failed: int) -> Iterator[str]:
    yield "# What was shown at full scale\n\n"
    yield f"Written by `.ci/run --full` (`python -m tests.rivals.show --scale full`) on {datetime.now(UTC):%d %B %Y}: "
    yield f"storaged {VERSION}, CPython {platform.python_version()}, Linux {platform.release()}, "
    yield f"{os.cpu_count()} cores. {passed} passed, {failed} failed. Times are of a shared machine: compare within "
    yield "a section only.\n\n"
    yield from results


if __name__ == "__main__":
    sys.exit(main())
