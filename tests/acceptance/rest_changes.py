"""The same changes by podman 5.8's own service and by the gateway, on two copies of one store: answers and results.

    python -m tests.acceptance.rest_changes --seed 0 --scale 1

Both copies are made by podman and buildah. After each change the answers are compared, and what the store holds then;
what may differ is named here (``_comparable``) and in the last table of docs/differences.md.
"""

from __future__ import annotations

import json
import random
import re
import subprocess
import sys
from collections.abc import Collection, Iterator, Sequence
from typing import Any
from urllib.parse import quote, urlencode

from attrs import define

from tests.acceptance.differential import make_real
from tests.support.daemon import Daemon, daemon
from tests.support.peers import Peer, podman_58, workspace
from tests.support.podman_service import service
from tests.support.report import Report, arguments
from tests.support.rest import Reply, RestClient

_STORES = 40
"""At full scale."""
_STEPS = 60
_LIBPOD = "/v5.0.0/libpod"
_HEX = re.compile(r"\b[0-9a-f]{64}\b")


def main(argv: Sequence[str] | None = None) -> int:
    flags = arguments(__doc__ or "", argv)
    report = Report(timed=not flags.untimed)
    peer = podman_58()
    for number in range(max(2, round(_STORES * flags.scale))):
        compare(report, peer, driver=("vfs", "overlay")[number % 2], seed=flags.seed + number)
    return report.finish()


def compare(report: Report, peer: Peer, *, driver: str, seed: int, steps: int = _STEPS, backend: str = "trio") -> None:
    """One store, two copies, and the same random changes of both."""
    rng = random.Random(seed)
    with workspace(peer, driver=driver) as theirs, workspace(peer, driver=driver) as ours:
        make_real(theirs, rng)
        subprocess.run(["cp", "-a", str(theirs.graphroot), str(ours.graphroot)], check=True)
        more = ("--api-socket", str(ours.work / "api"), "--podman-socket", "none")
        with (
            service(theirs),
            daemon(ours, backend=backend, more=more) as held,
            RestClient(theirs.work / "service") as podman,
            RestClient(ours.work / "api") as gateway,
        ):
            stage = _Stage(podman, gateway, rng)
            done = []
            for _ in range(steps):
                change = stage.change()
                done.append(change.text)
                where = f"{driver} seed {seed}: {change.text}"
                answers = [each.ask(change.method, change.target, change.body) for each in (podman, gateway)]
                their, our = (stage.state(each) for each in (podman, gateway))
                kept = {one[0] for one in our if one not in their}
                if change.prunes and kept and ("label" in change.target or _listed(held, kept)):
                    # podman's prune took what a list needs, or parents that its filter does not mean: from here on the
                    # stores are not the same.
                    report.held += 1
                    break
                for difference in _differences(change, *answers, stage):
                    report.claim(False, f"{where}: {difference}")
                if their != our:
                    less, more = [one for one in their if one not in our], [one for one in our if one not in their]
                    report.claim(False, f"{where}: podman's store has {less} where ours has {more}, after {done}")
                    break
                report.held += 1
            report.figure(f"{driver} seed {seed}", f"{len(done)} changes, {stage.refused} of them refused by both")


@define
class _Change:
    method: str
    target: str
    body: bytes | None = None

    @property
    def prunes(self) -> bool:
        return self.target.partition("?")[0].endswith("/images/prune")

    @property
    def text(self) -> str:
        return f"{self.method} {self.target} {self.body.decode() if self.body else ''}".strip()


@define
class _Stage:
    podman: RestClient
    gateway: RestClient
    rng: random.Random
    number: int = 0
    refused: int = 0

    def state(self, client: RestClient) -> list[tuple[Any, ...]]:
        """What a store holds: names, whether it is a list, what it dangles from; lists have ids of their own."""
        rows = client.get(f"{_LIBPOD}/images/json?all=true").json
        found = []
        for row in rows:
            listed = bool(row["IsManifestList"])
            names = tuple(sorted(row["RepoTags"] or ()))
            entries: tuple[str, ...] = ()
            if listed:
                data = client.get(f"{_LIBPOD}/manifests/{row['Id']}/json").json
                entries = tuple(json.dumps(entry, sort_keys=True) for entry in data["manifests"] or ())
            found.append((None if listed else row["Id"], listed, names, entries))
        return sorted(found, key=repr)

    def change(self) -> _Change:
        """One that podman would be asked for: most of it right, some of it wrong."""
        rows = self.podman.get(f"{_LIBPOD}/images/json?all=true").json
        images = [row for row in rows if not row["IsManifestList"]]
        lists = [row for row in rows if row["IsManifestList"] and row["RepoTags"]]
        tree = self.rng.choice(("", "/v1.44", _LIBPOD, _LIBPOD))
        makers = [self._tag, self._tag, self._untag, self._remove, self._remove, self._batch, self._prune]
        makers += [self._create, self._edit, self._edit, self._edit, self._delete]
        return self.rng.choice(makers)(tree, images, lists)

    # ------------------------------------------------------------ what is named

    def _name(self, images: list[dict[str, Any]]) -> str:
        """A name, an id or the beginning of one; sometimes nothing's."""
        if not images or self.rng.random() < 0.1:
            return self.rng.choice(("nosuch", "localhost/nosuch:1", "UPPER", "f" * 64, "sha256:abcd"))
        row = self.rng.choice(images)
        texts = [row["Id"], row["Id"][:12], *(row["RepoTags"] or ()) * 2]
        return str(self.rng.choice(texts))

    def _in_path(self, name: str) -> str:
        return quote(name, safe="" if self.rng.random() < 0.5 else "/:")

    def _tag(self, tree: str, images: list[dict[str, Any]], lists: list[dict[str, Any]]) -> _Change:
        self.number += 1
        query = self.rng.choice(
            (
                {"repo": f"new{self.number}", "tag": "1"},
                {"repo": f"localhost/new{self.number}"},
                {"repo": f"quay.io/a/b{self.number}", "tag": "x"},
                {"repo": "localhost/moving", "tag": "1"},
                {"tag": "1"},
                {"repo": "UPPER", "tag": "1"},
            )
        )
        return _Change("POST", f"{tree}/images/{self._in_path(self._name(images))}/tag?{urlencode(query)}")

    def _untag(self, tree: str, images: list[dict[str, Any]], lists: list[dict[str, Any]]) -> _Change:
        named = [row for row in images if row["RepoTags"]]
        row = self.rng.choice(named or images)
        repository, _, tag = self.rng.choice(row["RepoTags"] or ["localhost/none:1"]).rpartition(":")
        query = self.rng.choice(({"repo": repository, "tag": tag}, {}, {"repo": "nosuch"}, {"tag": tag}))
        return _Change("POST", f"{_LIBPOD}/images/{self._in_path(row['Id'])}/untag?{urlencode(query)}")

    def _remove(self, tree: str, images: list[dict[str, Any]], lists: list[dict[str, Any]]) -> _Change:
        query = self.rng.choice(({}, {}, {"force": "false", "noprune": "1"}, {"ignore": "true"}, {"force": "true"}))
        free = [row for row in images if not row["Containers"]] if "force" in query else images
        return _Change("DELETE", f"{tree}/images/{self._in_path(self._name(free))}?{urlencode(query)}")

    def _batch(self, tree: str, images: list[dict[str, Any]], lists: list[dict[str, Any]]) -> _Change:
        # podman tells of a name that is given twice twice.
        names = [self._name([row]) for row in self.rng.sample(images, min(len(images), self.rng.choice((1, 2, 3))))]
        query = urlencode({"images": names, "ignore": self.rng.choice(("", "true")), "force": ""}, doseq=True)
        return _Change("DELETE", f"{_LIBPOD}/images/remove?{query}")

    def _prune(self, tree: str, images: list[dict[str, Any]], lists: list[dict[str, Any]]) -> _Change:
        query = self.rng.choice(
            (
                {},
                {"filters": '{"label":["loose=0"]}'},
                {"filters": '{"label":{"loose=1":true}}'},
                {"filters": '{"label!":["loose=1"]}'},
                {"filters": '{"until":["2020-01-01"]}'},
                {"filters": '{"nosuch":["x"]}'},
                {"filters": "x"},
            )
        )
        return _Change("POST", f"{tree}/images/prune?{urlencode(query)}")

    # ------------------------------------------------------------ lists

    def _create(self, tree: str, images: list[dict[str, Any]], lists: list[dict[str, Any]]) -> _Change:
        self.number += 1
        taken = [name for row in images for name in row["RepoTags"] or ()]
        name = self.rng.choice((f"localhost/made{self.number}:1", f"made{self.number}", *taken[:1], "UPPER"))
        query: dict[str, Any] = {"images": [row["Id"] for row in self.rng.sample(images, min(len(images), 2))]}
        if self.rng.random() < 0.4:
            query = {"annotation": ["a=b"]}
        return _Change("POST", f"{_LIBPOD}/manifests/{self._in_path(name)}?{urlencode(query, doseq=True)}")

    def _edit(self, tree: str, images: list[dict[str, Any]], lists: list[dict[str, Any]]) -> _Change:
        if not lists:
            return self._create(tree, images, lists)
        name = self.rng.choice(lists)["RepoTags"][0]
        entries = self.podman.get(f"{_LIBPOD}/manifests/{quote(name, safe='')}/json").json["manifests"] or []
        digests = [entry["digest"] for entry in entries] or [f"sha256:{'0' * 64}"]
        digest = self.rng.choice(digests)
        # One that is added again loses its annotations to podman.
        fresh = [row for row in images if row["Digest"] not in digests]
        if not fresh:
            return self._create(tree, images, lists)
        image = self.rng.choice(fresh)["Id"]
        members = self.rng.choice(
            (
                {"operation": "update", "images": [image]},
                {"Operation": "Update", "Images": [image], "Arch": "s390x", "OS": "linux", "annotations": {"c": "d"}},
                {"operation": "annotate", "images": [digest], "arch": "arm64", "variant": "v8", "annotation": ["e=f"]},
                {"operation": "remove", "images": [digest]},
                {"operation": "remove", "images": [f"sha256:{'1' * 64}", digest]},
                {"operation": "burn"},
                {"operation": "update", "annotation": ["x"], "images": [image]},
            )
        )
        target = f"{_LIBPOD}/manifests/{self._in_path(self.rng.choice((name, name, name, 'nosuch')))}"
        return _Change("PUT", target, json.dumps(members).encode())

    def _delete(self, tree: str, images: list[dict[str, Any]], lists: list[dict[str, Any]]) -> _Change:
        names = [row["RepoTags"][0] for row in lists] + ["nosuch"]
        return _Change("DELETE", f"{_LIBPOD}/manifests/{self._in_path(self.rng.choice(names))}")


def _listed(held: Daemon, images: Collection[str]) -> bool:
    """Whether all of these are kept for a list."""
    reports = [json.loads(held.storagectl("why", "--format", "json", image)) for image in images]
    return bool(images) and all(
        any(reason["code"] == "manifest_list" for reason in report["reasons"]) for report in reports
    )


def _differences(change: _Change, their: Reply, our: Reply, stage: _Stage) -> Iterator[str]:
    if their.status != our.status:
        yield f"status {their.status} {their.body[:300]!r}, storaged {our.status} {our.body[:300]!r}"
        return
    if their.status >= 400:
        stage.refused += 1
    if their.headers.get("content-type") != our.headers.get("content-type"):
        yield f"content type {their.headers.get('content-type')}, storaged {our.headers.get('content-type')}"
    a, b = _comparable(change, their), _comparable(change, our)
    if a != b and not _excused(a, b):
        yield f"{their.body[:400]!r}, storaged {our.body[:400]!r}"


def _excused(their: Any, our: Any) -> bool:
    """What is named to differ: storaged's errors go on with what to do next, and of images with children that are
    removed podman says nothing."""
    if isinstance(their, str) and isinstance(our, str):
        # Of a wrong new name podman says twice that it is normalising it.
        return our.startswith(their) or their.endswith(our)
    if isinstance(their, dict) and isinstance(our, dict):
        told = {name: member for name, member in our.items() if name != "Deleted"}
        known = {name: member for name, member in their.items() if name != "Deleted"}
        more = set(their.get("Deleted", ())) <= set(our.get("Deleted", ()))
        return more and told.keys() == known.keys() and all(_excused(known[name], told[name]) for name in known)
    if isinstance(their, list) and isinstance(our, list):
        if all(isinstance(each, dict) for each in (*their, *our)):
            gone = {each["Deleted"] for each in our if "Deleted" in each}
            return {each["Deleted"] for each in their if "Deleted" in each} <= gone and [
                each for each in their if "Deleted" not in each
            ] == [each for each in our if "Deleted" not in each]
        return len(their) == len(our) and all(map(_excused, their, our))
    return bool(their == our)


def _comparable(change: _Change, reply: Reply) -> Any:
    """Without ids of containers and of lists, words about parameters, and what podman counts twice."""
    if reply.headers.get("content-type") != "application/json":
        return reply.body.decode("utf-8", "replace")
    value = reply.json
    if "/manifests/" in change.target or (isinstance(value, dict) and ("Errors" in value or "response" in value)):
        kept = value.pop("Deleted", None) if isinstance(value, dict) and "/manifests/" not in change.target else None
        value = json.loads(_HEX.sub("ID", json.dumps(value)))
        value |= {"Deleted": kept} if kept is not None else {}
    if isinstance(value, dict):
        if "errors" in value:
            value = {"Id": value["Id"], "images": value.get("images"), "errors": len(value["errors"])}
        if "response" in value and ("filters" in change.target or change.method == "PUT"):
            value = dict.fromkeys(value)
        value.pop("SpaceReclaimed", None)
    elif change.target.partition("?")[0].endswith("/prune"):
        for row in value:
            row.pop("Size")
    return value


if __name__ == "__main__":
    sys.exit(main())
