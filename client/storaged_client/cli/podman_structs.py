"""podman's Go structs for ``--format``, made from the wire's values.

Names, order and types of the fields are those of podman 5.8: ``images.imageReporter`` around ``entities.ImageSummary``,
``inspect.ImageData``, ``define.Info``. Names that are methods there come after the fields.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from ..gotemplate.times import Duration, Time
from ..gotemplate.values import NilMap, NilSlice, Struct, known
from ..podman import measures, names
from . import output

if TYPE_CHECKING:
    from ..contract.plain import ImageSummary

IMAGE_TITLES = {"ID": "IMAGE ID", "ReadOnly": "R/O"}
"""Titles of a table of images that differ from the field's name."""

_FIELDS = {
    "ParentId": "parent",
    "RepoDigests": "digests",
    "Labels": "labels",
    "Containers": "containers",
    "Dangling": "dangling",
    "Digest": "digest",
    "History": "names_history",
    "Arch": "architecture",
    "Os": "os",
    "IsManifestList": "manifest_list",
}
_WHOLE = re.compile(r"(?<![\w.)])\.(?![A-Za-z_])|\$(?!\w)|ImageSummary")


def image_fields(form: str) -> list[str]:
    """The members of a listed image that a template may use, besides those that every listing has."""
    if _WHOLE.search(form):
        return sorted(set(_FIELDS.values()))
    return sorted({field for name, field in _FIELDS.items() if f".{name}" in form})


def image(given: ImageSummary, repository: str, tag: str, created: int, now: float, *, full: bool) -> Struct:
    """A row of ``images``. Members that were not requested are empty."""
    members: dict[str, Any] = {**given}
    summary = {
        "ID": given["id"],
        "ParentId": members.get("parent") or "",
        "RepoTags": given["names"] or NilSlice(),
        "RepoDigests": names.repository_digests(given["names"], members.get("digests") or []),
        "Created": created,
        "Size": known(given["size"]),
        "SharedSize": 0,
        "VirtualSize": known(given["size"]),
        "Labels": _strings(members.get("labels")),
        "Containers": members.get("containers") or 0,
        "ReadOnly": given["read_only"],
        "Dangling": members.get("dangling") or False,
        # podman leaves these three empty in a listing; a template that names one gets the real value.
        "Arch": "",
        "Digest": members.get("digest") or "",
        "History": members.get("names_history") or NilSlice(),
        "IsManifestList": None,
        "Names": given["names"] or NilSlice(),
        "Os": "",
    }
    encoded = {"Id": summary.pop("ID"), **summary}
    for name in ("ReadOnly", "Dangling", "Arch", "Digest", "History", "IsManifestList", "Names", "Os"):
        if not encoded[name]:
            del encoded[name]
    fields = {"ID": given["id"], **summary}
    whole = Struct("entities.ImageSummary", fields, encoded=encoded)
    instant = measures.utc(created).replace("T", " ").replace("Z", " +0000 UTC")
    age = measures.age(given["created"], now)
    methods = {
        "ID": output.identifier(given["id"], full),
        "Id": given["id"],
        "IsReadOnly": given["read_only"],
        "Created": age,
        "CreatedSince": age,
        "CreatedAt": instant,
        "CreatedTime": instant,
        "Size": measures.size(given["size"]),
        "History": ", ".join(members.get("names_history") or ()),
        "Arch": members.get("architecture") or "",
        "Os": members.get("os") or "",
        "IsManifestList": bool(members.get("manifest_list")),
    }
    own = {"Repository": repository, "Tag": tag}
    methods["Damage"] = given["damage"]["name"] if given["damage"] else ""
    return Struct(
        "images.imageReporter",
        {**own, "ImageSummary": whole, **fields, **methods},
        printed=(*own, "ImageSummary"),
        encoded={"repository": repository, "tag": tag, **encoded},
    )


def inspected(described: Mapping[str, Any]) -> Struct:
    """An image of ``inspect``, made from its JSON.

    It has both of podman's spellings: ``.Id`` and ``.ID``, ``.HealthCheck`` and ``.Healthcheck``, also in ``.Config``
    where Docker has it.
    """
    health = _health(described.get("Healthcheck"))
    history = [_history(entry) for entry in described["History"] or ()]
    fields = {
        **described,
        "Created": _time(described["Created"]) if described["Created"] is not None else None,
        "Size": known(described["Size"]),
        "VirtualSize": known(described["VirtualSize"]),
        "RepoTags": described["RepoTags"] or NilSlice(),
        "RepoDigests": described["RepoDigests"] or NilSlice(),
        "Config": _config(described["Config"], health),
        "GraphDriver": _driver(described["GraphDriver"]),
        "RootFS": _rootfs(described["RootFS"]),
        "Labels": _strings(described["Labels"]),
        "History": NilSlice() if described["History"] is None else history,
        "NamesHistory": described["NamesHistory"] or NilSlice(),
        "HealthCheck": health,
    }
    fields.pop("Healthcheck", None)
    printed = tuple(fields)
    spellings = {**fields, "ID": described["Id"], "Healthcheck": health}
    # As `inspect` prints it: no member more or less, and empty members are not null here.
    empty = ("RepoTags", "RepoDigests")
    encoded = {name: described[name] if name in empty else spellings[name] for name in described}
    return Struct("*inspect.ImageData", spellings, printed=printed, encoded=encoded)


def information(form: Mapping[str, Any]) -> Struct:
    """``info``: podman's ``.Store`` with Go's names, and ``.Storaged`` with the names of ``server.info``."""
    store = _capitalized("*define.StoreInfo", form["store"])
    storaged = Struct("ServerInfo", form["storaged"])
    encoded = {"store": store, "storaged": storaged, "log": form["log"]}
    return Struct("define.Info", {"Store": store, "Storaged": storaged, "Log": form["log"]}, encoded=encoded)


def _capitalized(go_type: str, members: Mapping[str, Any]) -> Struct:
    fields: dict[str, Any] = {}
    for name, value in members.items():
        if isinstance(value, Mapping):
            value = _capitalized(f"define.{name[0].upper()}{name[1:]}", value)
        elif value is None and name in ("graphOptions", "graphStatus"):
            value = NilMap()
        fields[name[0].upper() + name[1:]] = value
    return Struct(go_type, fields, encoded=members)


def _config(config: Mapping[str, Any], health: Struct | None) -> Struct:
    fields = {
        "User": config.get("User", ""),
        "ExposedPorts": _keys(config.get("ExposedPorts")),
        "Env": config.get("Env") or NilSlice(),
        "Entrypoint": config.get("Entrypoint") or NilSlice(),
        "Cmd": config.get("Cmd") or NilSlice(),
        "Volumes": _keys(config.get("Volumes")),
        "WorkingDir": config.get("WorkingDir", ""),
        "Labels": _strings(config.get("Labels")),
        "StopSignal": config.get("StopSignal", ""),
        "ArgsEscaped": config.get("ArgsEscaped", False),
    }
    printed = tuple(fields)
    return Struct("*v1.ImageConfig", {**fields, "Healthcheck": health}, printed=printed, encoded=config)


def _driver(driver: Mapping[str, Any]) -> Struct:
    data = _strings(driver["Data"])
    return Struct("*inspect.DriverData", {**driver, "Data": data}, encoded=driver)


def _health(check: Any) -> Struct | None:
    if not isinstance(check, dict):
        return None
    spans = ("StartPeriod", "StartInterval", "Interval", "Timeout")
    fields: dict[str, Any] = {"Test": check.get("Test") or NilSlice()}
    for name in spans:
        span = check.get(name)
        fields[name] = Duration(span if isinstance(span, int) else 0)
    fields["Retries"] = check.get("Retries", 0)
    return Struct("*manifest.Schema2HealthConfig", fields, encoded=check)


def _rootfs(rootfs: Mapping[str, Any]) -> Struct:
    layers = NilSlice() if rootfs["Layers"] is None else rootfs["Layers"]
    return Struct("*inspect.RootFS", {**rootfs, "Layers": layers})


def _history(entry: Mapping[str, Any]) -> Struct:
    created = entry.get("created")
    fields = {
        "Created": _time(created) if created else None,
        "CreatedBy": entry.get("created_by", ""),
        "Author": entry.get("author", ""),
        "Comment": entry.get("comment", ""),
        "EmptyLayer": entry.get("empty_layer", False),
    }
    return Struct("v1.History", fields, encoded=entry)


def _time(text: str) -> Time | str:
    try:
        return Time(text)
    except ValueError:
        return text


def _strings(labels: Any) -> dict[str, Any]:
    return labels if isinstance(labels, dict) else NilMap()


def _keys(members: Any) -> dict[str, Any]:
    """A Go set: a map to empty structs."""
    if not isinstance(members, dict):
        return NilMap()
    return {key: Struct("struct {}", {}) for key in members}
