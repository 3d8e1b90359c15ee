"""A store that the daemon, podman's service, its command line and buildah change in turn, and what it should hold."""

from __future__ import annotations

import random
import shutil
import tempfile
from collections import Counter
from pathlib import Path
from typing import Any

from attrs import define, field

from tests.support.client import Client
from tests.support.peers import Store
from tests.support.podman_service import Service
from tests.support.report import Report

from .should_be import Known, Model
from .written_store import Tables, check_files, check_lists, check_names, tables

PROGRAM = "/sbin/ldconfig"
"""A program without libraries: what an image here can run."""


def build(store: Store, text: str, *, base: Known | None = None, tag: str | None = None) -> Known:
    """podman builds an image with a file of this text; one on nothing has the program, too."""
    context = Path(tempfile.mkdtemp(dir=store.work / "context"))
    (context / "file").write_text(text)
    lines = [f"FROM {base.id if base else 'scratch'}", "COPY file /file"]
    if base is None:
        shutil.copy(PROGRAM, context / "program")
        lines.append("COPY program /program")
    (context / "Containerfile").write_text("\n".join(lines) + "\n")
    flags = ["-t", tag] if tag else []
    flags += ["-q", "--pull=never", "--isolation=chroot", "--no-cache", "--layers=false"]
    printed = store.podman("build", *flags, str(context)).split()
    shutil.rmtree(context)
    found = tables(store)
    key = printed[-1].removeprefix("sha256:")
    return Known(
        id=key,
        names=[tag] if tag else [],
        digest=found.images[key]["digest"],
        parent=base.id if base else None,
        diff_ids=found.diff_ids(key),
    )


@define(kw_only=True)
class Stage:
    """Everything a step needs, and the checks after it."""

    report: Report
    store: Store
    client: Client
    service: Service
    rng: random.Random
    model: Model = field(factory=Model)
    counts: Counter[str] = field(factory=Counter)
    number: int = 0

    def name(self, kind: str) -> str:
        """One that nothing had before."""
        self.number += 1
        return f"localhost/{kind}-{self.number}:1"

    def some_name(self) -> str | None:
        """One that some image bears."""
        names = [name for image in self.model.images.values() for name in image.names]
        return self.rng.choice(names) if names else None

    def tables(self) -> Tables:
        return tables(self.store)

    def build(self, base: Known | None = None, *, tag: str | None = None) -> Known:
        """podman builds an image of one more layer."""
        self.number += 1
        made = build(self.store, f"text {self.number} {self.rng.random()}", base=base, tag=tag)
        self.model.add(made)
        return made

    # -------------------------------------------------------------- after each change

    def check(self, where: str) -> None:
        """The files, the daemon's next answer and the next one of podman's service are what they should be."""
        found = self.tables()
        check_names(self.report, where, found, self.model)
        check_lists(self.report, where, self.store, found, self.model)
        check_files(self.report, where, self.store, found)
        self.check_ours(where)
        self.check_service(where)

    def check_ours(self, where: str) -> None:
        answer = self.client.call("images.list", all=True)
        self.report.claim(answer["stale"] is None, f"{where}: our answer is stale: {answer['stale']}")
        self.report.claim(
            [(row["id"], row["names"]) for row in answer["images"]]
            == [(image.id, image.names) for image in self.model.images.values()],
            f"{where}: images.list has other names",
        )
        ours = self.client.dangling()
        wanted = {image.id for image in self.model.images.values() if self.model.dangling(image)}
        self.report.claim(ours == wanted, f"{where}: dangling: ours {ours - wanted}, missed {wanted - ours}")

    def check_service(self, where: str) -> None:
        """podman's service keeps the tables in memory: it must read them anew after each of our changes."""
        rows = {row["Id"]: set(row.get("RepoTags") or ()) for row in self.service.images(everything=True)}
        wanted = {image.id: set(image.names) for image in self.model.images.values()}
        wrong = {key: (rows.get(key), wanted.get(key)) for key in rows.keys() | wanted.keys()}
        wrong = {key: pair for key, pair in wrong.items() if pair[0] != pair[1]}
        self.report.claim(not wrong, f"{where}: podman's service has, and should have: {wrong}")
        for image in self.model.lists:
            try:
                said: list[dict[str, Any]] = self.service.get(f"/manifests/{image.id}/json").get("manifests") or []
            except Exception as error:
                self.report.claim(False, f"{where}: podman's service cannot read list {image.id[:12]}: {error}")
                continue
            self.report.claim(
                [entry["digest"] for entry in said] == list(image.entries or ()),
                f"{where}: podman's service has {said} in list {image.id[:12]}, wanted {list(image.entries or ())}",
            )
