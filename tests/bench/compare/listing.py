"""Listing, and the dangling filter, over the socket: four shapes at four sizes."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from storaged.sample import SampleSpec, Shape
from tests.support.client import Client

from .echo import echo
from .figures import ANEW, ECHO, LOOP, SERVICE, STORAGED
from .stage import Run, Stage, stage
from .timing import Contender, by_turns

SIZES = (100, 200, 400, 800)
FORMS: tuple[Shape, ...] = ("distinct", "shared", "lists", "half_listed")
ALL, DANGLING = "images.list, all", "images.list, dangling"
NO_EFFECT = {"timeout": 10.0}
"""What a request says anyway, where it says nothing of it."""


def measure(run: Run) -> None:
    """Each shape at each size: storaged, podman's service, and two echoes of storaged's bytes."""
    for shape in FORMS:
        for images in run.sizes(SIZES):
            with stage(run, SampleSpec(images=images, seed=run.seed, shape=shape, driver="vfs")) as on:
                compare(run, on, ALL, set(on.sample.images), set(on.sample.images), all=True)
                ours, theirs = set(on.sample.dangling), set(on.sample.podman_dangling)
                compare(run, on, DANGLING, ours, theirs, filters=["dangling=true"])


def compare(run: Run, on: Stage, case: str, ours: set[str], theirs: set[str] | None, **params: Any) -> None:
    """One ``images.list`` of these parameters beside podman's. ``ours`` and ``theirs``: the ids each must answer.

    ``theirs`` None: the two must agree, and nobody else says on what.
    """
    request, anew = (
        json.dumps({"jsonrpc": "2.0", "id": 1, "method": "images.list", "params": params | beside})
        for beside in ({}, NO_EFFECT)
    )
    line = on.client.raw(request)
    found = {row["id"] for row in json.loads(line)["result"]["images"]}
    where = f"{case}, {on.spec.shape} {on.spec.images}"
    run.report.claim(found == ours, f"{where}: storaged lists {len(found)} images, the recipe has {len(ours)}")
    run.figures.facts[f"{where}: rows"] = str(len(found))
    run.figures.facts[f"{where}: bytes"] = str(len(line) + 1)
    with echo(line + b"\n") as bare, echo(line + b"\n", "trio") as loop:
        contenders = [
            Contender(who=who, ask=query_context(client, text), burst=20, warm=20)
            for who, client, text in (
                (STORAGED, on.client, request),
                (ANEW, on.client, anew),
                (ECHO, bare, request),
                (LOOP, loop, request),
            )
        ]
        if (rest := on.rest) is not None:
            query = podmans(params)
            listed = {row["Id"] for row in rest.ask("GET", "/images/json", **query) or []}
            wanted = ours if theirs is None else theirs
            if case != DANGLING or run.minds_lists:
                run.report.claim(listed == wanted, f"{where}: podman lists {len(listed)} images, not {len(wanted)}")

            def ask_podman() -> float:
                rest.ask("GET", "/images/json", **query)
                return rest.elapsed

            contenders.append(Contender(who=SERVICE, ask=ask_podman))
        run.figures.add(run.report, case, on.place, by_turns(contenders, run.effort()))


def query_context(client: Client, request: str) -> Callable[[], float]:
    """One request, always the same, whatever the answer."""

    def ask() -> float:
        client.raw(request)
        return client.elapsed

    return ask


def podmans(params: dict[str, Any]) -> dict[str, str]:
    """Our parameters as those of podman's ``/images/json``."""
    query = {"all": "true"} if params.get("all") else {}
    filters: dict[str, list[str]] = {}
    for text in params.get("filters", ()):
        key, _, value = text.partition("=")
        filters.setdefault(key, []).append(value)
    if filters:
        query["filters"] = json.dumps(filters)
    return query
