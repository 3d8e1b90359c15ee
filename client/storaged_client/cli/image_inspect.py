"""``storagectl image inspect``: prints podman's JSON of images, members in podman's order."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..podman import image_shape
from . import exits, output
from .flags import Flag, UsageError
from .invocation import Invocation
from .lost_layers import require_layers

if TYPE_CHECKING:
    from ..contract.plain import ImageLookup

ARGUMENTS = "IMAGE [IMAGE...]"
FLAGS = (Flag("format", "Output format: json or a Go template", short="f", kind="string"),)


def run(invocation: Invocation) -> int:
    return inspect(invocation)


def inspect(invocation: Invocation, *, everything: bool = False) -> int:
    """Print the images given by name. ``everything``: podman would look for other objects, too.

    Raises:
        FormatError: ``--format`` is neither JSON nor a template.
        UsageError: no name.
        ImageDamaged: an image lacks a layer; podman then prints none of them.
    """
    options = invocation.options
    template, json = output.chosen(options.text("format"), "inspect", default_json=True)
    if template is None and not json:
        raise output.FormatError("an inspection has no table: use --format json")
    if not invocation.arguments:
        raise UsageError("no names or ids specified")
    if everything and "" in invocation.arguments:
        raise UsageError("name or ID cannot be empty")
    result = invocation.call("images.get", {"names": invocation.arguments})
    found, complaints = sort_out(result["images"], everything=everything)
    if template is None:
        output.emit(output.pretty(found, indent=5))
    elif found:
        from . import podman_structs

        output.emit_filled(template, [podman_structs.inspected(item) for item in found])
    if not complaints:
        return exits.DONE
    # As in podman, the first mistake is the error of the command, and comes after the others.
    first, *others = complaints
    output.complain("\n".join((*others, f"Error: {first}")))
    return exits.FAILED


def render(lookups: list[ImageLookup]) -> tuple[str, list[str]]:
    """The array of the images found, and a line for each name without an image."""
    found, complaints = sort_out(lookups)
    return output.pretty(found, indent=5), complaints


def sort_out(lookups: list[ImageLookup], *, everything: bool = False) -> tuple[list[dict[str, Any]], list[str]]:
    """The images found, in podman's form, and a line for each name without an image.

    Raises:
        ImageDamaged: an image lacks a layer.
    """
    found: list[dict[str, Any]] = []
    complaints: list[str] = []
    for lookup in lookups:
        if lookup["image"] is not None:
            summary = lookup["image"]["summary"]
            require_layers(summary["id"], summary["damage"])
            found.append(image_shape.describe(lookup["image"], lookup["digest"]))
            continue
        error = lookup["error"] or {"code": 0, "message": "", "data": {}}
        name = error["data"].get("name")
        if everything and name in ("ImageUnknown", "InvalidName"):
            from ..gotemplate.printf import quoted

            complaints.append(f"no such object: {quoted(lookup['name'])}")
        elif name == "ImageUnknown" or not error["message"]:
            complaints.append(f"{lookup['name']}: image not known")
        else:
            complaints.append(error["message"])
    return found, complaints
