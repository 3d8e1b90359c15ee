"""Random changes by real tools under reading clients: each is seen at once, and nothing is seen that never was.

    python -m tests.acceptance.changes --scale 1        1,000 changes, 8 readers

The tools write one after another, the clients read all the time. After each command the next fresh read
must show exactly the tables on disk. Every answer the clients got must be one of the complete states an
observer recorded (see ``observer``): none torn, none of a half finished transaction, none out of the past
by more than the change under way.
"""

from __future__ import annotations

import os
import random
import select
import sys
import threading
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any

from msgspec import json

from tests.support.client import Client
from tests.support.daemon import Daemon, daemon
from tests.support.peers import Store, ToolError, podman_43, podman_58, workspace
from tests.support.report import Report, arguments, percentile

from .observer import Observer, Rows, State

_CHANGES = 1_000
_OUTLIVED = 10.0
"""Seconds that a process may go on after its command ended."""
_MOVES = 5
"""How often the generation of a quiet store may move between three reads."""
_KEPT = 12
"""Images above which removals become likely, so that a run does not grow without end."""


def main(argv: Sequence[str] | None = None) -> int:
    flags = arguments(
        __doc__ or "",
        argv,
        readers=(int, 8, "reading clients"),
        peers=(str, "4.3,5.8", "which podmans write"),
        driver=(str, "vfs", "vfs or overlay"),
    )
    report = Report(timed=not flags.untimed)
    finders = {"4.3": podman_43, "5.8": podman_58}
    versions = flags.peers.split(",")
    for version in versions:
        changes = max(10, round(_CHANGES * flags.scale / len(versions)))
        with workspace(finders[version](), driver=flags.driver) as store:
            run(report, store, random.Random(flags.seed), changes=changes, readers=flags.readers)
    return report.finish()


def run(report: Report, store: Store, rng: random.Random, *, changes: int, readers: int) -> None:
    """One store, one series of changes."""
    where = store.peer.name
    store.build("first", tag="localhost/first:1")
    observer = Observer(store)
    observer.start()
    tools = Tools(store, rng)
    with daemon(store) as ours, ours.client() as client:
        crowd = Readers(ours, readers)
        crowd.start()
        outlived = 0
        try:
            for number in range(changes):
                name = tools.change(observer.settled())
                outlived += check_fresh(report, f"{where} change {number} ({name})", client, observer)
                if number % 20 == 19:
                    check_dangling(report, f"{where} change {number}", client, store)
        finally:
            crowd.stop()
            observer.stop()
        report.figure(f"{where}: commands outlived by a process of theirs that wrote", outlived)
        report.claim(outlived <= 1 + changes // 100, f"{where}: {outlived} reads called stale after the command ended")
        stats = client.call("server.stats")
    report.claim(not observer.problems, f"{where}: the observer missed something: {observer.problems[:3]}")
    crowd.check(report, where, observer.states())
    report.figure(f"{where}: changes", dict(tools.counts))
    report.figure(f"{where}: refused by the tool itself", tools.refused)
    report.figure(f"{where}: saves", observer.renames)
    report.figure(f"{where}: complete states", len(observer.states()))
    report.figure(f"{where}: daemon's counters", {k: v for k, v in stats["counters"].items() if "load" in k})


def rows_of(client: Client) -> tuple[State | None, dict[str, Any]]:
    """All three tables by fresh reads; None where they were not of one generation."""
    images = client.call("images.list", all=True)
    layers = client.call("layers.list")
    containers = client.call("containers.list")
    if not images["generation"] == layers["generation"] == containers["generation"]:
        return None, images
    return State(images=image_rows(images), layers=layer_rows(layers), containers=container_rows(containers)), images


def image_rows(answer: dict[str, Any]) -> Rows:
    return tuple(
        (row["id"], tuple(row["names"]), tuple(row["names_history"]), row["created"], row["digest"])
        for row in answer["images"]
    )


def layer_rows(answer: dict[str, Any]) -> Rows:
    return tuple((row["id"], row["parent"], row["diff_digest"]) for row in answer["layers"])


def container_rows(answer: dict[str, Any]) -> Rows:
    return tuple((row["id"], tuple(row["names"]), row["image"], row["layer"]) for row in answer["containers"])


def check_fresh(report: Report, where: str, client: Client, observer: Observer) -> bool:
    """No writer is at work: the very next read is the state on disk and is not stale.

    Returns whether a process outlived its command and wrote: a third writer, which ``stale`` has to name. Such a
    read is asked again when that process is gone.
    """
    truth = observer.settled()
    state, answer = rows_of(client)
    holder = (answer["stale"] or {}).get("holder") or {}
    outlived = holder.get("command") in ("podman", "buildah") and holder.get("mode") == "write"
    if outlived:
        await_end(int(holder["pid"]))
        truth = observer.settled()
        state, answer = rows_of(client)
    report.claim(answer["stale"] is None, f"{where}: stale {answer['stale']} with no writer")
    for _ in range(_MOVES):
        if state is None:
            # A generation moves, too, when the size of a new container's layer becomes known.
            state, _ = rows_of(client)
    if report.claim(state is not None, f"{where}: three reads of a quiet store in several generations"):
        assert state is not None
        for kind in ("images", "layers", "containers"):
            seen, true = getattr(state, kind), getattr(truth, kind)
            report.claim(seen == true, f"{where}: {kind}: seen {set(seen) - set(true)}, missed {set(true) - set(seen)}")
    return outlived


def await_end(pid: int) -> None:
    """Wait until a process of somebody else is gone."""
    with suppress(ProcessLookupError):
        watch = os.pidfd_open(pid)
        select.select([watch], [], [], _OUTLIVED)
        os.close(watch)


def check_dangling(report: Report, where: str, client: Client, store: Store) -> None:
    """The dangling set is podman 5.8's, less the images a list names by another digest than the record's own.

    podman 4.3 knows nothing of lists here. Loading an archive of an image that is there gives it a second digest.
    """
    if store.peer.root is not None:
        theirs = store.dangling() - listed_by_another_digest(store)
        ours = client.dangling()
        report.claim(ours == theirs, f"{where}: dangling: ours {ours - theirs}, podman's {theirs - ours}")


def listed_by_another_digest(store: Store) -> set[str]:
    """By the files alone: images that some list names, but not by the record's ``digest`` (libimage 9.1)."""
    folder = store.graphroot / f"{store.driver}-images"
    records = json.decode((folder / "images.json").read_bytes())
    listed: set[str] = set()
    for record in records:
        if "instances.json" in record["big-data-names"]:
            manifest = json.decode((folder / record["id"] / "manifest").read_bytes())
            listed |= {entry["digest"] for entry in manifest.get("manifests") or ()}
    found = set()
    for record in records:
        digests = {digest for key, digest in record["big-data-digests"].items() if key.startswith("manifest")}
        if record["digest"] not in listed and digests & listed:
            found.add(record["id"])
    return found


class Readers:
    """Clients that read at full speed and keep what they saw, once a generation."""

    def __init__(self, ours: Daemon, count: int) -> None:
        self._ended = threading.Event()
        self._ours = ours
        self._seen: list[dict[str, dict[str, Rows]]] = [{} for _ in range(count)]
        self._order: list[list[str]] = [[] for _ in range(count)]
        self._errors: list[str] = []
        self._times: list[float] = []
        self._stale: Counter[str] = Counter()
        self._count = 0
        self._threads = [threading.Thread(target=self._loop, args=(number,)) for number in range(count)]

    def start(self) -> None:
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        self._ended.set()
        for thread in self._threads:
            thread.join()

    def _loop(self, number: int) -> None:
        readings: tuple[tuple[str, dict[str, Any], str, Callable[[dict[str, Any]], Rows]], ...] = (
            ("images.list", {"all": True}, "images", image_rows),
            ("layers.list", {}, "layers", layer_rows),
            ("containers.list", {}, "containers", container_rows),
        )
        seen, order = self._seen[number], self._order[number]
        try:
            with self._ours.client() as client:
                while not self._ended.is_set():
                    for method, params, kind, rows in readings:
                        answer = client.call(method, **params)
                        self._times.append(client.elapsed)
                        generation = answer["generation"]
                        if answer["stale"]:
                            self._stale[answer["stale"]["reason"]] += 1
                        if not order or order[-1] != generation:
                            order.append(generation)
                        known = seen.setdefault(generation, {})
                        found = rows(answer)
                        if known.setdefault(kind, found) != found:
                            self._errors.append(f"two {kind} in one generation")
        except Exception as error:
            self._errors.append(f"reader {number}: {error!r}")

    def check(self, report: Report, where: str, states: list[State]) -> None:
        """Judge all that was seen, and print what it was."""
        report.claim(not self._errors, f"{where}: {self._errors[:3]}")
        generations = self.judge(report, where, self._seen, self._order, states)
        report.figure(f"{where}: replies", len(self._times))
        report.figure(f"{where}: generations seen", generations)
        report.figure(f"{where}: stale replies", dict(self._stale))
        report.figure(f"{where}: p99 of a reply, ms", percentile(self._times, 0.99) * 1000)

    @staticmethod
    def judge(
        report: Report, where: str, seen: list[dict[str, dict[str, Rows]]], orders: list[list[str]], states: list[State]
    ) -> int:
        """Every generation is a complete state, and no reader ever goes back in time; returns how many were seen.

        ``seen`` and ``orders`` have an entry a reader: generation to its tables, and the generations in turn.
        """
        merged: dict[str, dict[str, Rows]] = {}
        for generations in seen:
            for generation, kinds in generations.items():
                known = merged.setdefault(generation, {})
                for kind, rows in kinds.items():
                    report.claim(known.setdefault(kind, rows) == rows, f"{where}: readers differ within a generation")
        places = {generation: _places(kinds, states) for generation, kinds in merged.items()}
        for generation, found in places.items():
            fits = {
                kind: [number for number, state in enumerate(states) if getattr(state, kind) == rows]
                for kind, rows in merged[generation].items()
            }
            report.claim(bool(found), f"{where}: a state that never was; each table is that of the states {fits}")
        for order in orders:
            report.claim(_forward([places[generation] for generation in order]), f"{where}: a reader went back in time")
        return len(merged)


def _places(kinds: dict[str, Rows], states: list[State]) -> list[int]:
    """The positions of all states these tables fit."""
    return [
        number
        for number, state in enumerate(states)
        if all(getattr(state, kind) == rows for kind, rows in kinds.items())
    ]


def _forward(places: list[list[int]]) -> bool:
    """Whether one position of each can be chosen so that they never decrease."""
    last = 0
    for options in places:
        later = [option for option in options if option >= last]
        if options and not later:
            return False
        last = later[0] if later else last
    return True


class Tools:
    """Random commands of podman and buildah on what the store holds at the moment."""

    def __init__(self, store: Store, rng: random.Random) -> None:
        self._store = store
        self._rng = rng
        self._number = 0
        self._archive = ""
        self.counts: Counter[str] = Counter()
        self.refused = 0

    def change(self, state: State) -> str:
        """Run one command; a refusal by the tool is an outcome like any other."""
        images = [row for row in state.images if self._is_image(row)]
        lists = [row for row in state.images if not self._is_image(row)]
        names = [name for row in images for name in row[1]]  # type: ignore[attr-defined]
        choices: list[tuple[int, str, Callable[[], Any]]] = [
            (4 if len(images) < _KEPT else 1, "build", lambda: self._build(names)),
            (2 if len(images) < _KEPT else 0, "buildah", lambda: self._store.buildah_image(self._text())),
        ]
        if images:
            choices += self._on_images(images, names, crowded=len(images) >= _KEPT)
        choices.append((3, "manifest create", lambda: self._store.podman("manifest", "create", self._name("list"))))
        if lists:
            choices += self._on_lists(lists, images)
        if state.containers:
            choices.append((3, "container rm", lambda: self._remove_container(state)))
        weights = [weight for weight, _, _ in choices]
        _, name, command = self._rng.choices(choices, weights)[0]
        self.counts[name] += 1
        try:
            command()
        except ToolError as error:
            self.refused += 1
            if "no end in" in str(error):
                raise
        return name

    def _is_image(self, row: tuple[object, ...]) -> bool:
        folder = self._store.graphroot / f"{self._store.driver}-images" / str(row[0])
        return not (folder / "instances.json").exists()

    def _on_images(
        self, images: list[tuple[object, ...]], names: list[str], *, crowded: bool
    ) -> list[tuple[int, str, Callable[[], Any]]]:
        pick = lambda: str(self._rng.choice(images)[0])  # noqa: E731
        store = self._store
        found: list[tuple[int, str, Callable[[], Any]]] = [
            (4, "tag", lambda: store.podman("tag", pick(), self._rng.choice([self._name("tag"), *names[:2]]))),
            (8 if crowded else 2, "rmi", lambda: store.podman("rmi", *(["-f"] * self._rng.randrange(2)), pick())),
            (2, "load", lambda: self._load(pick())),
        ]
        if names:
            name = self._rng.choice(names)
            create = ("create", "--pull=never", "--network=none", name, "/x")
            found += [
                (3, "untag", lambda: store.podman("untag", name)),
                (2, "container create", lambda: store.podman(*create)),
                (2, "buildah from", lambda: store.buildah("from", "--pull-never", name)),
            ]
        return found

    def _on_lists(
        self, lists: list[tuple[object, ...]], images: list[tuple[object, ...]]
    ) -> list[tuple[int, str, Callable[[], Any]]]:
        target = str(self._rng.choice(lists)[0])
        found: list[tuple[int, str, Callable[[], Any]]] = [
            (2, "manifest rm", lambda: self._store.podman("manifest", "rm", target)),
            (2, "manifest annotate", lambda: self._edit(target, "annotate")),
            (2, "manifest remove", lambda: self._edit(target, "remove")),
        ]
        if images:
            image = str(self._rng.choice(images)[0])
            found.append((5, "manifest add", lambda: self._add(target, image)))
        return found

    def _add(self, target: str, image: str) -> None:
        self._store.podman("manifest", "add", target, f"containers-storage:{image}")

    def _edit(self, target: str, how: str) -> None:
        instances = self._instances(target)
        if instances:
            digest = self._rng.choice(instances)
            extra = [f"--arch={self._rng.choice(('arm64', 'riscv64'))}"] if how == "annotate" else []
            self._store.podman("manifest", how, *extra, target, digest)

    def _instances(self, target: str) -> list[str]:
        path = self._store.graphroot / f"{self._store.driver}-images" / target / "manifest"
        return [entry["digest"] for entry in json.decode(path.read_bytes()).get("manifests") or ()]

    def _build(self, names: list[str]) -> None:
        base = self._rng.choice([*names, "scratch", "scratch"])
        tag = self._rng.choice([None, self._name("built"), *names[:1]])
        self._store.build(self._text(), tag=tag, base=base)

    def _load(self, image: str) -> None:
        """Save once, load again and again: with the same id, it comes back or gets its record rewritten."""
        if not self._archive:
            self._archive = str(self._store.work / "archive.tar")
            self._store.podman("save", "-q", "--format", "docker-archive", "-o", self._archive, image)
        self._store.podman("load", "-q", "-i", self._archive)

    def _remove_container(self, state: State) -> None:
        row = self._rng.choice(state.containers)
        tool = self._store.buildah if "working-container" in str(row[1]) else self._store.podman
        tool("rm", str(row[0]))

    def _text(self) -> str:
        self._number += 1
        return f"text {self._number} {self._rng.random()}"

    def _name(self, kind: str) -> str:
        self._number += 1
        return f"localhost/{kind}{self._number}:1"


if __name__ == "__main__":
    sys.exit(main())
