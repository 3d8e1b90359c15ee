"""storaged beside podman's service and commands, buildah, containers-storage and containerd; writes docs/benchmarks.md.

    python -m tests.bench.compare --scale 1                     ten to fifteen minutes; needs root
    python -m tests.bench.compare --scale 1 --only listing      one part; its page goes to build/benchmarks/

Stores come from the sample's generator, at full size of 100 to 800 images, and as large as the largest one reported. A
program that is not on this machine is left out, with the reason; with STORAGED_REQUIRE_PEERS=1 that is a violation.
At a smaller scale, or with --only, the page goes to build/benchmarks/.
"""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import sys
import time
import xml.etree.ElementTree
from collections.abc import Sequence
from pathlib import Path

from storaged_client.contract.version import VERSION
from tests.support.client import RpcError
from tests.support.peers import Store, ToolError, workspace
from tests.support.report import Report, arguments

from . import commands, containerd, document, flat, floors, listing, questions, typed
from .figures import BUILDAH, CONTAINERS_STORAGE, PODMAN, Figures
from .required import Verdict, verdicts
from .stage import Run, find_podman

_ROOT = Path(__file__).parents[3]
PARTS = {
    "listing": listing.measure,
    "questions": questions.measure,
    "commands": commands.measure,
    "containerd": containerd.measure,
    "typed": typed.measure,
    "flat": flat.measure,
    "floors": floors.measure,
}
_SIZES = (100, 200, 400, 800)


def main(argv: Sequence[str] | None = None) -> int:
    flags = arguments(
        __doc__ or "",
        argv,
        only=(str, "", f"parts, with commas between: {', '.join(PARTS)}"),
        write=(str, "", "the folder the page goes to"),
    )
    parts = flags.only.split(",") if flags.only else list(PARTS)
    if unknown := [part for part in parts if part not in PARTS]:
        print(f"no part {unknown[0]!r}: there are {', '.join(PARTS)}", file=sys.stderr)
        return 2
    report = Report(timed=not flags.untimed)
    missing: dict[str, str] = {}
    run = Run(
        report=report,
        figures=Figures(),
        scale=flags.scale,
        seed=flags.seed,
        podman=find_podman(missing),
        missing=missing,
    )
    began = time.monotonic()
    for part in parts:
        try:
            PARTS[part](run)
        except (ToolError, RpcError, RuntimeError, OSError, subprocess.SubprocessError) as error:
            # The other parts are worth having: a run takes long, and nobody watches it.
            report.claim(False, f"{part} ended early: {type(error).__name__}: {error}")
        print(f"--- {part}: {time.monotonic() - began:.0f} s", flush=True)
    versions(run)
    agreed = f"{report.held} claims held, {len(report.violations)} did not"
    judged = verdicts(run.figures, {size: run.size(size) for size in _SIZES})
    judge(report, judged)
    if os.environ.get("STORAGED_REQUIRE_PEERS") == "1":
        for program, reason in run.missing.items():
            report.claim(False, f"{program} is missing: {reason}")
    whole = flags.scale >= 1 and not flags.only
    folder = Path(flags.write) if flags.write else _ROOT / ("docs" if whole else "build/benchmarks")
    command = f"python -m tests.bench.compare {shlex.join(argv if argv is not None else sys.argv[1:])}".rstrip()
    about = {
        "size": ""
        if flags.scale >= 1
        else f"\n**At a scale of {flags.scale:g}: what is asked below is of the full size.**\n",
        "command": command,
        "claims": agreed,
        "versions": "\n".join(
            [*(f"| {name} | {version} |" for name, version in run.versions.items())]
            + [f"| {name} | left out: {reason} |" for name, reason in run.missing.items()]
        ),
    }
    page = document.write(folder, run.figures, judged, about, seconds=time.monotonic() - began, seed=flags.seed)
    pictures = sorted((folder / "benchmarks").glob("*.svg"))
    for picture in pictures:
        xml.etree.ElementTree.parse(picture)
    report.claim(bool(pictures) or "listing" not in parts, "no plot was drawn")
    print(f"written: {page} and {len(pictures)} plots")
    return report.finish()


def judge(report: Report, judged: Sequence[Verdict]) -> None:
    """What was not measured in this run is no claim."""
    for verdict in judged:
        asked = verdict.requirement
        if verdict.worst is not None:
            where = f"{verdict.case}, {verdict.place[0]} {verdict.place[1]}"
            text = f"{asked.text}: {asked.kind} {asked.bound:g}, but {verdict.worst:.3g} in {where}"
            report.in_time(bool(verdict.reached), text)


def versions(run: Run) -> None:
    """What the programs say of themselves."""
    known = {"storaged": VERSION}
    if run.podman is not None:
        with workspace(run.podman) as store:
            known[PODMAN] = run.podman.version
            known[BUILDAH] = _told(store, "buildah", "--version").split()[2]
    if shutil.which(CONTAINERS_STORAGE) is not None and shutil.which("dpkg-query") is not None:
        # It does not say its own version.
        argv = ["dpkg-query", "-W", "-f", "${Version}", CONTAINERS_STORAGE]
        done = subprocess.run(argv, capture_output=True, text=True, check=False)
        known[CONTAINERS_STORAGE] = done.stdout or "not of a package"
    run.versions = {**known, **run.versions}


def _told(store: Store, *command: str) -> str:
    try:
        return store.run(*command)
    except ToolError as error:
        return f"? ? {error}"


if __name__ == "__main__":
    sys.exit(main())
