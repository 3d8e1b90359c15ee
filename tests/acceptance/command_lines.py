"""podman's own command lines for changes, run by podman and by storagectl on twin stores.

::

    podman builds ──► store A ──copy──► store B
                         │                 │
                podman LINE         storagectl LINE          exit status, standard output, messages
                         │                 │
                    images.json  ══════  images.json         ids and names after each line

python -m tests.acceptance.command_lines
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import zip_longest
from pathlib import Path
from typing import Any

from attrs import field, frozen

from tests.support.daemon import STORAGECTL, Daemon, daemon
from tests.support.peers import Peer, Store, podman_43, podman_58, workspace
from tests.support.report import Report, arguments

from .command_line_scenes import SCENES, Line

_HEX = re.compile(r"\b[0-9a-f]{64}\b")


def main(argv: Sequence[str] | None = None) -> int:
    flags = arguments(__doc__ or "", argv, peers=(str, "4.3,5.8", "which podmans are compared with"))
    report = Report(timed=not flags.untimed)
    finders = {"4.3": podman_43, "5.8": podman_58}
    for version in flags.peers.split(","):
        for driver in ("vfs", "overlay"):
            for scene in SCENES:
                play(report, finders[version](), driver, scene)
    return report.finish()


def play(report: Report, peer: Peer, driver: str, scene: str) -> None:
    """One scene on fresh twin stores; podman opens what storagectl left, and 5.8 finds nothing wrong in it."""
    where = f"{peer.name} {driver} {scene}"
    asked = [one for one in SCENES[scene] if peer.name in one.peers]
    with twins(peer, driver=driver) as both:
        for one in asked:
            differing = both.compare(one)
            report.claim(differing == [], f"{where}: {differing}")
        both.ours.podman("images", "-a")
        if peer.name == "podman-5.8":
            both.ours.podman("system", "check")
    print(f"{where}: {len(asked)} lines", flush=True)


@frozen(kw_only=True)
class Answer:
    status: int
    out: str
    err: str


@frozen(kw_only=True)
class Twins:
    theirs: Store
    ours: Store
    running: Daemon
    ids: dict[str, str] = field(factory=dict)

    def podman(self, asked: Line) -> Answer:
        store = self.theirs
        return _run(
            store.peer.argv(store.work, ["podman", *self._filled(asked, "theirs")]),
            asked.typed,
            environment=store.environment(),
            cwd=store.work,
        )

    def storagectl(self, asked: Line) -> Answer:
        command = [*STORAGECTL, "--socket", self.running.path]
        environment = {**os.environ, "STORAGED_NO_SPAWN": "1"}
        return _run([*command, *self._filled(asked, "ours")], asked.typed, environment=environment, cwd=self.ours.work)

    def _filled(self, asked: Line, whose: str) -> list[str]:
        lists = dict(_lists(self._store(whose)))
        return [word.format(**self.ids, **lists) for word in asked.argv]

    def _store(self, whose: str) -> Store:
        return self.theirs if whose == "theirs" else self.ours

    def compare(self, asked: Line) -> list[str]:
        """Run the line on both sides; what differs and may not."""
        theirs, ours = self.podman(asked), self.storagectl(asked)
        known = set(self.ids.values())
        told = " ".join(asked.argv)
        found = []
        if asked.ours is not None:
            status, out = asked.ours
            wanted = Answer(status=status, out=out.format(**self.ids), err="")
        else:
            wanted = theirs
        pairs = [("exit status", wanted.status, ours.status)]
        pairs.append(("output", _plain(wanted.out, known, asked.ordered), _plain(ours.out, known, asked.ordered)))
        if asked.messages and asked.ours is None:
            pairs.append(("messages", _plain(_named(theirs.err), known), _plain(_named(ours.err), known)))
        found += [f"{told}: {what}: podman {one!r}, storagectl {two!r}" for what, one, two in pairs if one != two]
        if found:
            found[-1] += f" (messages {theirs.err!r}, {ours.err!r})"
        if asked.apart:
            return found
        left, right = _state(self.theirs, known), _state(self.ours, known)
        found += [f"{told}: left behind: podman {one}, storagectl {two}" for one, two in _apart(left, right)]
        return found


def _run(argv: Sequence[str], typed: str, *, environment: dict[str, str], cwd: Path) -> Answer:
    done = subprocess.run(
        argv, env=environment, cwd=cwd, input=typed, capture_output=True, text=True, timeout=60, check=False
    )
    return Answer(status=done.returncode, out=done.stdout, err=done.stderr)


def _plain(text: str, known: set[str], ordered: bool = True) -> str:
    """Ids of lists are random: only those that both have are compared."""
    text = _HEX.sub(lambda found: found[0] if found[0] in known else "ID", text)
    return text if ordered else "".join(sorted(text.splitlines(keepends=True)))


def _named(text: str) -> str:
    """Who speaks is no difference."""
    return text.replace("storagectl ", "podman ").replace("'storagectl", "'podman")


def _records(store: Store) -> list[dict[str, Any]]:
    path = store.graphroot / f"{store.driver}-images" / "images.json"
    return list(json.loads(path.read_bytes()) or [])


def _state(store: Store, known: set[str]) -> list[str]:
    """A line an image in the order of the table: its names and former names; and a line a layer,
    a container, a folder of a layer.

    Before podman 5 the newest name was the last; storagectl has it first, whoever else writes.
    """
    arranged = list if store.peer.name == "podman-5.8" else sorted
    lines = [
        f"{record['id'] if record['id'] in known else 'ID'} {arranged(record.get('names') or [])} formerly "
        f"{arranged(record.get('names-history') or [])}"
        for record in _records(store)
    ]
    containers = f"{store.driver}-containers"
    for path in (
        store.graphroot / f"{store.driver}-layers" / "layers.json",
        store.graphroot / containers / "containers.json",
        store.runroot / containers / "volatile-containers.json",
    ):
        records = json.loads(path.read_bytes()) if path.exists() else []
        lines += sorted(f"{path.stem} {record['id']}" for record in records or [])
    folder = store.graphroot / ("vfs/dir" if store.driver == "vfs" else store.driver)
    return lines + sorted(f"folder {path.name}" for path in folder.iterdir() if _HEX.fullmatch(path.name))


def _apart(left: list[str], right: list[str]) -> Iterator[tuple[str, str]]:
    """The lines that only one of them has, in pairs."""
    one = [text for text in left if text not in right]
    two = [text for text in right if text not in left]
    if left != right and not one and not two:
        one, two = ["another order"], ["another order"]
    return zip_longest(one, two, fillvalue="nothing")


def _lists(store: Store) -> Iterator[tuple[str, str]]:
    """``list_NAME`` and ``digest_NAME_N`` for what is a list now."""
    for record in _records(store):
        if "instances.json" not in (record.get("big-data-names") or []):
            continue
        for name in record.get("names") or []:
            short = re.sub(r"\W", "_", name.removeprefix("localhost/").removesuffix(":latest"))
            yield f"list_{short}", record["id"]
            manifest = store.graphroot / f"{store.driver}-images" / record["id"] / "manifest"
            for at, entry in enumerate(json.loads(manifest.read_bytes())["manifests"] or []):
                yield f"digest_{short}_{at}", entry["digest"]


@contextmanager
def twins(peer: Peer, driver: str = "vfs") -> Iterator[Twins]:
    """Store A with images of podman and buildah, its copy B, and a daemon that serves B."""
    with workspace(peer, driver=driver) as theirs, workspace(peer, driver=driver) as ours:
        ids = _fill(theirs)
        _copy(theirs, ours)
        with daemon(ours) as running:
            yield Twins(theirs=theirs, ours=ours, running=running, ids=ids)


def _fill(store: Store) -> dict[str, str]:
    ids = {name: store.build(name, tag=f"localhost/{name}:1") for name in ("a", "b", "c", "d", "f")}
    ids.update({f"loose{number}": store.build(f"loose {number}") for number in range(3)})
    for name in ("x", "y", "z"):
        ids[f"{name}1"] = store.build(f"{name} below", base="localhost/f:1")
        ids[f"{name}2"] = store.build(f"{name} above", base=ids[f"{name}1"], tag=f"localhost/{name}:2")
    ids["e"] = store.buildah_image("e", tag="localhost/e:1")
    store.podman("create", "--name", "podmans", "localhost/d:1", "true")
    store.buildah("from", "--name", "buildahs", "--isolation=chroot", "localhost/e:1")
    return ids


def _copy(source: Store, target: Store) -> None:
    """The store without podman's own database, which knows its path; and the containers that last until a restart."""
    names = ("libpod", "db.sql", "storaged")
    target.graphroot.mkdir(exist_ok=True)
    for path in source.graphroot.iterdir():
        if path.name not in names and path.is_dir():
            subprocess.run(["cp", "-a", str(path), str(target.graphroot)], check=True)
        elif path.name not in names:
            shutil.copy2(path, target.graphroot)
    volatile = source.runroot / f"{source.driver}-containers"
    if volatile.exists():
        target.runroot.mkdir(exist_ok=True)
        subprocess.run(["cp", "-a", str(volatile), str(target.runroot)], check=True)


if __name__ == "__main__":
    sys.exit(main())
