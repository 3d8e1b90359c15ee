"""podman's ``inspect`` of an image, members in podman's order (5.8, ``inspect.ImageData``)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from . import measures, names

if TYPE_CHECKING:
    from ..contract.plain import HistoryEntry, ImageDetails

# The members of the OCI image configuration in the order of its Go struct; docker's further ones are not shown.
_CONFIG = (
    *("User", "ExposedPorts", "Env", "Entrypoint", "Cmd", "Volumes", "WorkingDir"),
    *("Labels", "StopSignal", "ArgsEscaped"),
)
_SORTED = ("ExposedPorts", "Volumes", "Labels")
_HEALTH = ("Test", "StartPeriod", "StartInterval", "Interval", "Timeout", "Retries")
"""In the order of podman's Go struct."""


def describe(details: ImageDetails, digest: str | None = None) -> dict[str, Any]:
    """One image in podman's form; ``digest`` is the one its name refers to, if that is known."""
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
    """As Go reads a map of strings: null values become empty ones."""
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
