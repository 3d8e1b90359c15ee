"""Whole processes: ``storagectl`` beside podman, buildah and containers-storage."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence

from storaged.sample import SampleSpec

from .figures import BUILDAH, CONTAINERS_STORAGE, NOTHING, PODMAN, STORAGECTL
from .listing import FORMS, SIZES
from .questions import short
from .stage import Run, inside, single, stage
from .timing import Contender, by_turns
from .tools import Command, Tools

IMAGES, DANGLING = "command, images", "command, images, dangling"
LABEL, SHORT = "command, images, label", "command, images, reference"
EXISTS, INSPECT, USAGE = "command, image exists", "command, inspect", "command, system df"
LISTED = "command, manifest inspect"
ENTERING = "entering podman's root"
_IDS = ("-q", "--no-trunc")


def measure(run: Run) -> None:
    """``images`` on realistic stores of four sizes; on the largest one, and on the four shapes, dangling ones too."""
    sizes = run.sizes(SIZES)
    for images in sizes:
        _one(run, SampleSpec(images=images, seed=run.seed, driver="vfs"), largest=images == sizes[-1])
    for shape in FORMS if run.full else ():
        _one(run, SampleSpec(images=run.size(SIZES[-1]), seed=run.seed, shape=shape, driver="vfs"), largest=True)


def _one(run: Run, spec: SampleSpec, *, largest: bool) -> None:
    with stage(run, spec, with_service=False) as on, inside(on.store) as prefix:
        tools = Tools(run=run, on=on, prefix=prefix)
        if prefix:
            _entering(tools)
        shown = set(on.sample.images) - on.sample.intermediate
        _images(tools, IMAGES, dict.fromkeys(tools.there(), shown) | {CONTAINERS_STORAGE: set(on.sample.images)})
        if largest:
            wanted = {STORAGECTL: set(on.sample.dangling), PODMAN: set(on.sample.podman_dangling)}
            _images(tools, DANGLING, wanted, "--filter", "dangling=true")
        if largest and spec.shape == "realistic":
            _others(tools)


def _images(tools: Tools, case: str, wanted: Mapping[str, set[str]], *flags: str) -> None:
    """A list of images by every program that can be asked for it, ``wanted`` being the ids each must print."""
    run, on = tools.run, tools.on
    rivals = [who for who in tools.there() if who != CONTAINERS_STORAGE or not flags]
    for who in rivals:
        found = _ids(tools, who, *flags)
        # Buildah shows intermediate images by a rule of its own, and all images without a name as dangling; so does
        # podman 4.3 the latter.
        if who != BUILDAH and (case != DANGLING or who != PODMAN or run.minds_lists):
            where = f"{case}, {on.spec.shape} {on.spec.images}"
            count = len(wanted[who])
            run.report.claim(found == wanted[who], f"{where}: {who} shows {len(found)} images, not {count}")
    _compare(tools, case, [tools.command(who, "images", *flags) for who in rivals])


def _ids(tools: Tools, who: str, *flags: str) -> set[str]:
    if who == CONTAINERS_STORAGE:
        return json_ids(tools.command(who, "images", "-j").printed())
    return printed_ids(tools.command(who, "images", *_IDS, *flags).printed())


def _others(tools: Tools) -> None:
    """Filters, and questions about one image, one list and the whole store."""
    on = tools.on
    name = single(on.sample)[0]
    image = on.sample.names[name]
    labels = [key for row in on.client.images() for key in row["labels"] or {} if key.isascii() and "=" not in key]
    for case, text in ((LABEL, f"label={next(key for key in labels if key)}"), (SHORT, f"reference={short(name)}")):
        found = _ids(tools, STORAGECTL, "--filter", text)
        tools.run.report.claim(bool(found), f"{case}: {text} finds nothing")
        tools.run.figures.facts[f"{case}: filter"] = text
        _images(tools, case, {STORAGECTL: found, PODMAN: found}, "--filter", text)
    questions: list[tuple[str, dict[str, tuple[str, ...]]]] = [
        (EXISTS, {STORAGECTL: ("image", "exists", name), PODMAN: ("image", "exists", name)}),
        (
            INSPECT,
            {
                STORAGECTL: ("image", "inspect", name),
                PODMAN: ("image", "inspect", name),
                BUILDAH: ("inspect", "--type", "image", name),
                CONTAINERS_STORAGE: ("image", image),
            },
        ),
        (USAGE, {STORAGECTL: ("system", "df"), PODMAN: ("system", "df")}),
    ]
    named = [each for each in on.sample.names if on.sample.names[each] in on.sample.lists]
    if named:
        shown = ("manifest", "inspect", named[0])
        questions.append((LISTED, {STORAGECTL: shown, PODMAN: shown, BUILDAH: shown}))
    for case, asked in questions:
        _compare(tools, case, [tools.command(who, *asked[who]) for who in tools.there() if who in asked])


def _compare(tools: Tools, case: str, rivals: Sequence[Command]) -> None:
    every = [tools.command(NOTHING), *rivals]
    contenders = [Contender(who=each.who, ask=each.timed, warm=1) for each in every]
    run = tools.run
    run.figures.add(run.report, case, tools.on.place, by_turns(contenders, run.effort(6)))


def _entering(tools: Tools) -> None:
    """What ``nsenter`` adds to each command of podman's and buildah's: reported, and taken off no figure."""
    contenders = [
        Contender(who="true", ask=tools.true(()).timed),
        Contender(who="nsenter, true", ask=tools.true(tools.prefix).timed),
    ]
    run = tools.run
    run.figures.add(run.report, ENTERING, tools.on.place, by_turns(contenders, run.effort(0.5, least=10)))


def printed_ids(text: str) -> set[str]:
    """One id a line, with or without the algorithm."""
    return {line.removeprefix("sha256:") for line in text.split()}


def json_ids(text: str) -> set[str]:
    """Those of ``containers-storage images -j``."""
    return {row["id"] for row in json.loads(text)}
