"""``storagectl inspect``: podman's JSON of images, members in podman's order."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from . import exits, names, output
from .flags import Flag, UsageError
from .invocation import Invocation

if TYPE_CHECKING:
    from .wire import Details, History, Lookup

ARGUMENTS = "IMAGE [IMAGE...]"
FLAGS = (
    Flag("format", "Output format: json or a Go template", short="f", kind="string"),
    Flag("size", "Accepted for podman's sake: an image always shows its size", short="s"),
    Flag("type", "Type of object: image (default image)", short="t", kind="string"),
)

# The members of the OCI image configuration in the order of its Go struct; docker's further ones are not shown.
_CONFIG = (
    *("User", "ExposedPorts", "Env", "Entrypoint", "Cmd", "Volumes", "WorkingDir"),
    *("Labels", "StopSignal", "ArgsEscaped"),
)
_SORTED = ("ExposedPorts", "Volumes", "Labels")


def run(invocation: Invocation) -> int:
    options = invocation.options
    template = output.template(options.text("format"), "inspect")
    if template is None and not output.json_wanted(options.text("format"), default=True):
        raise output.FormatError("an inspection has no table: use --format json")
    kind = options.text("type") or "image"
    if kind not in ("image", "all"):
        raise UsageError(f"storagectl knows images only; use: podman inspect --type {kind}")
    if not invocation.arguments:
        raise UsageError("no names or ids specified")
    result = invocation.call("images.get", {"names": invocation.arguments})
    found, complaints = sort_out(result["images"])
    if template is None:
        output.emit(output.pretty(found, indent=5))
    elif found:
        from . import podman_structs

        output.emit_filled(template, [podman_structs.inspected(item) for item in found])
    if not complaints:
        return exits.DONE
    # As podman: the first mistake is the error of the command, those after it come before.
    *others, first = reversed(complaints)
    output.complain("\n".join((*others, f"Error: {first}")))
    return exits.FAILED


def render(lookups: list[Lookup]) -> tuple[str, list[str]]:
    """The array of what was found, and a line for each name that was not."""
    found, complaints = sort_out(lookups)
    return output.pretty(found, indent=5), complaints


def sort_out(lookups: list[Lookup]) -> tuple[list[dict[str, Any]], list[str]]:
    """What was found, in podman's form, and a line for each name that was not."""
    found: list[dict[str, Any]] = []
    complaints: list[str] = []
    for lookup in lookups:
        if lookup["image"] is not None:
            found.append(describe(lookup["image"]))
            continue
        error = lookup["error"] or {"code": 0, "message": "", "data": {}}
        unknown = error["data"].get("name") == "ImageUnknown" or not error["message"]
        complaints.append(f"{lookup['name']}: image not known" if unknown else error["message"])
    return found, complaints


def describe(details: Details) -> dict[str, Any]:
    """One image in podman's form."""
    image = details["summary"]
    config = {key: value for key in _CONFIG if (value := (details["config"] or {}).get(key))}
    for key in _SORTED:
        if isinstance(config.get(key), dict):
            config[key] = dict(sorted(config[key].items()))
    result: dict[str, Any] = {
        "Id": image["id"],
        "Digest": image["digest"] or "",
        "RepoTags": [name for name in image["names"] if names.split(name)[1] != names.NONE],
        "RepoDigests": names.repository_digests(image["names"], image["digests"]),
        "Parent": image["parent"] or "",
        "Comment": details["comment"] or "",
        "Created": image["created"],
        "Config": config,
        "Version": details["docker_version"] or "",
        "Author": details["author"] or "",
        "Architecture": image["architecture"] or "",
        "Os": image["os"] or "",
        "Size": image["size"],
        "VirtualSize": image["size"],
        "GraphDriver": {"Name": details["driver"], "Data": dict(sorted(details["driver_data"].items())) or None},
        "RootFS": {"Type": "layers", "Layers": details["diff_ids"]},
        "Labels": config.get("Labels"),
        "Annotations": dict(sorted(details["annotations"].items())),
        "ManifestType": details["manifest_type"] or "",
        "User": config.get("User", ""),
        "History": [_entry(entry) for entry in details["history"]] or None,
        "NamesHistory": image["names_history"],
    }
    if details["healthcheck"]:
        result["Healthcheck"] = details["healthcheck"]
    if image["damage"]:
        result["Damage"] = image["damage"]
    return result


def _entry(entry: History) -> dict[str, Any]:
    members = ("created", "created_by", "author", "comment", "empty_layer")
    present: dict[str, Any] = {**entry}
    return {member: present[member] for member in members if present.get(member)}
