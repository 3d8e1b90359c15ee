"""``df``, ``tree`` and ``history`` beside podman 5.8 on generated stores and on stores made by real tools.

    python -m tests.acceptance.usage --seed 0 --scale 1

Image rows of ``df`` and ``df -v``, its JSON, both trees and the histories are podman's, but that a row of a history
bears the image the build had made by then, where podman shows the first image on the layer. The sizes of containers
are those of ``podman ps --size`` and the drivers' own count.
"""

from __future__ import annotations

import json
import os
import random
import re
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from storaged.sample import SampleSpec, write_store
from tests.support.daemon import Daemon, daemon
from tests.support.peers import Peer, Store, ToolError, podman_43, podman_58, workspace
from tests.support.report import Report, arguments

from .differential import make_real

_STORES = 20
"""Generated stores at full scale."""

_LOOKS = 25
"""Images of one store whose tree and history are compared."""


def main(argv: Sequence[str] | None = None) -> int:
    flags = arguments(__doc__ or "", argv)
    report = Report(timed=not flags.untimed)
    for number in range(max(1, round(_STORES * flags.scale))):
        compare_generated(report, podman_58(), seed=flags.seed + number)
    for peer in (podman_43(), podman_58()):
        for driver in ("vfs", "overlay"):
            compare_real(report, peer, driver=driver, seed=flags.seed)
            unrecorded(report, peer, driver=driver)
    return report.finish()


def compare_generated(report: Report, peer: Peer, *, seed: int, images: int = 60) -> None:
    """A generated store, as podman and as storaged see it."""
    driver: Any = ("vfs", "overlay")[seed % 2]
    read_only = images // 10 if seed % 3 == 0 else 0
    with workspace(peer, driver=driver, additional=bool(read_only)) as store:
        spec = SampleSpec(images=images, seed=seed, driver=driver, containers=3, read_only=read_only)
        write_store(store.graphroot, store.runroot, spec, additional=store.additional[0] if read_only else None)
        store.podman("images", "-q")
        with daemon(store) as ours:
            _compare(report, f"generated, seed {seed}, {driver}", store, ours, newest=True)


def compare_real(report: Report, peer: Peer, *, driver: str, seed: int) -> None:
    """A store made by podman and buildah, with files in containers' layers and in a volume."""
    with workspace(peer, driver=driver) as store:
        make_real(store, random.Random(seed))
        store.podman("volume", "create", "vol")
        folder = Path(store.podman("volume", "inspect", "vol", "--format", "{{.Mountpoint}}").strip())
        (folder / "file").write_bytes(b"v" * 4321)
        for number, layer in enumerate(_bare_layers(store)):
            _write(store, layer, 2000 + number)
        newest = not peer.version.startswith("4.")
        if newest:  # 4.3 counts a container's layer alone
            _keep_files(store)
        where = f"made by {peer.name}, {driver}"
        with daemon(store) as ours:
            _compare(report, where, store, ours, newest=newest)
            printed = store.podman("ps", "-a", "--size", "--format", "{{.ID}} {{.Size}}").split("\n")
            rows = {row["id"][:12]: row["size"] for row in _usage(ours)["containers"]}
            volumes = _usage(ours)["volumes"]
        for line in filter(None, printed):
            container, size = line.split(" ", 1)
            theirs = size.partition(" (")[0]
            ours_text = f"{rows[container] / 1000:.3g}kB"
            report.claim(theirs == ours_text, f"{where}: container {container}: podman {theirs}, storaged {ours_text}")
        report.claim(volumes == [{"name": "vol", "size": 4321}], f"{where}: volumes {volumes}")


def unrecorded(report: Report, peer: Peer, *, driver: str) -> None:
    """An image's layer whose record lost digest and size: podman tells the image's size by diffing (in ``tree``)."""
    with workspace(peer, driver=driver) as store:
        store.build("base", tag="localhost/base:1")
        store.build("above " * 500, tag="localhost/above:1", base="localhost/base:1")
        table = store.graphroot / f"{driver}-layers" / "layers.json"
        rows = json.loads(table.read_text())
        row = next(row for row in rows if row.get("parent"))
        row.pop("diff-digest")
        recorded = row.pop("diff-size")
        table.write_text(json.dumps(rows))
        (table.parent / "layers.lock").write_bytes(os.urandom(64))
        theirs = _line(store.podman("image", "tree", "localhost/above:1"), "Size:")
        with daemon(store) as ours, ours.client() as client:
            before = client.call("images.list")
            generation = before["generation"]
            while before["sizes_pending"]:
                before = client.call("images.list")
            report.claim(before["sizes_pending"] == 0, "sizes stay pending")
            layers = {layer["id"]: layer["size"] for layer in client.call("layers.list")["layers"]}
            mine = _line(ours.storagectl("image", "tree", "localhost/above:1"), "Size:")
        where = f"{peer.name}, {driver}, a layer without a size"
        report.figure(where, f"recorded {recorded}, measured {layers[row['id']]}, generation {generation} on")
        report.claim(layers[row["id"]] == 3000, f"{where}: {layers[row['id']]} bytes, not 3000")
        report.claim(theirs == mine, f"{where}: podman {theirs}, storaged {mine}")


def _compare(report: Report, where: str, store: Store, ours: Daemon, *, newest: bool) -> None:
    ids = [row["Id"] for row in json.loads(store.podman("images", "-a", "--format", "json"))]
    report.figure(where, f"{len(set(ids))} images")
    if newest:
        # Before 5.5 podman guessed what is shared from parents and children.
        for command in (("system", "df"), ("system", "df", "--format", "json"), ("system", "df", "-v")):
            theirs, mine = (_image_rows(each(*command)) for each in (store.podman, ours.storagectl))
            report.claim(theirs == mine, f"{where}: {' '.join(command)}: {_first(theirs, mine)}")
    # podman shows containers' layers with the size recorded, which is none; storaged as measured.
    known = "|".join(layer[:12] for layer in _bare_layers(store))
    bare = re.compile(rf"(ID: (?:{known}) Size:) .*") if known else re.compile("(?!)()")
    for image in sorted(set(ids))[:_LOOKS]:
        for command in (("image", "tree"), ("image", "tree", "--whatrequires")):
            theirs, mine = (_asked(each, *command, image) for each in (store.podman, ours.storagectl))
            theirs, mine = ([bare.sub(r"\1", line) for line in text] for text in (theirs, mine))
            report.claim(theirs == mine, f"{where}: {' '.join(command)} {image[:12]}: {_first(theirs, mine)}")
        command = ("history", "--no-trunc", "-H=false", image)
        theirs, mine = (_asked(each, *command) for each in (store.podman, ours.storagectl))
        theirs, mine = ([_without_id(line) for line in text] for text in (theirs, mine))
        report.claim(theirs == mine, f"{where}: history {image[:12]}: {_first(theirs, mine)}")


_REFUSALS = (
    ("image not known", "image not known"),
    # A list whose instance here is a list again, in podman's words and in ours.
    ("choosing image instance: no image found", "no instance with a configuration"),
    ("fetching target platform image selected from", "no instance with a configuration"),
    ("has no configuration that could be read", "no instance with a configuration"),
)


def _asked(ask: Any, *command: str) -> list[str]:
    try:
        return list(ask(*command).split("\n"))
    except (ToolError, RuntimeError) as error:
        return [next((meaning for words, meaning in _REFUSALS if words in str(error)), str(error))]


def _image_rows(text: str) -> list[str]:
    """What concerns images, without ages: of a table its lines up to the containers, of JSON its first object."""
    rows = text.partition("Containers")[0].replace("\t", " ").split("\n")
    age = re.compile(r"(Less than a second|About an? \w+|\d+ (?:second|minute|hour|day|week|month|year)s?) +")
    return [re.sub(r"  +", "  ", age.sub("AGE  ", row)) for row in rows]


def _without_id(line: str) -> str:
    """The id apart, and sizes as 5.x writes them (4.3 has a space before the unit)."""
    return re.sub(r" +", " ", re.sub(r"(\d) ([kMG]?B)\b", r"\1\2", line.partition(" ")[2])).strip()


def _first(theirs: Sequence[str], mine: Sequence[str]) -> str:
    for their, our in zip(theirs, mine, strict=False):
        if their != our:
            return f"podman {their!r}, storaged {our!r}"
    return f"podman {len(theirs)} lines, storaged {len(mine)}"


def _line(text: str, start: str) -> str:
    return next(line for line in text.split("\n") if line.startswith(start))


def _usage(ours: Daemon) -> dict[str, Any]:
    """The usage once every size is known."""
    with ours.client() as client:
        while True:
            found = client.call("store.usage")
            sizes = [row["size"] for part in ("containers", "volumes") for row in found[part] or ()]
            if not found["sizes_pending"] and None not in sizes:
                return found


def _bare_layers(store: Store) -> list[str]:
    """Layers whose records have no digest: those of containers."""
    folder = store.graphroot / f"{store.driver}-layers"
    tables = [folder / "layers.json", folder / "volatile-layers.json"]
    rows = [row for table in tables if table.exists() for row in json.loads(table.read_text())]
    return [row["id"] for row in rows if not row.get("diff-digest")]


def _keep_files(store: Store) -> None:
    """Files, in a folder too, beside each container: in the graphroot and in the runroot."""
    for number, (container, _) in enumerate(sorted(_containers(store).items())):
        for root, size in ((store.graphroot, 1000 + number), (store.runroot, 300)):
            folder = root / f"{store.driver}-containers" / container / "userdata" / "more"
            folder.mkdir(parents=True)
            (folder / "file").write_bytes(b"k" * size)


def _containers(store: Store) -> dict[str, Any]:
    folders = [root / f"{store.driver}-containers" for root in (store.graphroot, store.runroot)]
    tables = [folder / name for folder in folders for name in ("containers.json", "volatile-containers.json")]
    return {row["id"]: row for table in tables if table.exists() for row in json.loads(table.read_text())}


def _write(store: Store, layer: str, size: int) -> None:
    """Files, a folder, a link and a second name in a container's layer: ``size`` and 703 bytes."""
    root = store.graphroot / ("overlay" if store.driver == "overlay" else "vfs/dir") / layer
    if store.driver == "overlay":
        root /= "diff"
    (root / "new").write_bytes(b"n" * size)
    (root / "folder").mkdir()
    (root / "folder" / "x").write_bytes(b"1" * 700)
    (root / "soft").symlink_to("new")
    (root / "hard").hardlink_to(root / "new")


if __name__ == "__main__":
    sys.exit(main())
