"""What a request may have done to the store, and what its answer must tell of it.

::

    prune        exactly what is dangling at the instant of the commit; what came under a lease meanwhile may stay
    prune all    nothing in use, leased, or in a list that stays; nothing at all while evidence is unreadable
    plan         the same, and nothing that the dry run did not list
    remove       what was asked for by all of its names, or by id; ancestors only while dangling
    tag, untag   these names of that image
    every one    exactly the layers that nothing needs afterwards; no other record differs by a byte
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from typing import Any

from attrs import frozen

from .judge import Commit, Record, State

Answer = dict[str, Any] | None


@frozen(kw_only=True)
class Asked:
    """One request, and for a plan the images that its dry run listed."""

    method: str
    params: dict[str, Any]
    listed: frozenset[str] | None = None
    due: frozenset[str] = frozenset()
    """Those of ``listed`` that were there when the plan was applied and all the time until now: something is to be said
    of each."""

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(self.params.get("names") or self.params.get("tags") or ())

    def __str__(self) -> str:
        return f"{self.method} {self.params}" + (" as planned" if self.listed is not None else "")


def wrong_in_commit(asked: Asked, commit: Commit) -> Iterator[str]:
    """What this commit must not have done."""
    before, after, removed = commit.before, commit.after, commit.removed
    if added := after.images.keys() - before.images.keys():
        yield f"made {_short(added)}"
    for image in removed & commit.leased:
        yield f"removed {image[:12]}, which is leased"
    if asked.method == "images.prune":
        yield from _pruned(asked, commit)
    elif asked.method == "images.remove":
        yield from _removed(asked, commit)
    elif removed:
        yield f"removed {_short(removed)}"
    for image, record in commit.renamed.items():
        if image in before.images:
            yield from _renamed(asked, image, before.images[image], record)
    yield from _layers(before, after, removed)
    taken = {container for image in removed for container in _ids(before.users(image))}
    if gone := (before.containers.keys() - after.containers.keys()) ^ taken:
        yield f"containers {_short(gone)} went or stayed wrongly"
    if any(before.containers[each] != after.containers[each] for each in before.containers.keys() & after.containers):
        yield "a container's record differs"


def _pruned(asked: Asked, commit: Commit) -> Iterator[str]:
    before, removed = commit.before, commit.removed
    if asked.listed is not None and not removed <= asked.listed:
        yield f"removed {_short(removed - asked.listed)}, which the plan did not list"
    rows = {row.name: row for row in before.plan.rows}
    model = before.model(before.plan.rows)
    if not (asked.params.get("all")):
        may = before.dangling(commit.leased, asked.listed)
        must = before.dangling(commit.leased | commit.planned_with, asked.listed)
        for image in removed - may:
            row = rows[image]
            yield f"removed {image[:12]}: {row.kind}, names {row.names}, lists {_short(model.in_lists(row))}"
        # What hinders one image of a round is found by trying its halves.
        for image in must - removed if commit.first else ():
            yield f"{image[:12]} is dangling and stayed"
        return
    if removed and any(row.kind == "unreadable" for row in before.plan.rows):
        yield f"removed {_short(removed)} beside unreadable evidence"
    for image in removed:
        if rows[image].kind == "half":
            yield f"removed {image[:12]}, which is half made"
        users = before.users(image)
        if users and (not asked.params.get("external") or any(map(_is_podmans, users))):
            yield f"removed {image[:12]}, which is in use"
        if lists := model.in_lists(rows[image]) - removed:
            yield f"removed {image[:12]}, which list {_short(lists)} names"


def _removed(asked: Asked, commit: Commit) -> Iterator[str]:
    before, removed, force = commit.before, commit.removed, bool(asked.params.get("force"))
    requested: set[str] = set()
    for image in removed:
        names = set(before.images[image].get("names") or ())
        by_id = image in asked.names and (force or len(names - {*asked.names}) <= 1)
        if by_id or (names and names <= {*asked.names}):
            requested.add(image)
        users = before.users(image)
        if users and (not force or any(map(_is_podmans, users))):
            yield f"removed {image[:12]}, which is in use"
    may = set() if asked.params.get("no_prune") else _ancestors(before, removed, requested, force)
    if wrong := removed - requested - may:
        yield f"removed {_short(wrong)}, which nobody asked for"


def _ancestors(before: State, removed: set[str], requested: set[str], force: bool) -> set[str]:
    """Of what went unasked, that which was dangling once the others were gone."""
    found: set[str] = set()
    while True:
        rows = [row for row in before.plan.rows if row.name not in requested | found]
        model = before.model(rows)
        more = {row.name for row in rows if row.name in removed and model.dangling(row)}
        if not more:
            return found
        found |= more


def _renamed(asked: Asked, image: str, before: Record, after: Record) -> Iterator[str]:
    naming = ("names", "names-history")
    if {key: value for key, value in before.items() if key not in naming} != {
        key: value for key, value in after.items() if key not in naming
    }:
        yield f"the record of {image[:12]} differs in more than its names"
    lost, won = set(before.get("names") or ()), set(after.get("names") or ())
    lost, won = lost - won, won - lost
    asked_for = {*asked.names} or lost if asked.method == "images.untag" else {*asked.names}
    if asked.method == "images.prune" or not lost <= asked_for:
        yield f"{image[:12]} lost {lost}"
    if won and (asked.method != "images.tag" or not won <= {*asked.names}):
        yield f"{image[:12]} won {won}"
    if (won or asked.method == "images.untag") and asked.params.get("name") not in (
        image,
        *(before.get("names") or ()),
    ):
        yield f"{image[:12]} won {won} and lost {lost}, and is not {asked.params.get('name')}"


def _layers(before: State, after: State, removed: set[str]) -> Iterator[str]:
    gone = before.layers.keys() - after.layers.keys()
    if after.layers.keys() - before.layers.keys():
        yield "made a layer"
    if any(before.layers[each] != after.layers[each] for each in before.layers.keys() & after.layers):
        yield "the record of a layer that stays differs"
    owners = [
        *after.images.values(),
        *after.containers.values(),
        *({"layer": v.get("parent")} for v in after.layers.values()),
    ]
    for layer in {owner.get("layer") for owner in owners} & gone:
        yield f"layer {str(layer)[:12]} went, and is needed"
    free: set[str] = set()
    for record in [before.images[image] for image in removed] + [
        before.containers[each] for each in before.containers.keys() - after.containers.keys()
    ]:
        layer = record.get("layer")
        while layer in before.layers and layer not in free:
            free.add(layer)
            layer = before.layers[layer].get("parent")
    free -= {record.get("layer") for record in (*after.images.values(), *after.containers.values())}
    while needed := {v.get("parent") for k, v in before.layers.items() if k not in free} & free:
        free -= needed
    if free != gone:
        yield f"layers {_short(free ^ gone)} went or stayed wrongly"


def wrong_in_answer(asked: Asked, answer: Answer, commits: Sequence[Commit]) -> Iterator[str]:
    """Where the answer (None for an error) tells something else than the commits did."""
    removed = [image for commit in commits for image in commit.removed]
    if answer is None:
        if commits:
            yield f"failed, and did something: {_short(removed)}"
        return
    if "removed" not in answer:
        (after,) = [commit.after.images[answer["id"]] for commit in commits] or [None]
        if answer["changed"] is not bool(commits):
            yield f"said changed {answer['changed']}, and it was not so"
        if after is not None and list(answer["names"]) != (after.get("names") or []):
            yield f"said names {answer['names']}, and they are {after.get('names')}"
        return
    told = [row["id"] for row in answer["removed"]]
    if sorted(told) != sorted(removed):
        yield f"said that {_short(told)} went, and {_short(removed)} did"
    names = sorted(
        (image, name)
        for commit in commits
        for image, record in commit.before.images.items()
        for name in set(record.get("names") or ()) - set(commit.after.images.get(image, {}).get("names") or ())
    )
    if sorted((row["id"], row["name"]) for row in answer["untagged"]) != names:
        yield f"said untagged {answer['untagged']}, and it was {names}"
    # What is refused under one name may go under another of the same request, at the turn of that.
    ways = {image: {image, *_names(commit, image)} for commit in commits for image in commit.removed}
    failed = [row for row in answer["failed"] if not (ways.get(row["id"], set()) - {row["name"]}) & {*asked.names}]
    for key, rows in (("kept", answer["kept"]), ("failed", failed), ("changed", answer["changed"])):
        if wrong := {row["id"] for row in rows} & set(removed):
            yield f"said {key} of {_short(wrong)}, which went"
    sizes = [commit.before.layers[layer].get("diff-size") for commit in commits for layer in _gone_layers(commit)]
    data = sum(
        sum((commit.before.images[image].get("big-data-sizes") or {}).values())
        for commit in commits
        for image in commit.removed
    )
    if answer["freed"] is not None and None not in sizes and answer["freed"] != data + sum(sizes):
        yield f"said freed {answer['freed']}, and it was {data + sum(sizes)}"
    left = commits[-1].after.images.keys() if commits else set()
    if lost := asked.due & left - _accounted(answer):
        yield f"says nothing of {_short(lost)}, which the plan listed"


def _accounted(answer: dict[str, Any]) -> set[str]:
    return {row["id"] for key in ("removed", "kept", "failed", "changed") for row in answer[key]}


def _names(commit: Commit, image: str) -> list[str]:
    return commit.before.images[image].get("names") or []


def _gone_layers(commit: Commit) -> set[str]:
    return commit.before.layers.keys() - commit.after.layers.keys()


def _is_podmans(record: Record) -> bool:
    return "metadata" in record


def _ids(records: Collection[Record]) -> Iterator[str]:
    return (record["id"] for record in records)


def _short(ids: Collection[str | None]) -> str:
    return ", ".join(sorted(str(each)[:12] for each in ids)) or "nothing"
