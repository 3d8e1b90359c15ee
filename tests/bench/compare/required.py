"""What is asked of the ratios, and whether this run reached it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

from attrs import evolve, frozen

from . import commands, containerd, flat, listing, plots, questions, typed
from .figures import (
    ANEW,
    CLIENT,
    CONTAINERD,
    ECHO,
    LOOP,
    NOTHING,
    PARSED,
    PING,
    PODMAN,
    PODMAN_PY,
    SERVICE,
    STORAGECTL,
    STORAGED,
    Figures,
)

Kind = Literal["at least", "at most"]
SHAPES = ("realistic", *listing.FORMS)
FLAT = 1.5
"""How much dearer a question may be in the largest store and still count as flat."""


@frozen(kw_only=True)
class Requirement:
    """One line: ``slow`` over ``fast`` in each of the cases and shapes, at a store of so many images.

    ``fast`` empty: the seconds of ``slow`` themselves, in milliseconds. ``design``: what would reach it.
    """

    text: str
    kind: Kind
    bound: float
    cases: tuple[str, ...]
    slow: str
    fast: str
    images: int = 800
    shapes: tuple[str, ...] = ("realistic",)
    design: str = ""


_CHEAPER_REQUESTS = (
    " For a short answer, nearly all the time is the fixed cost of a request: the event loop, the framing, and "
    "checking the store's files. An event loop that keeps its sockets registered and framing outside the interpreter "
    "would lower it (scaling.md, Clients)."
)

REQUIREMENTS = (
    Requirement(
        text="`images.list`, all and dangling, over the socket, compared with podman's warm service",
        kind="at least",
        bound=500,
        cases=(listing.ALL, listing.DANGLING),
        shapes=SHAPES,
        slow=SERVICE,
        fast=STORAGED,
        design=_CHEAPER_REQUESTS,
    ),
    Requirement(
        text="label filters, likewise",
        kind="at least",
        bound=500,
        cases=(questions.KEY, questions.VALUE),
        slow=SERVICE,
        fast=STORAGED,
    ),
    Requirement(
        text="reference filters (glob, short name), likewise",
        kind="at least",
        bound=300,
        cases=(questions.GLOB, questions.SHORT),
        slow=SERVICE,
        fast=STORAGED,
    ),
    Requirement(
        text="`images.list` of 800 images, in ms",
        kind="at most",
        bound=1,
        cases=(listing.ALL,),
        shapes=SHAPES,
        slow=STORAGED,
        fast="",
    ),
    Requirement(
        text="typed objects in the Python client, each read, compared with podman-py on podman's service",
        kind="at least",
        bound=50,
        cases=(typed.READ,),
        slow=PODMAN_PY,
        fast=CLIENT,
    ),
    Requirement(
        text="`storagectl images` as a process, compared with `podman images`",
        kind="at least",
        bound=5,
        cases=(commands.IMAGES,),
        shapes=SHAPES,
        slow=PODMAN,
        fast=STORAGECTL,
    ),
    Requirement(
        text="the same at 100 images: not slower",
        kind="at least",
        bound=1,
        cases=(commands.IMAGES,),
        images=100,
        slow=PODMAN,
        fast=STORAGECTL,
    ),
    Requirement(
        text="`images.list` compared with an echo of the same bytes",
        kind="at most",
        bound=2,
        cases=(listing.ALL,),
        shapes=SHAPES,
        slow=STORAGED,
        fast=ECHO,
        design=_CHEAPER_REQUESTS,
    ),
    Requirement(
        text="`resolve`, `exists`, `why`, compared with podman's warm `exists`",
        kind="at least",
        bound=5,
        cases=(questions.RESOLVE, questions.EXISTS, questions.WHY),
        slow=SERVICE,
        fast=STORAGED,
    ),
    Requirement(
        text="`resolve`, `exists`, `why`, compared with a ping",
        kind="at most",
        bound=2,
        cases=(questions.RESOLVE, questions.EXISTS, questions.WHY),
        slow=STORAGED,
        fast=PING,
    ),
    Requirement(
        text="listing compared with containerd's List of as many images, raw bytes",
        kind="at least",
        bound=2,
        cases=(containerd.LIST,),
        slow=CONTAINERD,
        fast=STORAGED,
    ),
)


@frozen(kw_only=True)
class Verdict:
    """One requirement beside what was measured: the worst and the best place it holds for.

    ``anew``: the worst of answers that none of before served for.
    """

    requirement: Requirement
    worst: float | None = None
    best: float | None = None
    anew: float | None = None
    case: str = ""
    """The case and the place of the worst."""
    place: tuple[str, int] = ("", 0)

    @property
    def reached(self) -> bool | None:
        """None where nothing was measured."""
        if self.worst is None:
            return None
        bound = self.requirement.bound
        return self.worst >= bound if self.requirement.kind == "at least" else self.worst <= bound


Place = tuple[str, tuple[str, int]]
"""A case, and the shape and size of a store."""


def verdicts(figures: Figures, sizes: dict[int, int]) -> list[Verdict]:
    """All of them. ``sizes`` maps the sizes of the full run to those of this one."""
    found = []
    for each in REQUIREMENTS:
        size = sizes[each.images]
        anew = _judge(each, dict(_ratios(figures, _anew(each), size)))
        found.append(evolve(_judge(each, dict(_ratios(figures, each, size))), anew=anew.worst))
    return [*found, _flat(figures)]


def reason(verdict: Verdict, figures: Figures) -> str:
    """What was measured where a requirement was missed, and what it would be at the limits."""
    asked, place = verdict.requirement, verdict.place
    flatness = asked.slow == asked.fast
    parts = [
        f"{figure.who} {figure.timing.median * 1e3:.3g} ms{f' at {figure.size} images' if flatness else ''}"
        for figure in figures.of(verdict.case)
        if flatness or figure.place == place
    ]
    ping = next((figure.timing.median for figure in figures.all if figure.who == PING), None)
    if ping is not None and asked.slow in (SERVICE, CONTAINERD, STORAGED) and PING not in " ".join(parts):
        parts.append(f"{PING} {ping * 1e3:.3g} ms")
    text = f"In {verdict.case}, {place[0]} {place[1]}: {', '.join(parts)}."
    if asked.kind == "at least" and (slow := figures.median(verdict.case, place, asked.slow)) is not None:
        limits = {who: figures.median(verdict.case, place, who) for who in (LOOP, PARSED, NOTHING)}
        if ping is not None and asked.fast == STORAGED:
            limits[PING] = ping
        text += "".join(
            f" An answer as fast as {who} would be {plots.said(slow / seconds)} times as fast as {asked.slow}."
            for who, seconds in limits.items()
            if seconds is not None
        )
    return text


def _anew(requirement: Requirement) -> Requirement:
    """The same of answers that are made anew."""
    other = {name: ANEW for name in ("slow", "fast") if getattr(requirement, name) == STORAGED}
    return evolve(requirement, **other) if other else evolve(requirement, cases=())


def _judge(requirement: Requirement, ratios: dict[Place, float]) -> Verdict:
    if not ratios:
        return Verdict(requirement=requirement)
    order = sorted(ratios, key=ratios.__getitem__, reverse=requirement.kind == "at most")
    case, place = order[0]
    return Verdict(requirement=requirement, worst=ratios[order[0]], best=ratios[order[-1]], case=case, place=place)


def _ratios(figures: Figures, requirement: Requirement, size: int) -> Iterator[tuple[Place, float]]:
    for case in requirement.cases:
        for shape in requirement.shapes:
            place = (shape, size)
            if requirement.fast:
                value = figures.ratio(case, place, slow=requirement.slow, fast=requirement.fast)
            else:
                seconds = figures.median(case, place, requirement.slow)
                value = None if seconds is None else seconds * 1e3
            if value is not None:
                yield (case, place), value


def _flat(figures: Figures) -> Verdict:
    """The largest store beside the smallest, each of the three questions. What is kept is flat by itself, so that it is
    answers made anew that are judged."""
    ratios: dict[Place, float] = {}
    for case in flat.CASES:
        places = {figure.place: figure.timing.median for figure in figures.of(case) if figure.who == ANEW}
        if len(places) > 1:
            small, large = sorted(places, key=lambda place: place[1])[:: len(places) - 1]
            ratios[case, large] = places[large] / places[small]
    requirement = Requirement(
        text="`resolve`, `exists`, `why`: flat from 100 images to the largest store reported",
        kind="at most",
        bound=FLAT,
        cases=tuple(flat.CASES),
        slow=ANEW,
        fast=ANEW,
    )
    judged = _judge(requirement, ratios)
    return evolve(judged, anew=judged.worst)
