"""podman's lines for changes, scene by scene, and what storagectl answers otherwise on purpose.

A line whose answer differs on purpose says what storagectl answers, and why; docs/differences.md says so, too.
"""

from __future__ import annotations

from typing import Any

from attrs import frozen


@frozen(kw_only=True)
class Line:
    """One command line. ``{name}`` stands for an id of ``Twins.ids``."""

    argv: tuple[str, ...]
    typed: str = ""
    """What is given on standard input."""
    messages: bool = True
    """Whether standard error is the same, too."""
    ordered: bool = True
    """Whether the lines of standard output come in the same order."""
    ours: tuple[int, str] | None = None
    """Status and output of storagectl where they differ on purpose."""
    why: str = ""
    apart: bool = False
    """The stores differ afterwards, on purpose: the last line of its scene."""
    peers: tuple[str, ...] = ("podman-4.3", "podman-5.8")


def line(text: str, **members: Any) -> Line:
    return Line(argv=tuple(text.split()), **members)


NONE = "sha256:" + "0" * 64
OWN_WORDS = "our words say what to do next"

TAGS = [
    line("tag"),
    line("tag a:1"),
    line("tag a:1 x localhost/y:2"),
    line("tag {a} quay.io/ns/a:v1"),
    line("tag nope z"),
    line("tag a:1 UPPER", messages=False, why=OWN_WORDS),
    line(f"tag a:1 {NONE}"),
    line(f"tag a:1 b@{NONE}"),
    line("tag b:1 y:2"),
    line("tag b:1 b:1"),
    line("tag a:1 ns/name"),
    line("tag a:1 docker.io/one"),
    line("untag"),
    line("untag nope"),
    line("untag a:1 zz", messages=False, why=OWN_WORDS),
    line("untag a:1 x"),
    line(f"untag a:1 {NONE}"),
    line("untag b:1"),
    line("untag b:1"),
    line("untag {b}"),
    line("tag {b} b:1"),
    line("untag --all"),
    line("image tag c:1 c:2 c:3"),
    line("image untag c:1 c:1 c:3"),
    line(
        "untag c:2 c:1 c:2", messages=False, ours=(125, ""), why="several names are one change: all or none", apart=True
    ),
]

REMOVALS = [
    line("rmi"),
    line("image rm"),
    line("rmi -a x"),
    line("rmi nope"),
    line("rmi nope nope2"),
    line("rmi -i nope"),
    line("rmi -f nope"),
    line("rmi --foo"),
    line("tag a:1 a:2"),
    line("rmi {a}", messages=False, why=OWN_WORDS),
    line("rmi {a} b:1 nope", messages=False, why=OWN_WORDS),
    line("rmi sha256:{a}", messages=False, why=OWN_WORDS),
    line("rmi a:2"),
    line("rmi d:1", messages=False, why=OWN_WORDS),
    line("rmi d:1 nope", messages=False, why=OWN_WORDS),
    line("rmi d:1 nope {d}", messages=False, why=OWN_WORDS),
    line("rmi e:1", messages=False, why=OWN_WORDS),
    line("tag a:1 a:3"),
    line("rmi a:1 a:3 a:1"),
    line("rmi {loose0} {loose0}"),
    line("tag c:1 c:2"),
    line("rmi -f {c}", ordered=False, why="before podman 5 the newest name was the last"),
    line("rmi -f e:1"),
    line("image rm {loose1} {loose2}"),
    line("rmi -f d:1", messages=False, ours=(2, ""), why="podman's containers are podman's to remove", apart=True),
]

PRUNES = [
    line("image prune x", messages=False, why="the program's name"),
    line("image prune", typed="n\n"),
    line("image prune", typed="\n"),
    line("image prune -a", typed="n\n"),
    line("image prune --external", typed="N\n"),
    line("image prune -a --filter label=x", typed="n\n"),
    line("image prune"),
    line("image prune -fx"),
    line("image prune -f --filter x"),
    line("image prune -f --filter foo=x", messages=False, why="4.3 has other words"),
    line("image prune -f --filter label=none"),
    line("tag {loose0} kept:1"),
    line("image prune", typed="yes\n", ordered=False, why="the order is ours: descendants first"),
    line("image prune -f"),
    line("image prune -af", ordered=False),
    line("image prune -f --external"),
    line("image prune -af --external", ordered=False),
    line("image prune -af --external"),
]

LISTS = [
    line("manifest create"),
    line("manifest create l"),
    line("manifest create l", messages=False, why=OWN_WORDS),
    line("manifest create --amend l"),
    line("manifest create --amend a:1", messages=False, why=OWN_WORDS),
    line("manifest create a:1", messages=False, why=OWN_WORDS),
    line("manifest create l2 containers-storage:{a} containers-storage:{b}"),
    line("manifest add l containers-storage:{a}"),
    line("manifest add l"),
    line("manifest add nope containers-storage:{a}", messages=False),
    line("manifest add a:1 containers-storage:{a}"),
    line("manifest add l containers-storage:nope", messages=False, why=OWN_WORDS),
    line("manifest add l containers-storage:{c} containers-storage:{b}"),
    line("manifest annotate l {digest_l_0} --arch arm64 --annotation a=b"),
    line(f"manifest annotate l {NONE} --arch arm64", messages=False, why=OWN_WORDS),
    line("manifest annotate", peers=("podman-5.8",)),
    line("manifest annotate l", peers=("podman-5.8",)),
    line("manifest annotate --index --annotation x=y l", peers=("podman-5.8",)),
    line("manifest annotate --index --arch x l", peers=("podman-5.8",)),
    line(
        "manifest inspect l",
        peers=("podman-5.8",),
        why="4.3 keeps the docker form, with annotations it has no place for",
    ),
    line("manifest remove l"),
    line("manifest remove l {digest_l_0}"),
    line(f"manifest remove l {NONE}", messages=False, why=OWN_WORDS),
    line(f"manifest remove nope {NONE}", messages=False),
    line("manifest inspect l", peers=("podman-5.8",)),
    line("manifest remove l b:1", ours=(0, "ID\n"), why="an entry may be named by its image"),
    line("tag l l:second"),
    line("manifest rm"),
    line("manifest rm l:second"),
    line("manifest rm a:1"),
    line("manifest rm nope"),
    line("manifest rm --ignore nope", peers=("podman-5.8",)),
    line("manifest rm nope l2"),
    line("manifest rm l"),
]

FAMILIES = [
    line("image prune -f --filter label=none"),
    line("rmi x:2"),
    line("rmi --no-prune z:2"),
    line("rmi {z1}"),
    line("untag y:2"),
    line("rmi {y1}", ours=(0, "Deleted: {y1}\n"), why="what had children is deleted, and told"),
    line("image prune -f", ordered=False),
    line("rmi f:1"),
    line("image prune -af", ordered=False),
    line("images -a -q --no-trunc", ordered=False),
]

SCENES = {"tags": TAGS, "removals": REMOVALS, "prunes": PRUNES, "lists": LISTS, "families": FAMILIES}
