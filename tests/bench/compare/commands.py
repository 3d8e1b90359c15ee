"""Whole processes: ``storagectl images`` beside ``podman images``, buildah and containers-storage."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from attrs import frozen

from storaged.sample import SampleSpec
from tests.rivals.peers import PeerMissing, ToolError

from .figures import BUILDAH, CONTAINERS_STORAGE, NOTHING, PODMAN, STORAGECTL
from .listing import FORMS, SIZES
from .stage import Run, Stage, inside, stage
from .timing import Contender, by_turns

IMAGES, DANGLING = "command, images", "command, images, dangling"
ENTERING = "entering podman's root"
_PATIENCE = 300.0


@frozen(kw_only=True)
class Command:
    """A program's list of images. ``ids``: the flags that make it print ids, where it is to be checked."""

    who: str
    argv: Sequence[str]
    ids: Callable[[str], set[str]]
    quiet: Sequence[str]
    environment: dict[str, str]


def measure(run: Run) -> None:
    """``images`` on realistic stores of four sizes; on the largest one, and on the four shapes, dangling ones too."""
    sizes = run.sizes(SIZES)
    for images in sizes:
        _one(run, SampleSpec(images=images, seed=run.seed, driver="vfs"), dangling=images == sizes[-1])
    for shape in FORMS if run.full else FORMS[-1:]:
        _one(run, SampleSpec(images=run.size(SIZES[-1]), seed=run.seed, shape=shape, driver="vfs"), dangling=True)


def _one(run: Run, spec: SampleSpec, *, dangling: bool) -> None:
    with stage(run, spec, with_service=False) as on, inside(on.store) as prefix:
        if prefix:
            _entering(run, on, prefix)
        shown = set(on.sample.images) - on.sample.intermediate
        _compare(run, on, IMAGES, commands(run, on, prefix), shown, shown)
        if dangling:
            listed = [
                each
                for each in commands(run, on, prefix, "--filter", "dangling=true")
                if each.who != CONTAINERS_STORAGE
            ]
            _compare(run, on, DANGLING, listed, set(on.sample.dangling), set(on.sample.podman_dangling))


def commands(run: Run, on: Stage, prefix: Sequence[str], *flags: str) -> list[Command]:
    """Those that are on this machine."""
    store = on.store
    environment = store.environment()
    program = Path(sys.executable).with_name("storagectl")
    if not program.exists():
        raise PeerMissing(f"{program} is missing: pip install -e .")
    ids = ("-q", "--no-trunc")
    own = {**os.environ, "STORAGED_NO_SPAWN": "1"}
    argv = [str(program), "--socket", str(on.daemon.path), "images", *flags]
    found = [Command(who=STORAGECTL, argv=argv, ids=printed_ids, quiet=ids, environment=own)]
    if run.podman is not None:
        for who in (PODMAN, BUILDAH):
            argv = [*prefix, who, "images", *flags]
            found.append(Command(who=who, argv=argv, ids=printed_ids, quiet=ids, environment=environment))
    if (tool := shutil.which(CONTAINERS_STORAGE)) is None:
        run.missing[CONTAINERS_STORAGE] = "not installed: apt-get install containers-storage"
    else:
        argv = [tool, "-g", str(store.graphroot), "-R", str(store.runroot), "-s", store.driver, "images"]
        found.append(Command(who=CONTAINERS_STORAGE, argv=argv, ids=json_ids, quiet=("-j",), environment=environment))
    return found


def _compare(run: Run, on: Stage, case: str, rivals: Sequence[Command], ours: set[str], theirs: set[str]) -> None:
    nothing = Command(
        who=NOTHING, argv=[sys.executable, "-c", "pass"], ids=printed_ids, quiet=(), environment=dict(os.environ)
    )
    contenders = [Contender(who=NOTHING, ask=_timed(nothing, on), warm=1)]
    for each in rivals:
        found = each.ids(_printed([*each.argv, *each.quiet], each, on))
        wanted = {STORAGECTL: ours, CONTAINERS_STORAGE: set(on.sample.images)}.get(each.who, theirs)
        # Buildah shows intermediate images by its own rule, and calls all images without a name dangling.
        if each.who != BUILDAH and (case != DANGLING or each.who != PODMAN or run.minds_lists):
            where = f"{case}, {on.spec.shape} {on.spec.images}"
            run.report.claim(found == wanted, f"{where}: {each.who} shows {len(found)} images, not {len(wanted)}")
        contenders.append(Contender(who=each.who, ask=_timed(each, on), warm=1))
    run.figures.add(run.report, case, on.place, by_turns(contenders, run.effort(6)))


def _entering(run: Run, on: Stage, prefix: Sequence[str]) -> None:
    """What ``nsenter`` adds to each command of podman's and buildah's: reported, and taken off no figure."""
    environment = on.store.environment()
    contenders = [
        Contender(
            who=who,
            ask=_timed(
                Command(who=who, argv=[*before, "true"], ids=printed_ids, quiet=(), environment=environment), on
            ),
        )
        for who, before in (("true", ()), ("nsenter, true", prefix))
    ]
    run.figures.add(run.report, ENTERING, on.place, by_turns(contenders, run.effort(0.5, least=10)))


def _timed(command: Command, on: Stage) -> Callable[[], float]:
    def ask() -> float:
        start = time.perf_counter()
        _printed(command.argv, command, on)
        return time.perf_counter() - start

    return ask


def _printed(argv: Sequence[str], command: Command, on: Stage) -> str:
    done = subprocess.run(
        argv,
        env=command.environment,
        cwd=on.store.work,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=_PATIENCE,
        check=False,
    )
    if done.returncode != 0:
        raise ToolError(f"{' '.join(argv)}: exit {done.returncode}: {done.stderr[-1000:]}")
    return done.stdout


def printed_ids(text: str) -> set[str]:
    """One id a line, with or without the algorithm."""
    return {line.removeprefix("sha256:") for line in text.split()}


def json_ids(text: str) -> set[str]:
    """Those of ``containers-storage images -j``."""
    return {row["id"] for row in json.loads(text)}
