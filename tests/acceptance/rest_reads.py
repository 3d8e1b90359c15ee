"""podman 5.8's own service and the gateway are asked the same of the same stores: both trees, filters, names, errors.

    python -m tests.acceptance.rest_reads --seed 0 --scale 1

What may differ is named here (``excused``), and in the last table of docs/differences.md.
"""

from __future__ import annotations

import json
import random
import re
import sys
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote

from storaged.sample import Sample, SampleSpec, write_store
from tests.acceptance.differential import make_real
from tests.support.daemon import daemon
from tests.support.peers import Peer, Store, podman_58, workspace
from tests.support.podman_service import service
from tests.support.report import Report, arguments
from tests.support.rest import Reply, RestClient

_STORES = 500
"""At full scale."""
_LIBPOD = "/v5.0.0/libpod"
_DOCKER = ("", "/v1.40", "/v1.44")


def main(argv: Sequence[str] | None = None) -> int:
    flags = arguments(__doc__ or "", argv)
    report = Report(timed=not flags.untimed)
    peer = podman_58()
    for number in range(max(2, round(_STORES * flags.scale))):
        seed = flags.seed + number
        compare_generated(report, peer, size=20 + 13 * (number % 7), seed=seed)
        if number % 10 == 0:
            compare_real(report, peer, driver=("vfs", "overlay")[number // 10 % 2], seed=seed)
    return report.finish()


def compare_generated(report: Report, peer: Peer, *, size: int, seed: int) -> None:
    """A generated store of that many images."""
    driver: Any = ("vfs", "overlay")[seed % 2]
    with workspace(peer, driver=driver) as store:
        sample = write_store(
            store.graphroot, store.runroot, SampleSpec(images=size, seed=seed, driver=driver, containers=size // 20)
        )
        if driver == "overlay":
            furnish(store.graphroot)
        _compare(report, f"generated {size} seed {seed} {driver}", store, random.Random(seed), sample)


def compare_real(report: Report, peer: Peer, *, driver: str, seed: int) -> None:
    """A store that podman and buildah made."""
    with workspace(peer, driver=driver) as store:
        make_real(store, random.Random(seed))
        _compare(report, f"real seed {seed} {driver}", store, random.Random(seed), None)


def furnish(graphroot: Path) -> None:
    """The folders of overlay's layers, which podman looks at when it shows an image."""
    layers = json.loads((graphroot / "overlay-layers/layers.json").read_text())
    lower: dict[str, str] = {}
    (graphroot / "overlay/l").mkdir(parents=True, exist_ok=True)
    for layer in layers:
        folder, link = graphroot / "overlay" / layer["id"], layer["id"][:26].upper()
        (folder / "diff").mkdir(parents=True, exist_ok=True)
        (folder / "link").write_text(link)
        (graphroot / "overlay/l" / link).symlink_to(f"../{layer['id']}/diff")
        if layer.get("parent"):
            (folder / "lower").write_text(lower[layer["parent"]])
        lower[layer["id"]] = ":".join(filter(None, (f"l/{link}", lower.get(layer.get("parent", ""), ""))))


def _bare_layers(store: Store) -> re.Pattern[str]:
    tables = (store.graphroot / f"{store.driver}-layers").glob("*layers.json")
    layers = [layer for table in tables for layer in json.loads(table.read_text())]
    bare = "|".join(layer["id"][:12] for layer in layers if not layer.get("diff-digest"))
    return re.compile(rf"(ID: (?:{bare}) Size:) .*") if bare else re.compile("(?!)()")


def _compare(report: Report, where: str, store: Store, rng: random.Random, sample: Sample | None) -> None:
    with (
        service(store),
        daemon(store, more=("--api-socket", str(store.work / "api"), "--podman-socket", "none")),
        RestClient(store.work / "service") as theirs,
        RestClient(store.work / "api") as ours,
    ):
        bare = _bare_layers(store)
        rows = theirs.get(f"{_LIBPOD}/images/json?all=true").json
        excused = sample.podman_dangling ^ sample.dangling if sample is not None else frozenset()
        lists = {row["Id"] for row in rows if row["IsManifestList"]}
        asked = 0
        for target in _questions(rng, rows, lists):
            asked += 1
            their, our = theirs.get(target), ours.get(target)
            for difference in differences(target, their, our, excused, bare, own_containers=sample is None):
                report.claim(False, f"{where}: GET {target}: {difference}")
            report.held += 1
        for image in lists:
            for tree in ("", _LIBPOD):
                reply = ours.get(f"{tree}/images/{image}/json")
                report.claim(reply.status == 200, f"{where}: {tree} list {image[:12]}: {reply.status}")
        report.figure(where, f"{asked} questions of {len(rows)} images")


# ---------------------------------------------------------------------------- questions


def _questions(rng: random.Random, rows: list[dict[str, Any]], lists: Collection[str]) -> Iterator[str]:
    names = [name for row in rows for name in row["RepoTags"] or ()]
    trees = (*_DOCKER, _LIBPOD)
    for tree in trees:
        yield f"{tree}/images/json"
        for _ in range(8):
            yield f"{tree}/images/json?{_filters(rng, rows, names)}"
        for query in ("all=true", "all=1&shared-size=true", "filters=%7B%7D", "filters=x", 'filters={"nosuch":["x"]}'):
            yield f"{tree}/images/json?{quote(query, safe='=&%')}"
        yield f"{tree}/system/df"
    for row in rng.sample(rows, min(len(rows), 25)):
        if row["Id"] in lists:
            yield f"{_LIBPOD}/manifests/{row['Id']}/json"
            yield f"{_LIBPOD}/manifests/{row['Id']}/exists"
            for name in row["RepoTags"] or ():
                yield f"{_LIBPOD}/manifests/{quote(name, safe='')}/json"
                yield f"{_LIBPOD}/images/{quote(name, safe='')}/json"
            continue
        for text in _spellings(rng, row):
            tree = rng.choice(_DOCKER)
            yield f"{tree}/images/{text}/json"
            yield f"{tree}/images/{text}/history"
            for what in ("json", "history", "tree", "tree?whatrequires=true", "exists"):
                yield f"{_LIBPOD}/images/{text}/{what}"
            yield f"{_LIBPOD}/manifests/{text}/exists"
    for text in ("nosuch", "nosuch:1", "quay.io/no/such", "UPPER", "sha256:abcd", "a" * 64, "%2F%2Fx"):
        yield f"/images/{text}/json"
        yield f"/images/{text}/history"
        for what in ("json", "history", "tree", "exists", "resolve"):
            yield f"{_LIBPOD}/images/{text}/{what}"


def _spellings(rng: random.Random, row: dict[str, Any]) -> Iterator[str]:
    texts = [row["Id"], row["Id"][:16], f"sha256:{row['Id']}", *(row["RepoTags"] or ()), *row["RepoDigests"][:1]]
    for text in rng.sample(texts, min(len(texts), 3)):
        yield rng.choice((text, quote(text, safe="")))


def _filters(rng: random.Random, rows: list[dict[str, Any]], names: list[str]) -> str:
    """One or two filters, in one of the two spellings."""
    row = rng.choice(rows)
    name = rng.choice(names) if names else "localhost/none:1"
    found: dict[str, list[str]] = {}
    for _ in range(rng.choice((1, 1, 2))):
        key, value = rng.choice(
            (
                ("reference", rng.choice((name, name.rpartition(":")[0], "*app*", "*:v1*", f"{name}x"))),
                ("before", row["Id"]),
                ("since", row["Id"]),
                ("id", row["Id"][: rng.choice((1, 2, 12))]),
                ("digest", str(row.get("Digest", "sha256:"))[: rng.choice((8, 12, 71))]),
                ("label", rng.choice(("org.opencontainers.image.revision", "org*", "nosuch", "a=b"))),
                ("readonly", rng.choice(("true", "false"))),
                ("intermediate", "true"),
                ("until", rng.choice(("2023-11-20", "2023-11-17T00:00:00Z", "1h", "1700100000"))),
            )
        )
        if rng.random() < 0.2 and key in ("reference", "label"):
            key += "!"
        found.setdefault(key, []).append(value)
    if rng.random() < 0.5:
        return f"filters={quote(json.dumps({key: dict.fromkeys(values, True) for key, values in found.items()}))}"
    return f"filters={quote(json.dumps(found))}"


# ---------------------------------------------------------------------------- answers


def differences(
    target: str,
    their: Reply,
    our: Reply,
    dangling: Collection[str],
    bare: re.Pattern[str],
    *,
    own_containers: bool,
) -> Iterator[str]:
    """What is said of two answers to one question, but for what is named.

    ``dangling``: ids of which podman and storaged think differently. ``bare``: lines of a tree with layers of
    containers, of which podman shows no size. ``own_containers``: there are some of podman's.
    """
    if their.status == 500 and our.status == 200 and b"fetching target platform image" in their.body:
        return  # the instance of a list, whose record has no manifest of the digest listed
    if their.status == 500 and b"choosing image instance" in their.body and our.status == 200:
        return  # it finds a list's instance, and then finds none
    if their.status != our.status:
        yield f"status {their.status} {their.body[:300]!r}, storaged {our.status} {our.body[:300]!r}"
        return
    if their.headers.get("content-type") != our.headers.get("content-type"):
        yield f"content type {their.headers.get('content-type')}, storaged {our.headers.get('content-type')}"
    if not their.body or not our.body:
        if their.body != our.body:
            yield f"{their.body[:200]!r}, storaged {our.body[:200]!r}"
        return
    if their.status >= 400 and ("filters" in target or "/resolve" in target):
        # Words about parameters, and the path of registries.conf.
        if their.json.keys() != our.json.keys():
            yield f"members {[*their.json]}, storaged {[*our.json]}"
        return
    a, b = (_comparable(target, reply.json, bare, own_containers) for reply in (their, our))
    for path, left, right in _unequal(a, b, ""):
        if not (path.endswith(".Dangling") and dangling):
            yield f"{path}: podman {str(left)[:200]!r}, storaged {str(right)[:200]!r}"


def _comparable(target: str, value: Any, bare: re.Pattern[str], own_containers: bool) -> Any:
    """Without what is named to differ."""
    path = target.partition("?")[0]
    if path.endswith("/images/json"):
        for row in value:
            if row.get("IsManifestList"):
                row.pop("Digest", None)
            if own_containers:
                row.pop("Containers")
    elif path.endswith("/history"):
        for row in value if isinstance(value, list) else ():
            row.pop("Id")
            row.pop("Tags")
    elif path.endswith("/tree") and "Tree" in value:
        value["Tree"] = bare.sub(r"\1", value["Tree"])
    elif path.endswith("/system/df"):
        value = {name: member for name, member in value.items() if name in ("Images", "LayersSize", "ImagesSize")}
        for row in value["Images"] if own_containers else ():
            row.pop("Containers")
    elif "/manifests/" in path and path.endswith("/json") and isinstance(value, dict) and "manifests" in value:
        value["manifests"] = value["manifests"] or []
    return value


def _unequal(left: Any, right: Any, path: str) -> Iterator[tuple[str, Any, Any]]:
    if isinstance(left, dict) and isinstance(right, dict):
        for name in (*left, *(name for name in right if name not in left)):
            if name not in left or name not in right:
                yield f"{path}.{name}", left.get(name, "(not there)"), right.get(name, "(not there)")
            else:
                yield from _unequal(left[name], right[name], f"{path}.{name}")
        if left.keys() == right.keys() and [*left] != [*right]:
            yield f"{path}: order", [*left], [*right]
    elif isinstance(left, list) and isinstance(right, list) and len(left) == len(right):
        for at, (a, b) in enumerate(zip(left, right, strict=True)):
            yield from _unequal(a, b, f"{path}[{at}]")
    elif left != right or type(left) is not type(right):
        yield path, left, right


if __name__ == "__main__":
    sys.exit(main())
