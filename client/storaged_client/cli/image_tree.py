"""``storagectl tree``: the layers of an image, or all layers on top of it; in a pipe, podman's text."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..podman import measures, names, tree_text
from . import exits, output, terminal
from .flags import FORMAT, NO_TRUNC, QUIET, Flag
from .invocation import Invocation
from .lost_layers import require_layers

if TYPE_CHECKING:
    from ..contract.plain import ImageTree, TreeImage, TreeLayer

ARGUMENTS = "IMAGE"
FLAGS = (Flag("whatrequires", "Show all child images and layers of the specified image"), FORMAT, QUIET, NO_TRUNC)


def run(invocation: Invocation) -> int:
    options = invocation.options
    template, json = output.chosen(options.text("format"), "tree")
    name = invocation.one_argument()
    requires = options.on("whatrequires")
    tree = invocation.call("images.tree", {"name": name, "what_requires": requires})
    full = options.on("no-trunc")
    require_layers(tree["id"], tree["damage"])
    if options.on("quiet"):
        output.emit("".join(f"{tree_text.short(layer['id'], full=full)}\n" for layer in tree["layers"]))
    elif template is not None:
        from . import rows

        columns = {
            "ID": tree_text.short(tree["id"], full=full),
            "Tags": tree_text.tags(tree["names"]),
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
    """podman's text."""
    lines = tree_text.lines(tree, requires=requires, full=full)
    return "".join(f"{output.printable(line)}\n" for line in lines)


def paint(tree: ImageTree, *, full: bool = False) -> str:
    """For a terminal: real nesting, sizes in a column, every image of a layer, containers."""
    layers = tree["layers"]
    above = {layer["id"] for layer in layers}
    forks = {layer["parent"] for layer in layers if layer["siblings"]}
    root = tree_text.Node("")
    places: dict[str, tree_text.Node] = {}
    for layer in layers:
        parent = layer["parent"] if layer["parent"] in above else None
        node = tree_text.Node(
            "\t".join((tree_text.short(layer["id"], full=full), measures.brief(layer["size"], 4), _bearers(layer)))
        )
        # A chain stays flat as long as it is clear what each layer is based on.
        place = places[parent] if parent is not None else root
        place.below.append(node)
        alone = parent is None or not layer["siblings"]
        places[layer["id"]] = place if alone and layer["id"] not in forks else node
    drawn = [line.partition("\t") for line in tree_text.drawn(root.below, "")]
    width = max((len(left) for left, _, _ in drawn), default=0)
    head = [terminal.paint(output.printable(line), terminal.BOLD) for line in tree_text.head(tree, full=full)]
    lines = []
    for left, _, rest in drawn:
        size, _, bearers = map(output.printable, rest.partition("\t"))
        branch = left.rpartition(" ")
        lines.append(
            f"{terminal.paint(branch[0] + branch[1], terminal.DIM)}{branch[2]}{' ' * (width - len(left))}"
            f"  {terminal.paint(f'{size:>8}', terminal.CYAN)}  {terminal.paint(bearers, terminal.GREEN)}"
        )
    return "".join(f"{line.rstrip()}\n" for line in (*head, *lines))


def _bearers(layer: TreeLayer) -> str:
    parts = [_bearer(image) for image in layer["images"]]
    parts += [f"container {container[:12]}" for container in layer["containers"]]
    return ", ".join(parts)


def _bearer(image: TreeImage) -> str:
    return " ".join(tree_text.tags(image["names"])) or f"{names.NONE} {image['id'][:12]}"
