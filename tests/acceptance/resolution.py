"""podman 5.8 and storaged asked which image a name means, over odd names, many questions and several registries.conf.

    python -m tests.acceptance.resolution --seed 0 --scale 1

A disagreement counts unless it is a deliberate one: ``_ROWS`` has them after the rows of docs/differences.md,
each as narrow as it can be told, and how often each occurred is printed.
"""

from __future__ import annotations

import json
import os
import random
import re
import shutil
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from attrs import frozen

from storaged.sample import Sample, SampleSpec, SampleWriter, write_store
from tests.support.client import Client, RpcError
from tests.support.daemon import daemon
from tests.support.peers import Peer, Store, podman_58, workspace
from tests.support.report import Report, arguments

from .lookups import Answer, housed, lookups

_MAIN = "~/.config/containers/registries.conf"
_DROP_IN = "~/.config/containers/registries.conf.d/{}.conf"

VARIANTS: Mapping[str, Mapping[str, str]] = {
    "nothing configured": {_MAIN: ""},
    "two registries": {_MAIN: 'unqualified-search-registries = ["r1.io", "r2.io"]\n'},
    "the other order, docker between": {
        _MAIN: 'unqualified-search-registries = ["r2.io", "docker.io", "r1.io", "localhost:5000"]\n'
    },
    "aliases": {
        _MAIN: 'unqualified-search-registries = ["r1.io"]\n[aliases]\n"app" = "al.io/x/aliased"\n'
        '"team/app" = "r2.io/app"\n"hub" = "docker.io/tool"\n"gone" = "al.io/none"\n"tool" = "docker.io/hub"\n'
        '"foo" = "localhost/app"\n'
    },
    "drop-ins that change and erase": {
        _MAIN: 'unqualified-search-registries = ["r1.io"]\n[aliases]\n"app" = "al.io/x/aliased"\n'
        '"foo" = "al.io/none"\n',
        _DROP_IN.format("10"): 'unqualified-search-registries = ["r2.io"]\n[aliases]\n"app" = ""\n',
        _DROP_IN.format("20"): '[aliases]\n"foo" = "r1.io/app"\n',
    },
    "version 1, hosts without a dot": {_MAIN: '[registries.search]\nregistries = ["team", "localhost", "r1.io/"]\n'},
}

ODD_NAMES: tuple[tuple[str, ...], ...] = (
    ("quay.io/team/app:1", "quay.io/team/app:latest", "quay.io/team/app:3"),
    ("localhost/app:latest", "localhost/team/app:1"),
    ("r1.io/app:3", "r1.io/app:latest"),
    ("r2.io/app:3", "r2.io/app:2", "r2.io/app:latest"),
    ("al.io/x/aliased:latest", "al.io/x/aliased:3"),
    ("docker.io/library/hub:latest", "docker.io/library/tool:latest"),
    ("docker.io/team/tool:2", "docker.io/team/app:latest", "docker.io/library/app:3"),
    ("registry:5000/x/y:1", "localhost:5000/z:latest", "localhost:5000/app:4"),
    ("quay.io/a/b/c/d:1", "quay.io/a/b/c/d.e_f__g--h:V1.0_x"),
    ("localhost/oci:app", "localhost/docker:tag", "localhost/dir:1", "localhost/sha256:abc"),
    ("quay.io:443/ported:latest", "localhost/latest:latest", "localhost/a.b:latest", "quay.io/z/passed:1"),
)
LEGACY_NAMES: tuple[tuple[str, ...], ...] = (
    ("foo:1",),
    ("bare", "docker.io/hub2:latest"),
    ("index.docker.io/library/alt:latest", "docker.io/alt2:latest"),
    ("quay.io/Team/App:1", "UPPER:latest", "with space:1", "r1.io/Foo:1"),
)
"""Names that no tool of today gives: not in their full form, or no references at all."""


def main(argv: Sequence[str] | None = None) -> int:
    flags = arguments(__doc__ or "", argv)
    report = Report(timed=not flags.untimed)
    for seed in range(flags.seed, flags.seed + max(1, round(10 * flags.scale))):
        for legacy in (False, True):
            compare(report, podman_58(), seed=seed, images=80, asked=max(150, round(8000 * flags.scale)), legacy=legacy)
    return report.finish()


def compare(report: Report, peer: Peer, *, seed: int, images: int, asked: int, legacy: bool) -> Counter[str]:
    """One store under each variant: what is pointed at the order, and ``asked`` more of all that names can make.

    Returns how often each deliberate difference occurred.
    """
    excused: Counter[str] = Counter()
    with workspace(peer) as base:
        spec = SampleSpec(images=images, seed=seed, driver="vfs", containers=2)
        known = _add_odd(base, write_store(base.graphroot, base.runroot, spec), legacy=legacy)
        everything = questions(known.records)
        rng = random.Random(seed)
        for label, files in VARIANTS.items():
            store = housed(base, {"CONTAINERS_REGISTRIES_CONF": None})
            shutil.rmtree(base.work / ".config", ignore_errors=True)
            for path, text in files.items():
                store.write(path, text)
            chosen = dict.fromkeys((*pointed(), *rng.sample(everything, min(asked, len(everything)))))
            with lookups(store) as theirs, _environment(store), daemon(base) as ours, ours.client() as client:
                for name in chosen:
                    podman, found = theirs.ask(name), ask_ours(client, name)
                    if _agree(podman, found):
                        report.claim(True, name)
                        continue
                    row = next((row for row, holds in _ROWS.items() if holds(name, podman, found, known)), None)
                    excused.update([row] if row else [])
                    report.claim(row is not None, f"seed {seed}, {label}: {name!r}: podman {podman}, storaged {found}")
    where = f"seed {seed}{', legacy names' if legacy else ''}"
    report.figure(f"{where}: questions", f"{report.held + len(report.violations)} so far, {len(everything)} spellings")
    for row, times in sorted(excused.items()):
        report.figure(f"{where}: deliberately different, {row}", times)
    return excused


@frozen(kw_only=True)
class Known:
    """What lies in the store."""

    records: tuple[Mapping[str, Any], ...]
    lists: frozenset[str]
    """Ids of manifest lists."""
    list_digests: frozenset[str]
    """The digests that the records of lists bear."""
    legacy: frozenset[str]
    """Ids of images with names that no tool of today gives."""


@frozen(kw_only=True)
class Ours:
    """What storaged says of a name: ``id`` None and the error's name where it is none."""

    exists: bool | None
    id: str | None
    error: str | None
    candidates: int = 0


def ask_ours(client: Client, name: str) -> Ours:
    try:
        exists: bool | None = bool(client.call("images.exists", name=name)["exists"])
    except RpcError:
        exists = None
    try:
        return Ours(exists=exists, id=str(client.call("images.resolve", name=name)["id"]), error=None)
    except RpcError as error:
        return Ours(exists=exists, id=None, error=error.name, candidates=len(error.data.get("candidates", ())))


def _agree(podman: Answer, ours: Ours) -> bool:
    """``exists`` (None is an error for both) and the image, unless podman cannot describe what it found."""
    return podman.exists == ours.exists and (podman.id == ours.id or (podman.indescribable and bool(ours.exists)))


def _add_odd(store: Store, sample: Sample, *, legacy: bool) -> Known:
    """Add the odd names, some of which look like ids of images that are there."""
    writer = SampleWriter(store.graphroot, store.runroot, store.driver)
    looks_like_ids = (f"localhost/{sample.images[0][:12]}:latest", f"quay.io/x/{sample.images[1][:4]}:latest")
    for names in (*ODD_NAMES, looks_like_ids):
        writer.add_image(f"odd {names}", names=names)
    lists = {*sample.lists, writer.create_list("localhost/passed:1", ())}
    old = {writer.add_image(f"old {names}", names=names) for names in (LEGACY_NAMES if legacy else ())}
    table = store.graphroot / f"{store.driver}-images" / "images.json"
    records = tuple(json.loads(table.read_text()))
    return Known(
        records=records,
        lists=frozenset(lists),
        list_digests=frozenset(str(record["digest"]) for record in records if record["id"] in lists),
        legacy=frozenset(old),
    )


def questions(records: Sequence[Mapping[str, Any]]) -> list[str]:
    """All that is asked of a store: every spelling of every name, id and digest, and what is next to them."""
    asked: set[str] = {
        "a",
        "0",
        "-",
        "a/",
        "/a",
        "a//b",
        "a:",
        "a@b",
        "A",
        "a b",
        "sha256:",
        "sha256:abc",
        "docker://app",
    }
    asked |= {
        "containers-storage:app",
        "containers-storage:",
        "oci:app",
        "docker:tag",
        "dir:1",
        "x" * 300,
        "é",
        "0" * 64,
    }
    for record in records:
        own, digest = str(record["id"]), str(record.get("digest") or "sha256:" + "1" * 64)
        asked |= {
            own,
            own[:12],
            own[:5],
            own[:1],
            own[:2],
            own[:63],
            own[:12].upper(),
            f"sha256:{own}",
            f"sha256:{own[:12]}",
        }
        asked |= {
            f"@{own}",
            f"{own}0",
            f"{own[:12]}:latest",
            f"localhost/{own[:12]}",
            f"containers-storage:@{own}",
            digest,
        }
        for name in record.get("names") or ():
            asked |= set(_spellings(str(name), digest))
    return sorted(asked)


def pointed() -> list[str]:
    """The questions whose answers depend on the order of aliases and registries: every end of every odd name."""
    repositories: set[str] = set()
    for names in ODD_NAMES:
        for name in names:
            parts = name.rpartition(":")[0].split("/")
            repositories |= {"/".join(parts[start:]) for start in range(1, len(parts))}
    return [f"{each}{tag}" for each in sorted(repositories) for tag in ("", ":1", ":2", ":3", ":4")]


def _spellings(name: str, digest: str) -> Iterator[str]:
    repository = name.partition("@")[0]
    tag = ""
    if ":" in repository.rpartition("/")[2]:
        repository, _, tag = repository.rpartition(":")
    yield from (name, f"containers-storage:{name}", f"{name}x", name.upper())
    parts = repository.split("/")
    repositories = {"/".join(parts[start:]) for start in range(len(parts))}
    repositories |= {f"docker.io/{parts[-1]}", f"localhost/{parts[-1]}", f"library/{parts[-1]}", f"r1.io/{parts[-1]}"}
    for each in repositories:
        yield from (each, f"{each}:{tag or 'latest'}", f"{each}:none", f"{each}@{digest}", f"{each}:any@{digest}")
        yield f"{each}@sha256:{'2' * 64}"


def _bare_digest(name: str, podman: Answer, ours: Ours, known: Known) -> bool:
    return re.fullmatch("sha256:[0-9a-f]{64}", name) is not None and not podman.exists


def _ambiguous(name: str, podman: Answer, ours: Ours, known: Known) -> bool:
    bearers = sum(str(record["id"]).startswith(name) for record in known.records)
    return not podman.exists and ours.error == "AmbiguousName" and bearers > 1


def _transport(name: str, podman: Answer, ours: Ours, known: Known) -> bool:
    return name.startswith("containers-storage:")


def _like_a_transport(name: str, podman: Answer, ours: Ours, known: Known) -> bool:
    return name.partition(":")[0] in ("oci", "dir", "docker-archive", "oci-archive") and not podman.exists


def _digest_of_a_list(name: str, podman: Answer, ours: Ours, known: Known) -> bool:
    return name.partition("@")[2] in known.list_digests and not podman.exists


def _list_passed_over(name: str, podman: Answer, ours: Ours, known: Known) -> bool:
    return name.endswith("passed:1") and not podman.exists and ours.id is not None


def _legacy(name: str, podman: Answer, ours: Ours, known: Known) -> bool:
    """podman's search by the end of a name fails at the first stored name that is no reference."""
    if not known.legacy:
        return False
    if {podman.id, ours.id} & known.legacy or podman.indescribable:
        return True
    first, slash, _ = name.partition("/")
    return podman.exists is None and ours.error != "InvalidName" and not (slash and ("." in first or ":" in first))


_ROWS: Mapping[str, Callable[[str, Answer, Ours, Known], bool]] = {
    "a bare manifest digest": _bare_digest,
    "an ambiguous id prefix": _ambiguous,
    "containers-storage: before a name": _transport,
    "a name like oci:x": _like_a_transport,
    "SHORT@DIGEST of a list": _digest_of_a_list,
    "a list without an instance here, and another image that fits": _list_passed_over,
    "names not in their full form": _legacy,
}


@contextmanager
def _environment(store: Store) -> Iterator[None]:
    """Be in the store's environment, for the daemon that is started meanwhile."""
    before = dict(os.environ)
    os.environ.pop("CONTAINERS_REGISTRIES_CONF", None)
    os.environ.update(store.environment())
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)


if __name__ == "__main__":
    sys.exit(main())
