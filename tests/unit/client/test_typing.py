"""What ``mypy --strict`` says of programs that use the package: nothing of a right one, each mistake of a wrong one."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

import storaged_client

RIGHT = """
from datetime import datetime
import storaged_client
from storaged_client import ImageUnknown, OutcomeUnknown, Progress, types


def told(progress: Progress) -> None:
    print(progress.done)


def use(names: list[str], generation: str | None) -> None:
    with storaged_client.connect(spawn=True, timeout=3) as store:
        image: types.ImageDetails = store.images.get("x")
        when: datetime = image.summary.created
        rows: types.ImageList = store.images.list({"dangling": True, "label!": ["a", "b=c"]}, fields=("id",))
        row: types.ImageSummary = rows[0]
        some: tuple[types.ImageSummary, ...] = rows[1:]
        found: dict[types.ImageSummary, object] = {one: one.to_dict() for one in rows}
        several: types.ImageDetailsList = store.images.get(names)
        store.images.get(("a", "b")), store.images.get({"a", "b"})
        maybe: types.Why | types.Unchanged = store.images.why("x", if_generation=generation)
        surely: types.Why = store.images.why("x", True, consistency="strict")
        store.images.list(["dangling=true", "id=x"], sort="created")
        store.images.list(names)
        store.images.prune(dry_run=True, progress=told)
        store.manifests.add("l", "i", platform={"architecture": "arm64"}, annotations={"a": "b"})
        store.manifests.list(["instances"])
        with open("x", "rb") as file:
            store.manifests.add("l", artifact={"layers": [{"file": file}, {"data": b"x", "title": "t"}]}, progress=told)
        check: types.CheckReport = store.check("contents", progress=told)
        usage: types.StoreUsage = store.usage()
        print(when, row, some, found, several, maybe, surely, check, usage)


async def use_async() -> None:
    async with storaged_client.aconnect() as store:
        try:
            image: types.ImageDetails = await store.images.get("x")
            report: types.PruneReport = await store.images.remove(["x"], force=True, progress=told)
            usage: types.StoreUsage = await store.usage(timeout=3)
        except (ImageUnknown, storaged_client.NameInUse, OutcomeUnknown) as error:
            print(error, image, report, usage)
"""

WRONG = """
import storaged_client
from storaged_client import ImageUnknwon  # attr-defined
def sync(store: storaged_client.Client) -> None:
    storaged_client.NameInUsed  # attr-defined
    store.images.lst()  # attr-defined
    store.images.get("x").images  # attr-defined
    store.images.get(3)  # call-overload
    store.images.get()  # call-overload
    store.images.remove("abc")  # arg-type
    store.images.tag("a", "b")  # arg-type
    store.images.list("dangling=true")  # call-overload
    store.images.list(fields="id")  # call-overload
    store.images.list(al=True)  # call-overload
    store.images.list(sort="colour")  # call-overload
    store.images.remove(["a"], forced=True)  # call-arg
    store.images.tag("a", ["b"], if_generation="g")  # call-arg
    store.images.list(progress=print)  # call-overload
    store.images.prune(progress=3)  # arg-type
    store.images.why("x", consistency="eventual")  # call-overload
    store.images.why("x", if_generation="g").reasons  # union-attr
    store.manifests.list(["instance"])  # list-item
    store.manifests.add("l", platform={"arch": "arm64"})  # arg-type
    store.manifests.add("l", artifact={"layer": []})  # arg-type
    store.check(scope="all")  # call-overload
    store.images.list()[0].created_at  # attr-defined
async def awaited(store: storaged_client.AsyncClient) -> None:
    await store.images.remove("abc")  # arg-type
    store.images.list().images  # attr-defined
    await store.images.get("x", fresh=True)  # call-overload
    (await store.refresh()).images  # attr-defined
"""


@pytest.mark.timeout(180)
def test_mypy_finds_each_mistake_and_nothing_else(tmp_path: Path) -> None:
    pytest.importorskip("mypy")
    (tmp_path / "right.py").write_text(RIGHT)
    (tmp_path / "wrong.py").write_text(WRONG)
    argv = [sys.executable, "-m", "mypy", "--strict", "--config-file=", "--cache-dir=cache", "right.py", "wrong.py"]
    path = str(Path(storaged_client.__file__).parents[1])
    done = subprocess.run(
        argv, cwd=tmp_path, env={**os.environ, "MYPYPATH": path}, capture_output=True, text=True, check=False
    )
    found = re.findall(r"^(\w+)\.py:(\d+): error: .*\[([a-z-]+)\]$", done.stdout, re.MULTILINE)
    wanted = [
        ("wrong", str(number), line.partition("# ")[2])
        for number, line in enumerate(WRONG.splitlines(), 1)
        if "# " in line
    ]
    assert list(dict.fromkeys(found)) == wanted, done.stdout + done.stderr
