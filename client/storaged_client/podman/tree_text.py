"""podman's text of ``image tree`` (5.8): lines of a forest, with the images of each top layer."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from . import measures, names

if TYPE_CHECKING:
    from ..contract.plain import ImageTree


class Node:
    """A line, and the lines below it."""

    __slots__ = ("below", "text")

    def __init__(self, text: str) -> None:
        self.text = text
        self.below: list[Node] = []


def lines(tree: ImageTree, *, requires: bool = False, full: bool = False) -> list[str]:
    """podman's lines, even where it draws a child on the level of its parent: a layer without siblings does not nest.

    ``tree`` is the result of ``images.tree``; with ``requires`` that of ``what_requires``.
    """
    root = Node("")
    places: dict[str, Node] = {}
    for layer in tree["layers"]:
        above = places.get(layer["parent"] or "", root) if requires else root
        bearing = [tag for image in layer["images"] for tag in tags(image["names"])]
        top = f" Top Layer of: [{' '.join(dict.fromkeys(bearing))}]" if bearing else ""
        node = Node(f"ID: {short(layer['id'], full=full)} Size: {measures.brief(layer['size'], 4):>7}{top}")
        above.below.append(node)
        places[layer["id"]] = node if layer["siblings"] else above
    return [*head(tree, full=full), *drawn(root.below, ""), ""]


def head(tree: ImageTree, *, full: bool) -> list[str]:
    """The lines above the layers."""
    return [
        f"Image ID: {short(tree['id'], full=full)}",
        f"Tags:     [{' '.join(tags(tree['names']))}]",
        f"Size:     {measures.brief(tree['size'], 4)}",
        "Image Layers" if tree["top_layer"] else "No Image Layers",
    ]


def drawn(nodes: Sequence[Node], before: str) -> list[str]:
    """The lines of a forest; without recursion, because a chain may have thousands of links."""
    lines: list[str] = []
    waiting = [(node, before, node is nodes[-1]) for node in reversed(nodes)]
    while waiting:
        node, indent, last = waiting.pop()
        lines.append(f"{indent}{'└── ' if last else '├── '}{node.text}")
        indent += "    " if last else "│   "
        waiting += [(below, indent, below is node.below[-1]) for below in reversed(node.below)]
    return lines


def tags(all_names: Sequence[str]) -> list[str]:
    """The names that have a tag, as podman prints them."""
    pairs = [names.split(name) for name in all_names]
    return [f"{repository}:{tag}" for repository, tag in pairs if tag != names.NONE]


def short(id_: str, *, full: bool) -> str:
    """An id as it is printed."""
    return id_ if full else id_[:12]
