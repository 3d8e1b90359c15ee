"""Everything else one asks over the socket, on one store as real ones are: 800 images, names, lists, labels."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any

from storaged.sample import SampleSpec
from tests.support.peers import ToolError

from .echo import echo
from .figures import ANEW, ECHO, LOOP, PING, SERVICE, STORAGED
from .listing import ALL, DANGLING, NO_EFFECT, compare, query_context
from .rest import Rest, named
from .stage import Run, Stage, single, stage
from .timing import Contender, by_turns

IMAGES = 800
KEY, VALUE = "label=KEY", "label=KEY=VALUE"
GLOB, SHORT = "reference, glob", "reference, short name"
RESOLVE, EXISTS, WHY = "images.resolve", "images.exists", "images.why"
INSPECT, USAGE, LISTS = "images.get", "store.usage", "manifests.list"
TAG, UNTAG = "images.tag", "images.untag"
_PODMANS = "what podman is asked instead"


def measure(run: Run) -> None:
    """All questions on one store."""
    with stage(run, SampleSpec(images=run.size(IMAGES), seed=run.seed, driver="vfs")) as on:
        compare(run, on, ALL, set(on.sample.images), set(on.sample.images), all=True)
        ours, theirs = set(on.sample.dangling), set(on.sample.podman_dangling)
        compare(run, on, DANGLING, ours, theirs, filters=["dangling=true"])
        filters(run, on)
        lookups(run, on)
        whole(run, on)
        changes(run, on)


def filters(run: Run, on: Stage) -> None:
    """Label and reference filters; both must list the same images."""
    rows = on.client.images(all=True)
    pairs = Counter(pair for row in rows for pair in (row["labels"] or {}).items() if all(pair))
    (key, _), _ = pairs.most_common(1)[0]
    rare = min(pairs, key=lambda pair: (pairs[pair], pair))
    for case, text in (
        (KEY, f"label={key}"),
        (VALUE, f"label={rare[0]}={rare[1]}"),
        (GLOB, "reference=localhost/*/*"),
        (SHORT, f"reference={short(single(on.sample)[0])}"),
    ):
        found = {row["id"] for row in on.client.images(all=True, filters=[text])}
        run.report.claim(bool(found), f"{case}: {text} finds nothing")
        run.figures.facts[f"{case}: filter"] = text
        compare(run, on, case, found, None, all=True, filters=[text])


def short(name: str) -> str:
    """The last part of a name without its tag."""
    return name.rpartition("/")[2].partition(":")[0]


def lookups(run: Run, on: Stage) -> None:
    """One image by its name: a bare ping and an echo are the limit, podman's ``exists`` the rival."""
    names = single(on.sample)
    asks: dict[str, Callable[[], float]] = {case: cycling(on, case, names) for case in (RESOLVE, EXISTS, WHY, INSPECT)}
    request = '{"jsonrpc":"2.0","id":1,"method":"server.ping"}'
    answer = on.client.raw(request) + b"\n"
    rest = on.rest
    with echo(answer) as bare, echo(answer, "trio") as loop:
        limits = [
            Contender(who=who, ask=query_context(client, request), burst=50, warm=50)
            for who, client in ((PING, on.client), (ECHO, bare), (LOOP, loop))
        ]
        for case, ask in asks.items():
            contenders = [Contender(who=STORAGED, ask=ask, burst=50, warm=len(names)), *limits]
            if case != INSPECT:
                contenders.insert(1, Contender(who=ANEW, ask=cycling(on, case, names, **NO_EFFECT), burst=50, warm=50))
            if rest is not None:
                theirs = "/json" if case == INSPECT else "/exists"
                contenders.append(Contender(who=SERVICE, ask=_podmans_lookup(rest, names, theirs), burst=10))
            run.figures.facts[f"{case}: {_PODMANS}"] = "images/NAME/json" if case == INSPECT else "images/NAME/exists"
            run.figures.add(run.report, case, on.place, by_turns(contenders, run.effort(3, least=10)))


def whole(run: Run, on: Stage) -> None:
    """``df``, and every manifest list with its instances: podman is asked list by list."""
    contenders = [Contender(who=STORAGED, ask=calling(on, "store.usage"), burst=5)]
    if (rest := on.rest) is not None:
        usage = rest
        theirs = {row["ImageID"] for row in usage.ask("GET", "/system/df")["Images"]}
        ours = {row["id"] for row in on.client.call("store.usage")["images"]}
        run.report.claim(theirs == ours, f"{USAGE}: podman counts {len(theirs)} images, storaged {len(ours)}")

        def ask_usage() -> float:
            usage.ask("GET", "/system/df")
            return usage.elapsed

        contenders.append(Contender(who=SERVICE, ask=ask_usage))
    run.figures.add(run.report, USAGE, on.place, by_turns(contenders, run.effort()))

    contenders = [
        Contender(who=who, ask=calling(on, "manifests.list", include=["instances"], **beside), burst=5)
        for who, beside in ((STORAGED, {}), (ANEW, NO_EFFECT))
    ]
    if rest is not None:
        answered = _answered(rest, on.sample.lists)
        run.figures.facts[f"{LISTS}: lists, and those podman shows"] = f"{len(on.sample.lists)}, {len(answered)}"
        with suppress(ToolError):
            contenders.append(Contender(who=SERVICE, ask=_each(rest, answered), warm=1))
    run.figures.add(run.report, LISTS, on.place, by_turns(contenders, run.effort()))


def changes(run: Run, on: Stage) -> None:
    """A tag given and taken again. Each program has the store for a few changes before the other one is at it."""
    image = on.sample.names[single(on.sample)[0]]
    effort = run.effort(4, least=4)
    for case in (TAG, UNTAG):
        contenders = [Contender(who=STORAGED, ask=_our_change(on, image, case), burst=5, settle=1)]
        if on.rest is not None:
            contenders.append(Contender(who=SERVICE, ask=_podmans_change(on.rest, image, case), burst=2, settle=1))
        run.figures.add(run.report, case, on.place, by_turns(contenders, effort))


def _our_change(on: Stage, image: str, case: str) -> Callable[[], float]:
    numbers = itertools.count()

    def ask() -> float:
        tag = f"localhost/ours:{next(numbers)}"
        on.client.call("images.tag", name=image, tags=[tag])
        tagged = on.client.elapsed
        on.client.call("images.untag", name=image, tags=[tag])
        return tagged if case == TAG else on.client.elapsed

    return ask


def _podmans_change(rest: Rest, image: str, case: str) -> Callable[[], float]:
    numbers = itertools.count()

    def ask() -> float:
        where = {"repo": "localhost/theirs", "tag": str(next(numbers))}
        rest.ask("POST", f"/images/{image}/tag", **where)
        tagged = rest.elapsed
        rest.ask("POST", f"/images/{image}/untag", **where)
        return tagged if case == TAG else rest.elapsed

    return ask


def calling(on: Stage, method: str, **params: Any) -> Callable[[], float]:
    """One request, always the same."""

    def ask() -> float:
        on.client.call(method, **params)
        return on.client.elapsed

    return ask


def cycling(on: Stage, method: str, names: list[str], **beside: Any) -> Callable[[], float]:
    """One request after the other about each of the names."""
    turns = itertools.cycle(names)

    def params(name: str) -> Mapping[str, Any]:
        return {"names": [name]} if method == INSPECT else {"name": name, **beside}

    def ask() -> float:
        on.client.call(method, **params(next(turns)))
        return on.client.elapsed

    return ask


def _podmans_lookup(rest: Rest, names: list[str], question: str) -> Callable[[], float]:
    turns = itertools.cycle(names)

    def ask() -> float:
        rest.ask("GET", f"/images/{named(next(turns))}{question}")
        return rest.elapsed

    return ask


def _answered(rest: Rest, lists: tuple[str, ...]) -> list[str]:
    """The lists that podman shows: it refuses those whose bytes it does not take for a list."""
    found = []
    for each in lists:
        with suppress(ToolError):
            rest.ask("GET", f"/manifests/{each}/json")
            found.append(each)
    return found


def _each(rest: Rest, lists: list[str]) -> Callable[[], float]:
    def ask() -> float:
        spent = 0.0
        for each in lists:
            rest.ask("GET", f"/manifests/{each}/json")
            spent += rest.elapsed
        return spent

    return ask
