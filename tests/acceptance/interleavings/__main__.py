"""Prune, remove and plans, with another tool stepping in between at every point: nothing goes that must not.

    python -m tests.acceptance.interleavings --scale 1                    100,000 requests that are interfered with
    python -m tests.acceptance.interleavings --without stamp              a daemon that leaves out one look: violated

Small stores of both drivers, in memory where the machine has such a file system; both back ends in turn. The other
tool builds, tags, untags, makes and edits lists, makes and deletes containers, removes, and dies halfway; leases come
and go. Each commit is judged by the files as they were at its first rename, under its locks. In the end the same is
done to daemons that leave out one look each: every one of them must be found out.
"""

from __future__ import annotations

import json
import logging
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from contextlib import redirect_stdout
from io import StringIO
from pathlib import Path
from random import Random
from typing import Any

import anyio

from storaged.sample import SampleSpec, write_store
from storaged.store.tables import StoreLocation
from storaged_client.contract.errors import StoragedError
from tests.support.report import Report, arguments

from .mistakes import MISTAKES, Mistake
from .rival import NAMES
from .stage import POINTS, Stage, stage
from .verdicts import Answer, Asked, wrong_in_answer, wrong_in_commit

_REQUESTS = 100_000
_PER_STORE = 100
_BACKENDS = ("asyncio", "trio")
_DRIVERS = ("overlay", "vfs")
_MEMORY = Path("/dev/shm")


def main(argv: Sequence[str] | None = None) -> int:
    flags = arguments(__doc__ or "", argv, without=(str, "none", f"leave out one look: {', '.join(MISTAKES)}"))
    logging.disable(logging.CRITICAL)  # each refused change is logged
    report = Report(timed=not flags.untimed)
    began = time.monotonic()
    seen = run(report, seed=flags.seed, requests=max(_PER_STORE, round(_REQUESTS * flags.scale)), mistake=flags.without)
    for what in sorted(seen):
        report.figure(what, seen[what])
    report.figure("ms a request", (time.monotonic() - began) * 1000 / max(1, seen["requests"]))
    for point in POINTS:
        steps = sum(count for what, count in seen.items() if what.startswith(f"{point}: "))
        report.claim(steps > seen["requests"] / 100, f"only {steps} steps at the point {point}")
    report.claim(seen["call: busy"] > 0, "nobody was ever shut out by the locks of a commit")
    for mistake in MISTAKES if flags.without == "none" else ():
        found = found_out(mistake, seed=flags.seed)
        report.figure(f"requests until a daemon without its look at {mistake} is found out", found)
        report.claim(found is not None, f"a daemon without its look at {mistake} is not found out")
    return report.finish()


def found_out(mistake: Mistake, *, seed: int, most: int = 5_000) -> int | None:
    """After how many requests a broken daemon did what it must not; None if it did not."""
    report, requests = Report(), 0
    with redirect_stdout(StringIO()):
        while not report.violations and requests < most:
            requests += run(report, seed=seed + requests, requests=_PER_STORE, mistake=mistake)["requests"]
    return requests if report.violations else None


def run(report: Report, *, seed: int, requests: int, mistake: Mistake = "none") -> Counter[str]:
    """So many requests that somebody interfered with, on a new store after each hundred; returns what was done."""
    seen: Counter[str] = Counter()
    for number in range(-(-requests // _PER_STORE)):
        random = Random(f"{seed}/{number}")
        driver, backend = _DRIVERS[number % 2], _BACKENDS[number // 2 % 2]
        with tempfile.TemporaryDirectory(dir=_MEMORY if _MEMORY.is_dir() else None) as folder:
            write_store(
                f"{folder}/root",
                f"{folder}/run",
                SampleSpec(images=1, shape="distinct", driver=driver, contents="files", seed=seed),  # type: ignore[arg-type]
            )
            location = StoreLocation(graphroot=f"{folder}/root", runroot=f"{folder}/run", driver=driver)
            where = f"seed {seed}, store {number} ({driver}, {backend})"
            count = min(_PER_STORE, requests - number * _PER_STORE)
            anyio.run(_one_store, report, location, random, mistake, where, count, seen, backend=backend)
    return seen


async def _one_store(
    report: Report,
    location: StoreLocation,
    random: Random,
    mistake: Mistake,
    where: str,
    requests: int,
    seen: Counter[str],
) -> None:
    on = stage(location, random, mistake)
    try:
        while len(on.rival.table("images")) < 8:
            on.rival.step()
        on.rival.end()
        await on.cache.start()
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(on.cache.run)
            number = interfered = 0
            while interfered < requests:
                wrong = await _one_request(on, random, seen)
                report.claim(not wrong, f"{where}, request {number}: {'; '.join(wrong)}")
                number += 1
                interfered += bool(on.steps.trace)
                if wrong:
                    break  # what follows would only be its consequence
            tasks.cancel_scope.cancel()
    finally:
        on.close()
    seen.update(on.steps.seen)
    for name in ("changes.lost.races", "changes.lost.leases", "changes.decided_under_locks"):
        seen[name] += int(on.metrics.counters[name])


async def _one_request(on: Stage, random: Random, seen: Counter[str]) -> list[str]:
    """One request while others work; what was wrong about it, in words."""
    on.observer.begin()
    on.steps.trace.clear()
    asked, answer = await _ask(on, random, seen)
    wrong = [text for commit in on.observer.commits for text in wrong_in_commit(asked, commit)]
    wrong += wrong_in_answer(asked, answer, on.observer.commits)
    seen["requests"] += 1
    seen["requests interfered with"] += bool(on.steps.trace)
    seen["images removed"] += sum(len(commit.removed) for commit in on.observer.commits)
    if random.random() < 0.3:
        on.steps.come_to_an_end()
        state = on.observer.look()
        wrong += on.observer.faults(state)
        view = await on.cache.view("strict")
        ours = {image.id: list(image.names) for image in view.snapshot.images}
        disk = {row.name: list(row.names) for row in state.plan.rows if row.kind != "half"}
        if ours != disk:
            wrong.append(f"the daemon sees {ours}, and the store has {disk}")
    return [f"{asked}: {text}" for text in wrong] + [f"after {on.steps.trace}"] * bool(wrong)


async def _ask(on: Stage, random: Random, seen: Counter[str]) -> tuple[Asked, Answer]:
    asked = _draw(on, random)
    if asked.params.get("dry_run"):
        planned = await _handle(on, asked, seen)
        if planned is None or planned["plan"] is None:
            return asked, planned
        for _ in range(random.randrange(5)):
            on.steps.move("between plan and application")
        params = {key: value for key, value in asked.params.items() if key != "dry_run"}
        # Of what another tool removes nothing need be said, whether it comes back or not.
        listed = frozenset(row["id"] for row in planned["removed"])
        due = listed & _whole(on)
        on.rival.removed.clear()
        answer = await _handle(on, Asked(method=asked.method, params={"plan": planned["plan"]}), seen)
        return Asked(method=asked.method, params=params, listed=listed, due=due & _whole(on) - on.rival.removed), answer
    return asked, await _handle(on, asked, seen)


def _whole(on: Stage) -> set[str]:
    """The images there are at this moment."""
    return {row.name for row in on.observer.look().plan.rows if row.kind != "half"}


async def _handle(on: Stage, asked: Asked, seen: Counter[str]) -> Answer:
    try:
        with on.steps.going_on():
            answer: dict[str, Any] = json.loads(await on.service.handle(on.session, asked.method, asked.params))
    except StoragedError as error:
        seen[f"answer {error.name}"] += 1
        return None
    seen[f"answer ok of {asked.method}"] += 1
    return answer


def _draw(on: Stage, random: Random) -> Asked:
    kind = random.choices(["prune", "all", "plan", "remove", "tag", "untag"], [40, 8, 17, 22, 8, 5])[0]
    records = on.rival.table("images")
    if kind in ("prune", "all", "plan"):
        params: dict[str, Any] = {"all": True} if kind == "all" or random.random() < 0.1 else {}
        if params and random.random() < 0.5:
            params["external"] = True
        return Asked(method="images.prune", params=params | ({"dry_run": True} if kind == "plan" else {}))
    names = [name for record in records for name in (record["id"], *(record.get("names") or ()))] or ["nothing"]
    if kind == "remove":
        flags = {flag: True for flag in ("force", "ignore", "no_prune") if random.random() < 0.3}
        return Asked(method="images.remove", params={"names": random.sample(names, min(len(names), 3)), **flags})
    given = random.choice(names)
    if kind == "tag":
        return Asked(method="images.tag", params={"name": given, "tags": random.sample(NAMES, 2)})
    return Asked(method="images.untag", params={"name": given, "tags": []})


if __name__ == "__main__":
    sys.exit(main())
