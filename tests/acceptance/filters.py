"""podman 5.8 and storaged asked for the same images by hundreds of random filters, over stores of every shape.

    python -m tests.acceptance.filters --seed 0 --scale 1

Both must list the same images, in the same order, with the same names, or both refuse. A disagreement counts unless it
is a deliberate one (``filter_rows``), and how often each occurred is printed. What only the command does (its argument,
its sorts) is asked of both commands.
"""

from __future__ import annotations

import json
import random
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from typing import Any

from storaged.sample import SHAPES, Sample, SampleSpec, SampleWriter, write_store
from tests.support.client import Client, RpcError
from tests.support.daemon import Daemon, daemon
from tests.support.peers import Peer, Store, ToolError, podman_58, workspace
from tests.support.podman_service import Service, service
from tests.support.report import Report, arguments

from .filter_questions import Question, questions
from .filter_rows import Again, Answer, Known, row_of

STORES = 500
QUESTIONS = 250
"""Of each store, at full scale."""

COMMANDS = 12
SORTS = ("created", "id", "repository", "size", "tag")
STABLE_ROWS = 12
"""Go's ``sort.Slice`` keeps the order of equal rows up to so many, and not beyond."""

ODD_LABELS: tuple[dict[str, str], ...] = (
    {"a": "b", "io.x/team": "core", "": "empty key"},
    {"a": "", "a/b*c": "star", "maintainer": "A <a@b.c>"},
    {"k=v": "equals", "build.id": "a=b=c", "ünï": "cödé"},
    {},
)
ODD_NAMES: tuple[tuple[str, ...], ...] = (
    ("quay.io/ns/foo:v1", "localhost/other:1", "quay.io/ns/foo:v2", "quay.io/ns/foo@{digest}"),
    ("localhost:5000/a/b/c:latest", "docker.io/library/foo:v1", "docker.io/ns/foo:v1"),
    ("quay.io/localhost.x/foo:1", "localhost.x/foo:2"),
    ("registry.example/a_b/c.d--e:V1.0_x", "localhost/foo:latest"),
)


def main(argv: Sequence[str] | None = None) -> int:
    flags = arguments(__doc__ or "", argv)
    report = Report(timed=not flags.untimed)
    excused: Counter[str] = Counter()
    peer = podman_58()
    for seed in range(flags.seed, flags.seed + max(2, round(STORES * flags.scale))):
        excused += compare(report, peer, seed=seed, asked=QUESTIONS, commands=COMMANDS)
    report.figure("questions and commands", report.held + len(report.violations))
    for row, times in sorted(excused.items()):
        report.figure(f"deliberately different, {row}", times)
    return report.finish()


def compare(report: Report, peer: Peer, *, seed: int, asked: int, commands: int) -> Counter[str]:
    """One store; returns how often each deliberate difference occurred."""
    rng = random.Random(seed)
    shape: Any = "realistic" if rng.random() < 0.8 else rng.choice(SHAPES)
    driver: Any = rng.choice(("vfs", "overlay"))
    size = rng.randint(8, 60)
    read_only = size // 5 if shape == "realistic" and rng.random() < 0.5 else 0
    excused: Counter[str] = Counter()
    with workspace(peer, driver=driver, additional=bool(read_only)) as store:
        # podman's service, unlike its command, looks at the folders of an overlay layer.
        contents: Any = "files" if driver == "overlay" else "none"
        spec = SampleSpec(
            images=size,
            seed=seed,
            shape=shape,
            driver=driver,
            containers=size // 6,
            read_only=read_only,
            contents=contents,
        )
        sample = write_store(
            store.graphroot, store.runroot, spec, additional=store.additional[0] if read_only else None
        )
        records = _add_odd(store, rng)
        where = f"seed {seed}, {shape}, {size} images, {driver}"
        with service(store) as theirs, daemon(store) as ours, ours.client() as client:
            known = _known(sample, theirs)
            whole, told = ask_ours(client, Question(filters=(), all=True)), 0
            again = Again(
                podman=lambda question: ask_podman(theirs, question),
                resolve=lambda digest: _resolved(client, digest),
            )
            for question in questions(rng, records, asked):
                podman, found = ask_podman(theirs, question), ask_ours(client, question)
                row = None if podman == found else row_of(question, podman, found, known, again)
                excused.update([row] if row else [])
                told += podman == found and bool(found) and found != whole
                report.claim(
                    podman == found or row is not None,
                    f"{where}: {question}: {_difference(podman, found)}",
                )
            report.claim(
                told > asked // 10, f"{where}: only {told} of {asked} questions have an answer worth comparing"
            )
            for _ in range(commands):
                compare_command(report, where, store, ours, rng, known)
    return excused


def ask_podman(theirs: Service, question: Question) -> Answer:
    try:
        rows = theirs.get("/images/json", all=str(question.all).lower(), filters=json.dumps(question.by_key()))
    except ToolError:
        return None
    return tuple((str(row["Id"]), tuple(row.get("Names") or ())) for row in rows)


def ask_ours(client: Client, question: Question) -> Answer:
    try:
        rows = client.images(filters=question.texts(), all=question.all, fields=["id", "names"])
    except RpcError as error:
        if error.name != "InvalidParams":
            raise
        return None
    return tuple((str(row["id"]), tuple(row["names"])) for row in rows)


def _resolved(client: Client, digest: str) -> str:
    try:
        return str(client.call("images.resolve", name=digest)["id"])
    except RpcError:
        return digest


def compare_command(report: Report, where: str, store: Store, ours: Daemon, rng: random.Random, known: Known) -> None:
    """``images`` with a name, or sorted: rows that are equal to the sort keep the order of the store."""
    everything = [name for names in known.names.values() for name in names]
    arguments = ["images", "--no-trunc", "--noheading"]
    sort = rng.choice(SORTS)
    few = rng.sample(sorted(known.names), min(5, len(known.names)))
    match rng.randrange(4):
        case 0:
            arguments += ["--sort", sort, "-a"]
        case 1:
            arguments += ["--sort", sort, "-a", *(flag for each in few for flag in ("--filter", f"reference={each}"))]
        case 2 if everything:
            name = rng.choice(everything)
            arguments += ["--sort", sort, rng.choice((name, name.rpartition("/")[2], name.partition(":")[0], "*foo*"))]
        case _:
            arguments += ["--sort", sort, "--filter", rng.choice(("intermediate=true", "manifest=true", "label=a"))]
    theirs, mine = _printed(store.podman(*arguments)), _printed(ours.storagectl(*arguments))
    shown = {names[0] for names in (known.names[image] for _, _, image in mine) if names}
    if any(repository == "<none>" and known.names[image] for repository, _, image in theirs):
        return  # the instance of a list of that name, see _ROWS
    copied = {image for _, _, image in mine if known.sample.images.count(image) > 1}
    if set(theirs) < set(mine) and all(image in copied for _, _, image in set(mine) - set(theirs)):
        return  # a copy in the other store, which does not bear the name asked for, keeps its own
    held = sorted(theirs) == sorted(mine)
    if held and len(mine) <= STABLE_ROWS:
        held = theirs == mine
    elif held:
        keys = {"id": 2, "repository": 0, "tag": 1}
        if sort in keys:
            held = [row[keys[sort]] for row in theirs] == [row[keys[sort]] for row in mine]
        elif sort == "created":
            seconds = [[known.created[image] for _, _, image in rows] for rows in (theirs, mine)]
            held = seconds[0] == seconds[1] or any(len(each) > 1 for each in seconds[0])
    report.claim(held, f"{where}: {' '.join(arguments)} ({len(shown)} named): podman {theirs[:5]}, storaged {mine[:5]}")


def _printed(table: str) -> list[tuple[str, str, str]]:
    rows = [line.split()[:3] for line in table.splitlines()]
    return [(repository, tag, image.removeprefix("sha256:")) for repository, tag, image in rows]


def _known(sample: Sample, theirs: Service) -> Known:
    names: dict[str, tuple[str, ...]] = {}
    created: dict[str, frozenset[str]] = {}
    for row in theirs.images(everything=True):
        names[row["Id"]] = names.get(row["Id"], ()) + tuple(row.get("Names") or ())
        created[row["Id"]] = created.get(row["Id"], frozenset()) | {str(row["Created"])}
    return Known(sample=sample, names=names, created=created)


def _add_odd(store: Store, rng: random.Random) -> list[dict[str, Any]]:
    """Add odd images, lists of them, and mix all times; returns the records of both stores."""
    writer = SampleWriter(store.graphroot, store.runroot, store.driver)
    odd = [
        writer.add_image(f"odd {names}", names=names[:1], labels=labels)
        for names, labels in zip(ODD_NAMES, ODD_LABELS, strict=True)
    ]
    table = store.graphroot / f"{store.driver}-images" / "images.json"
    digests = {record["id"]: record["digest"] for record in json.loads(table.read_text())}
    for image, names in zip(odd, ODD_NAMES, strict=True):
        chosen = [name.format(digest=digests[image]) for name in names]
        writer.set_names(image, rng.sample(chosen, rng.randint(1, len(chosen))))
    writer.create_list("localhost/list-of-odd:1", rng.sample(odd, 2))
    writer.create_list(None, rng.sample(odd, 1))
    records: list[dict[str, Any]] = json.loads(table.read_text())
    moments = list(_moments(rng))
    for record in records:
        if rng.random() < 0.7:
            record["created"] = rng.choice(moments)
    table.write_text(json.dumps(records))
    for additional in store.additional:
        records += json.loads((additional / f"{store.driver}-images" / "images.json").read_text())
    return records


def _moments(rng: random.Random) -> Iterator[str]:
    """Times, some of them the same second or the same instant written otherwise."""
    day = datetime(2026, rng.randint(1, 12), rng.randint(1, 28), rng.randrange(24), tzinfo=UTC)
    yield f"{day:%Y-%m-%dT%H:%M:%S}Z"
    yield f"{day:%Y-%m-%dT%H:%M:%S}.000000001Z"
    yield f"{day:%Y-%m-%dT%H:%M:%S}.9Z"
    yield f"{day:%Y-%m-%dT%H:%M:%S}+02:00"
    yield f"{day:%Y-%m-%dT%H:%M:%S}-00:30"
    yield f"{day:%Y-%m-%d}T00:00:00+00:00"
    yield from ("0001-01-01T00:00:00Z", "1969-12-31T23:59:59.5Z", "2100-01-01T00:00:00Z", "2020-02-29T12:00:00.25Z")


def _difference(podman: Answer, ours: Answer) -> str:
    if podman is None or ours is None:
        return ", ".join(
            f"{who} {'refuses' if found is None else f'lists {len(found)}'}"
            for who, found in (("podman", podman), ("storaged", ours))
        )
    only = [row for row in podman if row not in ours][:3], [row for row in ours if row not in podman][:3]
    return f"only podman {only[0]}, only storaged {only[1]}" if any(only) else "another order"


if __name__ == "__main__":
    sys.exit(main())
