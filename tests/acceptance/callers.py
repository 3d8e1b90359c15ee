"""The command lines that tools run podman with, run by ``storagectl`` under the name ``podman``.

    python -m tests.acceptance.callers --seed 0 --scale 1

RamaLama (``oci_tools.py``, ``engine.py``, ``transports/oci/strategies.py``), Ansible's containers.podman
(``podman_image_lib.py``, ``podman_image_info.py``, ``podman_tag.py``, ``podman_system_info.py``), toolbox
(``podman.go``), distrobox (``providers/podman.go``) and cleaners in CI: what they ask about images and lists, with
equal standard output and equal exit status. What is not storagectl's to do ends with 125 and names podman.
"""

from __future__ import annotations

import json
import os
import random
import re
import subprocess
import sys
from collections.abc import Sequence
from typing import Any

from attrs import frozen

from tests.support.daemon import Daemon, daemon
from tests.support.peers import Peer, Store, podman_43, podman_58, workspace
from tests.support.report import Report, arguments

_STORES = 10
"""Stores at full scale, half by each podman."""

_TIMEOUT = 60

# RamaLama builds JSON from strings; the gap in the second is of a broken line in its source.
MODELS = '{"name":"oci://{{ .Repository }}:{{ .Tag }}","modified":"{{ .CreatedAt }}","size":{{ .VirtualSize }}},'
LISTS = (
    '{"name":"oci://{{ .Repository }}:{{ .Tag }}","modified":"{{ .CreatedAt }}",        "size":{{ .VirtualSize }}, '
    '"ID":"{{ .ID }}"},'
)
MODELS_OF_DOCKER = '{"name":"oci://{{ .Repository }}:{{ .Tag }}","modified":"{{ .CreatedAt }}","id":"{{ .ID }}"},'


@frozen(kw_only=True)
class Facts:
    """What is in the store."""

    names: tuple[str, ...]
    ids: tuple[str, ...]
    lists: tuple[str, ...]
    list_ids: tuple[str, ...]
    missing: str = "quay.io/no/such:v9"

    @property
    def asked(self) -> list[str]:
        """Names in the spellings a user gives to such a tool."""
        short = [name.rpartition("/")[2] for name in self.names]
        return [*self.names, *short, *self.ids, *(id_[:12] for id_ in self.ids), self.missing]


def ramalama(facts: Facts) -> list[list[str]]:
    found = [
        ["images", "--filter", "label=org.containers.type", "--format", MODELS],
        ["images", "--filter", "label=org.containers.type", "--format", MODELS_OF_DOCKER],
        ["images", "--filter", "manifest=true", "--format", LISTS],
        ["images"],
        ["images", "--noheading", "--no-trunc", "--format={{.ID}} {{.Repository}} {{.Tag}}"],
        *(["manifest", "inspect", id_[:12]] for id_ in facts.list_ids),
        *(["manifest", "inspect", name] for name in facts.lists),
        ["manifest", "inspect", facts.missing],
    ]
    for name in facts.asked:
        found += [["image", "inspect", name], ["image", "inspect", name, "--format", "{{.Size}}"], ["inspect", name]]
        found += [["image", "inspect", "--format", "{{ .Config.Labels }}", name]]
    return found


def ansible(facts: Facts) -> list[list[str]]:
    found = [
        ["image", "ls", "-q"],
        ["image", "ls", "--quiet", "--no-trunc"],
        ["image", "inspect", *facts.ids],
        ["image", "inspect", *facts.names],
        ["image", "inspect", facts.names[0], facts.missing],
    ]
    for name in facts.asked:
        found += [["image", "exists", name], ["image", "ls", "-q", name], ["image", "ls", name, "--format", "json"]]
        found += [["inspect", name, "--format", "json"]]
    return found


def toolbox(facts: Facts) -> list[list[str]]:
    level = ["--log-level", "error"]
    found = [[*level, "images", "--format", "json"]]
    for name in facts.asked:
        found += [[*level, "image", "exists", name]]
        found += [[*level, "inspect", "--format", "json", "--type", "image", name]]
    return found


def distrobox(facts: Facts) -> list[list[str]]:
    return [["inspect", "--type", "image", "--format", "json", name] for name in facts.asked]


def cleaners(facts: Facts) -> list[list[str]]:
    return [
        ["images", "-qf", "dangling=true"],
        ["images", "-q", "-f", "dangling=true"],
        ["images", "-aq"],
        ["images", "--all", "--quiet", "--no-trunc", "--filter=dangling=true"],
        ["images", "-q", "--filter", "dangling=false", "--filter", "label=org.containers.type"],
        ["image", "ls", "--filter", "until=24h"],
        ["image", "ls", "-a", "--filter", "until=1s", "--format", "{{.ID}}\t{{.Repository}}:{{.Tag}}"],
        ["image", "list", "--digests"],
        ["images", "--format", "table {{.Repository}}\t{{.Tag}}\t{{.Size}}", "--sort", "size"],
        ["images", "--filter", "reference=*ram*", "--format", "{{.Names}}"],
        ["image", "ls", "--filter", f"before={facts.names[-1]}", "--noheading"],
        ["images", "--filter", "nonsense=1"],
        ["images", "--format", "{{.Nothing}}"],
        ["images", "--nonsense"],
        *(["history", "--no-trunc", "--format", "json", name] for name in facts.names),
    ]


CALLERS = {
    "RamaLama": ramalama,
    "Ansible": ansible,
    "toolbox": toolbox,
    "distrobox": distrobox,
    "cleaners": cleaners,
}

PODMANS = (
    "pull quay.io/x/y:1",
    "push localhost/x",
    "ps -a --filter label=ai.ramalama",
    "ps -a --no-trunc --format json",
    "run --rm localhost/x",
    "build -q --no-cache -t x .",
    "create localhost/x",
    "system prune -af",
    "artifact ls --format json",
    "artifact inspect x",
    "container exists x",
    "logs x",
    "system migrate",
)
"""What these tools run besides, and storagectl leaves to podman."""

CHANGES = (
    "rmi --force x",
    "image rm x",
    "tag x y",
    "manifest annotate --annotation k=v l x",
    "manifest rm l",
)
"""What they change, on names that nothing bears; ``acceptance`` has what changes something."""


def main(argv: Sequence[str] | None = None) -> int:
    flags = arguments(__doc__ or "", argv)
    report = Report(timed=not flags.untimed)
    for number in range(max(2, round(_STORES * flags.scale))):
        peer = (podman_58, podman_43)[number % 2]()
        compare(report, peer, driver=("vfs", "overlay")[number // 2 % 2], seed=flags.seed + number)
    return report.finish()


def compare(report: Report, peer: Peer, *, driver: str = "vfs", seed: int = 0) -> None:
    """A store made by ``peer``; every command line, by both."""
    newest = not peer.version.startswith("4.")
    with workspace(peer, driver=driver) as store:
        facts = _fill(store, random.Random(seed))
        with daemon(store) as running:
            ours = _Stand(store, running)
            for caller, lines in CALLERS.items():
                where = f"{peer.name}, {driver}, seed {seed}, {caller}"
                commands = lines(facts)
                for command in commands:
                    if newest or not _changed_since_43(command, facts):
                        _compare(report, where, store, ours, command, facts, newest=newest)
                report.figure(where, f"{len(commands)} command lines")
            _usage(report, f"{peer.name}, {driver}", store, ours, newest=newest)
            _version(report, f"{peer.name}, {driver}", store, ours)
            _information(report, f"{peer.name}, {driver}", store, ours)
            for text in CHANGES:
                _compare(report, f"{peer.name}, {driver}", store, ours, text.split(), facts, newest=newest)
            for text in PODMANS:
                status, out, err = ours.run(text.split())
                held = status == 125 and not out and f"use: podman {text}" in err
                report.claim(held, f"{text}: exit {status}, {out!r}, {err!r}")
            for text in ("inspect --type container x", "--log-level error inspect --format json --type container x"):
                status, _, err = ours.run(text.split())
                use = text.removeprefix("--log-level error ")
                report.claim(status == 125 and f"use: podman {use}\n" in err, f"{text}: {status}, {err!r}")


class _Stand:
    """``storagectl`` in a folder of its own under the name ``podman``, first in PATH."""

    def __init__(self, store: Store, running: Daemon) -> None:
        folder = store.work / "stand"
        folder.mkdir()
        program = folder / "podman"
        program.write_text(
            f"#!{sys.executable}\nimport sys\nfrom storaged_client.cli.main import main\nsys.exit(main())\n"
        )
        program.chmod(0o755)
        self._environment = {
            "PATH": f"{folder}:{os.environ['PATH']}",
            "HOME": str(store.work),
            "STORAGED_SOCKET": running.path,
            "STORAGED_NO_SPAWN": "1",
        }

    def run(self, command: Sequence[str]) -> tuple[int, str, str]:
        return _run(["podman", *command], self._environment)


def _run(argv: list[str], environment: dict[str, str]) -> tuple[int, str, str]:
    # Through env: a program is looked for in the PATH of this process, not in that of its own environment.
    done = subprocess.run(
        ["env", *argv] if argv[0] == "podman" else argv,
        env=environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        timeout=_TIMEOUT,
    )
    return done.returncode, done.stdout, done.stderr


def _theirs(store: Store, command: Sequence[str]) -> tuple[int, str, str]:
    return _run(store.peer.argv(store.work, ["podman", *command]), store.environment())


def _compare(
    report: Report, where: str, store: Store, ours: _Stand, command: list[str], facts: Facts, *, newest: bool
) -> None:
    (their_status, their_out, their_err), (status, out, err) = _theirs(store, command), ours.run(command)
    report.claim(status == their_status, f"{where}: {command}: podman {their_status} {their_err!r}, {status} {err!r}")
    their, our = _comparable(command, their_out, facts), _comparable(command, out, facts)
    if not newest and isinstance(their, list):
        their, our = (
            [sorted(str(pair) for pair in row if pair[0] != "Dangling") for row in rows] for rows in (their, our)
        )
    report.claim(their == our, f"{where}: {command}: {_first(their, our)}")


def _comparable(command: Sequence[str], text: str, facts: Facts) -> Any:
    """Without ages, and without the two differences of docs/differences.md that these commands meet.

    They are the digest of a list, which podman does not renew, and the image of a row of ``history``.
    """
    if text.startswith("[") and ("images" in command or "ls" in command):
        rows = json.loads(text)
        return [_row(row, facts) for row in rows]
    if command[0] == "history":
        return [[(key, row[key]) for key in row if key not in ("id", "tags")] for row in json.loads(text)]
    text = re.sub(r"\b(?:About an? |Less than a )?(?:\d+ )?(?:second|minute|hour)s? ago\b *", "AGO ", text)
    # The heading is padded to the widest age, which may have ticked on between the two.
    text = re.sub(r"\bCREATED +", "CREATED ", text)
    if "--digests" in command:
        text = "\n".join(_without_digest(line) if "list" in line else line for line in text.split("\n"))
    return text


def _row(row: dict[str, Any], facts: Facts) -> list[tuple[str, Any]]:
    if row["Id"] not in facts.list_ids:
        return list(row.items())
    return [(key, _without_digest(str(value)) if "Digest" in key else value) for key, value in row.items()]


def _without_digest(text: str) -> str:
    return re.sub(r"sha256:[0-9a-f]{64}", "DIGEST", text)


def _first(theirs: Any, ours: Any) -> str:
    if isinstance(theirs, str) and isinstance(ours, str):
        for their, our in zip(theirs.split("\n"), ours.split("\n"), strict=False):
            if their != our:
                return f"podman {their!r}, storagectl {our!r}"
    return f"podman {theirs!r:.600}, storagectl {ours!r:.600}"


def _changed_since_43(command: Sequence[str], facts: Facts) -> bool:
    """What podman 4.3 answers in another way than 5.8, which storagectl follows.

    4.3 knows no ids in ``image ls NAME`` and shows all names of what it finds, counts the images of a list as
    dangling, and has the members of a row in another order.
    """
    named = "ls" in command and not {*command}.isdisjoint(facts.asked)
    dangling = any("dangling=" in word for word in command)
    return command[0] in ("history", "manifest") or "--sort" in command or named or dangling


def _usage(report: Report, where: str, store: Store, ours: _Stand, *, newest: bool) -> None:
    """``system df --format json``: the row of images; before 5.5 podman guessed what is shared."""
    command = ["system", "df", "--format", "json"]
    (their_status, theirs, _), (status, our, _) = _theirs(store, command), ours.run(command)
    report.claim(their_status == status == 0, f"{where}: {command}: podman {their_status}, {status}")
    if newest:
        their_row, our_row = (json.loads(text)[0] for text in (theirs, our))
        report.claim(list(their_row.items()) == list(our_row.items()), f"{where}: df: {their_row}, {our_row}")


def _version(report: Report, where: str, store: Store, ours: _Stand) -> None:
    """What RamaLama, toolbox and Ansible ask first: in podman's form, and podman 5.8's whatever podman is there."""
    for command in (
        ["version", "--format", "{{ .Client.Version }}"],
        ["--log-level", "error", "version", "--format", "json"],
        ["--version"],
    ):
        (their_status, theirs, _), (status, our, err) = _theirs(store, command), ours.run(command)
        report.claim(their_status == status == 0, f"{where}: {command}: podman {their_status}, {status} {err!r}")
        if command[-1] == "json":
            their_client, our_client = (json.loads(text)["Client"] for text in (theirs, our))
            known = set(our_client) - {"BuildOrigin"}
            report.claim(known == set(their_client) - {"BuildOrigin"}, f"{where}: {command}: {our!r}")
            for member in ("Os", "OsArch"):
                report.claim(their_client[member] == our_client[member], f"{where}: {command}: {our!r}")
            theirs, our = their_client["Version"], our_client["Version"]
        our_kind, their_kind = (re.sub(r"[\d.]+", "VERSION", text) for text in (our, theirs))
        report.claim(our_kind == their_kind, f"{where}: {command}: podman {theirs!r}, storagectl {our!r}")
        if not store.peer.version.startswith("4."):
            our_number, their_number = (re.findall(r"\d+\.\d+", text)[:1] for text in (our, theirs))
            report.claim(our_number == their_number, f"{where}: {command}: podman {theirs!r}, storagectl {our!r}")


def _information(report: Report, where: str, store: Store, ours: _Stand) -> None:
    """``info --format json``: the members of ``store`` that a storage daemon can know."""
    for command in (["info", "--format", "json"], ["system", "info", "--format", "json"]):
        (their_status, theirs, _), (status, our, _) = _theirs(store, command), ours.run(command)
        report.claim(their_status == status == 0, f"{where}: {command}: podman {their_status}, {status}")
        their_store, our_store = (json.loads(text)["store"] for text in (theirs, our))
        # podman leaves configFile out where it is named by the environment.
        differing = set(our_store) ^ set(their_store)
        report.claim(differing <= {"configFile", "transientStore"}, f"{where}: members of store: {differing}")
        for member in ("graphDriverName", "graphRoot", "runRoot", "imageStore"):
            same = their_store[member] == our_store[member]
            report.claim(same, f"{where}: {member}: podman {their_store[member]}, storagectl {our_store[member]}")


def _fill(store: Store, rng: random.Random) -> Facts:
    """A model as RamaLama makes it (raw, with a list around it), a toolbox image, a child, a second name, leftovers."""
    word = f"w{rng.randrange(10**6)}"
    raw, box = "org.containers.type=ai.image.model.raw", "com.github.containers.toolbox=true"
    model = store.build(f"model {word}", tag=f"localhost/ram/{word}:latest", label=raw)
    tool = store.build(f"tool {word}", tag=f"quay.io/box/{word}-tool:39", label=box)
    store.podman("tag", tool, f"localhost/{word}-box:latest")
    child = store.build(f"child {word}", tag=f"localhost/{word}-child:v1", base=f"localhost/ram/{word}:latest")
    loose = [store.build(f"loose {number} {word}", label="org.containers.type=x") for number in range(2)]
    lists = (f"localhost/ram/{word}-list:latest", f"localhost/{word}-empty-list:1")
    list_ids = [store.podman("manifest", "create", name).split()[-1] for name in lists]
    store.podman("manifest", "add", lists[0], f"containers-storage:{loose[0]}")
    digest = json.loads(store.podman("manifest", "inspect", lists[0]))["manifests"][0]["digest"]
    notes = ("--annotation", "org.cncf.model=true", "--annotation", "org.opencontainers.image.title=<x>&y")
    store.podman("manifest", "annotate", *notes, lists[0], digest)
    names = (
        f"localhost/ram/{word}:latest",
        f"quay.io/box/{word}-tool:39",
        f"localhost/{word}-box:latest",
        f"localhost/{word}-child:v1",
    )
    return Facts(names=names, ids=(model, tool, child, *loose), lists=lists, list_ids=tuple(list_ids))


if __name__ == "__main__":
    sys.exit(main())
