"""``storagectl image inspect``: podman's JSON of images, members in podman's order."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from . import exits, measures, names, output
from .flags import Flag, UsageError
from .invocation import Invocation
from .lost_layers import require_layers

if TYPE_CHECKING:
    from .wire import HistoryEntry, ImageDetails, ImageLookup

ARGUMENTS = "IMAGE [IMAGE...]"
FLAGS = (Flag("format", "Output format: json or a Go template", short="f", kind="string"),)

# The members of the OCI image configuration in the order of its Go struct; docker's further ones are not shown.
_CONFIG = (
    *("User", "ExposedPorts", "Env", "Entrypoint", "Cmd", "Volumes", "WorkingDir"),
    *("Labels", "StopSignal", "ArgsEscaped"),
)
_SORTED = ("ExposedPorts", "Volumes", "Labels")
_HEALTH = ("Test", "StartPeriod", "StartInterval", "Interval", "Timeout", "Retries")
"""In the order of podman's Go struct."""


def run(invocation: Invocation) -> int:
    return inspect(invocation)


def inspect(invocation: Invocation, *, everything: bool = False) -> int:
    """Print the images that the arguments name. ``everything``: podman would look for other objects, too.

    Raises:
        FormatError: ``--format`` is neither JSON nor a template.
        UsageError: no name.
        ImageDamaged: an image lacks a layer; then podman prints none of them.
    """
    options = invocation.options
    template = output.template(options.text("format"), "inspect")
    if template is None and not output.json_wanted(options.text("format"), default=True):
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
    # As podman: the first mistake is the error of the command, and comes after the others.
    first, *others = complaints
    output.complain("\n".join((*others, f"Error: {first}")))
    return exits.FAILED


def render(lookups: list[ImageLookup]) -> tuple[str, list[str]]:
    """The array of what was found, and a line for each name that was not."""
    found, complaints = sort_out(lookups)
    return output.pretty(found, indent=5), complaints


def sort_out(lookups: list[ImageLookup], *, everything: bool = False) -> tuple[list[dict[str, Any]], list[str]]:
    """What was found, in podman's form, and a line for each name that was not.

    Raises:
        ImageDamaged: an image lacks a layer.
    """
    found: list[dict[str, Any]] = []
    complaints: list[str] = []
    for lookup in lookups:
        if lookup["image"] is not None:
            summary = lookup["image"]["summary"]
            require_layers(summary["id"], summary["damage"])
            found.append(describe(lookup["image"], lookup["digest"]))
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


def describe(details: ImageDetails, digest: str | None = None) -> dict[str, Any]:
    """One image in podman's form; ``digest`` is the one its name means, where that is known."""
    image = details["summary"]
    given = details["config"] or {}
    config = {key: value for key in _CONFIG if (value := given.get(key))}
    for key in _SORTED:
        if isinstance(config.get(key), dict):
            config[key] = dict(sorted(config[key].items()))
    labels = _labels(given.get("Labels"))
    if labels:
        config["Labels"] = labels
    created = details["created"]
    absent = details["absent"]
    rootfs_type = details["rootfs_type"]
    history = [_entry(entry) for entry in details["history"]]
    result: dict[str, Any] = {
        "Id": image["id"],
        "Digest": digest or image["digest"] or "",
        "RepoTags": [name for name in image["names"] if names.split(name)[1] != names.NONE],
        "RepoDigests": names.repository_digests(image["names"], image["digests"]),
        "Parent": image["parent"] or "",
        "Comment": details["comment"] or "",
        "Created": measures.rfc3339(created, fraction=True) if created is not None else None,
        "Config": config,
        "Version": details["docker_version"] or "",
        "Author": details["author"] or "",
        "Architecture": image["architecture"] or "",
        "Os": image["os"] or "",
        "Size": image["size"],
        "VirtualSize": image["size"],
        "GraphDriver": {"Name": details["driver"], "Data": dict(sorted(details["driver_data"].items())) or None},
        "RootFS": {
            "Type": "layers" if rootfs_type is None else rootfs_type,
            "Layers": None if "diff_ids" in absent else details["diff_ids"],
        },
        "Labels": labels,
        "Annotations": dict(sorted(details["annotations"].items())),
        "ManifestType": details["manifest_type"] or "",
        "User": config.get("User", ""),
        "History": None if "history" in absent else history,
        "NamesHistory": image["names_history"] or None,
    }
    if isinstance(details["healthcheck"], dict):
        check = details["healthcheck"]
        result["Healthcheck"] = {key: value for key in _HEALTH if (value := check.get(key))}
    if image["damage"]:
        result["Damage"] = image["damage"]
    return result


def _labels(labels: Any) -> dict[str, Any] | None:
    """As Go reads a map of strings: null values are empty ones."""
    if not isinstance(labels, dict):
        return None
    return {key: "" if value is None else value for key, value in sorted(labels.items())}


def _entry(entry: HistoryEntry) -> dict[str, Any]:
    members = ("created", "created_by", "author", "comment", "empty_layer")
    present: dict[str, Any] = {**entry}
    result = {member: present[member] for member in members if present.get(member)}
    if "created" in result:
        result["created"] = measures.rfc3339(result["created"], fraction=True)
    return result
