"""The daemon's changes, each with what it should answer by the model; names, images and flags by chance."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from tests.support.client import RpcError

from .mutation_stage import Stage
from .should_be import Entry, Gone, Known

Step = Callable[[Stage, str], None]


def tag(stage: Stage, where: str) -> None:
    """Up to three names, sometimes those of others."""
    image = _any(stage)
    taken = stage.some_name()
    names = [stage.name("tag") for _ in range(stage.rng.randrange(1, 4))]
    if taken is not None and stage.rng.random() < 0.4:
        names[0] = taken
    answer = stage.client.call("images.tag", name=_addressed(stage, image), tags=names)
    moved = stage.model.give(image.id, names)
    _same(stage, where, "names", answer["names"], image.names)
    _same(stage, where, "moved_from", [(move["name"], move["image"]) for move in answer["moved_from"]], moved)


def untag(stage: Stage, where: str) -> None:
    """One name, or all."""
    image = _any(stage)
    names = [stage.rng.choice(image.names)] if image.names and stage.rng.random() < 0.7 else []
    answer = stage.client.call("images.untag", name=_addressed(stage, image), tags=names)
    stage.model.take(image.id, names or list(image.names))
    _same(stage, where, "names", answer["names"], image.names)


def create(stage: Stage, where: str) -> None:
    """An image of a configuration alone; sometimes with a name of another."""
    names = [stage.name("created") for _ in range(stage.rng.randrange(3))]
    taken = stage.some_name()
    if taken is not None and stage.rng.random() < 0.2:
        names.append(taken)
    stage.number += 1
    history = {"created": "2026-01-02T03:04:05Z", "created_by": f"LABEL n={stage.number}", "empty_layer": True}
    config = {
        "created": "2026-01-02T03:04:05.6Z",
        "architecture": "amd64",
        "os": "linux",
        "config": {"Labels": {"n": str(stage.number), "seed": str(stage.rng.random())}},
        "rootfs": {"type": "layers", "diff_ids": []},
        "history": [history],
    }
    (key,) = stage.client.call("images.create", config=config, names=names)["ids"]
    stage.model.add(Known(id=key, names=names[::-1], digest=stage.tables().images[key]["digest"]))


def remove(stage: Stage, where: str) -> None:
    """Up to three images, by names and ids, with flags."""
    images = stage.rng.sample(
        list(stage.model.images.values()), min(stage.rng.randrange(1, 4), len(stage.model.images))
    )
    names = [_addressed(stage, image) for image in images]
    flags = {flag: stage.rng.random() < 0.25 for flag in ("force", "no_prune")}
    _removal(
        stage,
        where,
        lambda: stage.client.call("images.remove", names=[*names, "localhost/unknown:1"], ignore=True, **flags),
        lambda: stage.model.remove(names, **flags),
    )


def prune(stage: Stage, where: str) -> None:
    """What is dangling, in one of three ways: at once, by a plan, with containers of other tools."""
    way = stage.rng.choice(("at once", "at once", "by a plan", "external"))
    external = way == "external"

    def ask() -> dict[str, Any]:
        if way != "by a plan":
            return stage.client.call("images.prune", external=external)
        planned = stage.client.call("images.prune", dry_run=True)
        applied = stage.client.call("images.prune", plan=planned["plan"])
        for member in ("removed", "untagged", "freed"):
            _same(stage, where, f"plan, {member}", applied[member], planned[member])
        return applied

    _removal(stage, f"{where} ({way})", ask, lambda: stage.model.prune(external=external))


def prune_all(stage: Stage, where: str) -> None:
    _removal(
        stage,
        where,
        lambda: stage.client.call("images.prune", all=True),
        lambda: stage.model.prune(everything=True),
    )


# -------------------------------------------------------------- manifest lists


def list_create(stage: Stage, where: str) -> None:
    """Empty, or of one or two images."""
    name = stage.name("list")
    images = stage.rng.sample(stage.model.plain, min(stage.rng.randrange(3), len(stage.model.plain)))
    answer = stage.client.call("manifests.create", name=name, images=[_addressed(stage, image) for image in images])
    entries = {image.digest: Entry() for image in images}
    _same(stage, where, "instances", answer["instances"], list(entries))
    stage.model.add(Known(id=answer["id"], names=[name], digest=answer["digest"], entries=entries))


def list_add(stage: Stage, where: str) -> None:
    """An image that is in the list keeps its place and what was said of it."""
    target, image = _a_list(stage), _a_plain(stage)
    said: dict[str, Any] = {}
    if stage.rng.random() < 0.5:
        said = {"platform": {"architecture": "arm64"}, "annotations": {"k": str(stage.rng.random())}}
    answer = stage.client.call("manifests.add", name=_addressed(stage, target), image=_addressed(stage, image), **said)
    assert target.entries is not None
    entry = target.entries.setdefault(image.digest, Entry())
    _describe(entry, said)
    target.digest = answer["digest"]


def list_annotate(stage: Stage, where: str) -> None:
    target = _a_list(stage)
    if not target.entries:
        list_add(stage, where)
        return
    digest = stage.rng.choice(list(target.entries))
    said = {
        "platform": {"architecture": stage.rng.choice(("arm64", "riscv64", "s390x"))},
        "annotations": {stage.rng.choice("abc"): "<&> " + str(stage.rng.random())},
    }
    answer = stage.client.call("manifests.annotate", name=_addressed(stage, target), digest=digest, **said)
    _describe(target.entries[digest], said)
    target.digest = answer["digest"]


def list_remove_instance(stage: Stage, where: str) -> None:
    target = _a_list(stage)
    if not target.entries:
        list_add(stage, where)
        return
    digest = stage.rng.choice(list(target.entries))
    answer = stage.client.call("manifests.remove_instance", name=_addressed(stage, target), digest=digest)
    _same(stage, where, "instances", answer["instances"], [digest])
    del target.entries[digest]
    target.digest = answer["digest"]


def list_remove(stage: Stage, where: str) -> None:
    names = [_addressed(stage, _a_list(stage))]
    _removal(
        stage,
        where,
        lambda: stage.client.call("manifests.remove", names=names),
        lambda: stage.model.remove(names, force=False, no_prune=False),
    )


# Each kind of mutation, and how often it is chosen.
OURS: dict[str, tuple[Step, int]] = {
    "tag": (tag, 6),
    "untag": (untag, 4),
    "create": (create, 5),
    "remove": (remove, 4),
    "prune": (prune, 3),
    "manifest create": (list_create, 3),
    "manifest add": (list_add, 5),
    "manifest annotate": (list_annotate, 3),
    "manifest remove instance": (list_remove_instance, 2),
    "manifest remove": (list_remove, 2),
    "prune all": (prune_all, 2),
}


def _any(stage: Stage) -> Known:
    return stage.rng.choice(list(stage.model.images.values()))


def _a_list(stage: Stage) -> Known:
    if not stage.model.lists:
        list_create(stage, "a list is needed")
    return stage.rng.choice(stage.model.lists)


def _a_plain(stage: Stage) -> Known:
    if not stage.model.plain:
        create(stage, "an image is needed")
    return stage.rng.choice(stage.model.plain)


def _addressed(stage: Stage, image: Known) -> str:
    """By its id or one of its names."""
    return stage.rng.choice([image.id, *image.names])


def _describe(entry: Entry, said: dict[str, Any]) -> None:
    entry.architecture = said.get("platform", {}).get("architecture", entry.architecture)
    entry.annotations |= said.get("annotations", {})


def _removal(stage: Stage, where: str, ask: Callable[[], dict[str, Any]], judge: Callable[[], Gone]) -> None:
    """What went, by the report and by the files, is what should have gone."""
    before = stage.tables()
    try:
        answer = ask()
    except RpcError as error:
        stage.report.claim(False, f"{where}: {error}")
        raise
    wanted = judge()
    removed = [gone["id"] for gone in answer["removed"]]
    _same(stage, where, "removed", set(removed), set(wanted.removed))
    _same(stage, where, "removed once", len(removed), len(set(removed)))
    _same(stage, where, "untagged", {(each["id"], each["name"]) for each in answer["untagged"]}, set(wanted.untagged))
    failed = tuple(failure["error"]["data"]["name"] for failure in answer["failed"])
    _same(stage, where, "failed", failed, wanted.failed)
    size, exact = before.size_of_what_went(stage.tables())
    if exact:
        _same(stage, where, "freed", answer["freed"], size)
    else:
        freed = answer["freed"]
        stage.report.claim(freed is None or freed >= size, f"{where}: freed: {freed}, should be {size} at least")
    stage.report.claim(not answer["changed"], f"{where}: changed without a rival: {json.dumps(answer['changed'])}")


def _same(stage: Stage, where: str, what: str, seen: object, wanted: object) -> None:
    stage.report.claim(seen == wanted, f"{where}: {what}: {seen}, should be {wanted}")
