"""``storagectl tree``: the layers of an image, or all that stands on it; podman's text in a pipe."""

from __future__ import annotations

from typing import TYPE_CHECKING

from . import exits, measures, names, output, terminal
from .flags import FORMAT, NO_TRUNC, QUIET, Flag
from .invocation import Invocation
from .lost_layers import require_layers

if TYPE_CHECKING:
    from .wire import ImageTree, TreeImage, TreeLayer

ARGUMENTS = "IMAGE"
FLAGS = (Flag("whatrequires", "Show all child images and layers of the specified image"), FORMAT, QUIET, NO_TRUNC)


class Node:
    """A line, and the lines below it."""

    __slots__ = ("below", "text")

    def __init__(self, text: str) -> None:
        self.text = text
        self.below: list[Node] = []


def run(invocation: Invocation) -> int:
    options = invocation.options
    template = output.template(options.text("format"), "tree")
    json = template is None and output.json_wanted(options.text("format"))
    name = invocation.one_argument()
    requires = options.on("whatrequires")
    tree = invocation.call("images.tree", {"name": name, "what_requires": requires})
    full = options.on("no-trunc")
    require_layers(tree["id"], tree["damage"])
    if options.on("quiet"):
        output.emit("".join(f"{_short(layer['id'], full)}\n" for layer in tree["layers"]))
    elif template is not None:
        from . import rows

        columns = {
            "ID": _short(tree["id"], full),
            "Tags": _tags(tree["names"]),
            "Size": measures.brief(tree["size"], 4),
        }
        output.emit_filled(template, [rows.struct(tree, columns)], {})
    elif json:
        output.emit(output.pretty(tree))
    elif terminal.wanted():
        output.emit(paint(tree, full=full))
    else:
        output.emit(render(tree, requires=requires, full=full))
    return exits.DONE


def render(tree: ImageTree, *, requires: bool = False, full: bool = False) -> str:
    """podman's text, also where it draws a child on the level of its parent: a layer without siblings does not nest."""
    root = Node("")
    places: dict[str, Node] = {}
    for layer in tree["layers"]:
        above = places.get(layer["parent"] or "", root) if requires else root
        tags = [tag for image in layer["images"] for tag in _tags(image["names"])]
        top = f" Top Layer of: [{' '.join(dict.fromkeys(tags))}]" if tags else ""
        node = Node(f"ID: {_short(layer['id'], full)} Size: {measures.brief(layer['size'], 4):>7}{top}")
        above.below.append(node)
        places[layer["id"]] = node if layer["siblings"] else above
    lines = [*_head(tree, full), *_drawn(root.below, "")]
    return "".join(f"{output.printable(line)}\n" for line in (*lines, ""))


def paint(tree: ImageTree, *, full: bool = False) -> str:
    """For a terminal: true nesting, sizes in a column, every image of a layer, containers."""
    layers = tree["layers"]
    above = {layer["id"] for layer in layers}
    forks = {layer["parent"] for layer in layers if layer["siblings"]}
    root = Node("")
    places: dict[str, Node] = {}
    for layer in layers:
        parent = layer["parent"] if layer["parent"] in above else None
        node = Node("\t".join((_short(layer["id"], full), measures.brief(layer["size"], 4), _bearers(layer))))
        # A chain stays flat as long as it is clear what each layer stands on.
        place = places[parent] if parent is not None else root
        place.below.append(node)
        alone = parent is None or not layer["siblings"]
        places[layer["id"]] = place if alone and layer["id"] not in forks else node
    drawn = [line.partition("\t") for line in _drawn(root.below, "")]
    width = max((len(left) for left, _, _ in drawn), default=0)
    head = [terminal.paint(output.printable(line), terminal.BOLD) for line in _head(tree, full)]
    lines = []
    for left, _, rest in drawn:
        size, _, bearers = map(output.printable, rest.partition("\t"))
        branch = left.rpartition(" ")
        lines.append(
            f"{terminal.paint(branch[0] + branch[1], terminal.DIM)}{branch[2]}{' ' * (width - len(left))}"
            f"  {terminal.paint(f'{size:>8}', terminal.CYAN)}  {terminal.paint(bearers, terminal.GREEN)}"
        )
    return "".join(f"{line.rstrip()}\n" for line in (*head, *lines))


def _head(tree: ImageTree, full: bool) -> list[str]:
    return [
        f"Image ID: {_short(tree['id'], full)}",
        f"Tags:     [{' '.join(_tags(tree['names']))}]",
        f"Size:     {measures.brief(tree['size'], 4)}",
        "Image Layers" if tree["top_layer"] else "No Image Layers",
    ]


def _drawn(nodes: list[Node], before: str) -> list[str]:
    """The lines of a forest; without recursion, for a chain may have thousands of links."""
    lines: list[str] = []
    waiting = [(node, before, node is nodes[-1]) for node in reversed(nodes)]
    while waiting:
        node, indent, last = waiting.pop()
        lines.append(f"{indent}{'└── ' if last else '├── '}{node.text}")
        indent += "    " if last else "│   "
        waiting += [(below, indent, below is node.below[-1]) for below in reversed(node.below)]
    return lines


def _bearers(layer: TreeLayer) -> str:
    parts = [_bearer(image) for image in layer["images"]]
    parts += [f"container {container[:12]}" for container in layer["containers"]]
    return ", ".join(parts)


def _bearer(image: TreeImage) -> str:
    return " ".join(_tags(image["names"])) or f"{names.NONE} {image['id'][:12]}"


def _tags(all_names: list[str]) -> list[str]:
    pairs = [names.split(name) for name in all_names]
    return [f"{repository}:{tag}" for repository, tag in pairs if tag != names.NONE]


def _short(id_: str, full: bool) -> str:
    return id_ if full else id_[:12]
