"""``system/df`` of both trees, and ``system/check``.

Containers are storage containers of every tool; only podman knows what runs in them and what uses a volume. A size that
is not known is 0: the API has no null for it.

Source: podman ``pkg/api/handlers/compat/system.go``, ``libpod/system.go``, and the wire.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator, Mapping
from typing import Any, Final

from storaged.gateway.answers import Answer, Streamed, json_answer
from storaged.gateway.context import Context
from storaged.gateway.errors import ApiError
from storaged.gateway.image_rows import unix_seconds
from storaged.gateway.request import Request
from storaged_client.podman import measures, names

_HARM: Final = frozenset({"fatal", "damage"})
_ROOMS: Final = {"layer": "Layers", "image": "Images", "container": "Containers"}
_ZERO: Final = "0001-01-01T00:00:00Z"
_DURATION: Final = re.compile(r"[+-]?(?:0|(?:(?:\d+\.?\d*|\.\d+)(?:ns|us|µs|μs|ms|s|m|h))+)")


async def disk_usage(context: Context, request: Request) -> Answer:
    """``system/df``."""
    usage = await context.store.call(request, "store.usage", {})
    if request.libpod:
        return json_answer(_libpod(usage))
    return json_answer(_docker(usage, virtual=request.below(1, 44)))


def _libpod(usage: Mapping[str, Any]) -> dict[str, Any]:
    images = [
        {
            "Repository": repository,
            "Tag": tag,
            "ImageID": image["id"],
            "Created": measures.rfc3339(image["created"] or _ZERO, fraction=True),
            "Size": image["size"] or 0,
            "SharedSize": image["shared"] or 0,
            "UniqueSize": image["unique"] or 0,
            "Containers": image["containers"],
        }
        for image, repository, tag in _named(usage)
    ]
    containers = [
        {
            "ContainerID": container["id"],
            "Image": container["image"] or "",
            "Command": [],
            "LocalVolumes": 0,
            "Size": container["size"] or 0,
            "RWSize": container["size"] or 0,
            "Created": measures.rfc3339(container["created"] or _ZERO, fraction=True),
            "Status": "",
            "Names": ",".join(container["names"]),
        }
        for container in usage["containers"]
    ]
    volumes = [
        {"VolumeName": volume["name"], "Links": 0, "Size": volume["size"] or 0, "ReclaimableSize": 0}
        for volume in usage["volumes"] or ()
    ]
    return {
        "ImagesSize": usage["images_size"] or 0,
        "Images": images,
        "Containers": containers,
        "Volumes": volumes,
    }


def _docker(usage: Mapping[str, Any], *, virtual: bool) -> dict[str, Any]:
    images = []
    for image, _, tag in _named(usage):
        row: dict[str, Any] = {
            "Containers": image["containers"],
            "Created": unix_seconds(image["created"]),
            "Id": image["id"],
            "Labels": {},
            "ParentId": "",
            "RepoDigests": None,
            "RepoTags": [tag],
            "SharedSize": image["shared"] or 0,
            "Size": image["size"] or 0,
        }
        if virtual and image["shared"]:
            row["VirtualSize"] = image["shared"]
        images.append(row)
    containers = [
        {
            "Id": container["id"],
            "Names": [",".join(container["names"])],
            "Image": container["image"] or "",
            "ImageID": "",
            "Command": "",
            "Created": unix_seconds(container["created"]),
            "Ports": None,
            "SizeRw": container["size"] or 0,
            "SizeRootFs": container["size"] or 0,
            "Labels": {},
            "State": "",
            "Status": "",
            "HostConfig": {},
            "NetworkSettings": None,
            "Mounts": None,
        }
        for container in usage["containers"]
    ]
    volumes = [
        {
            "Driver": "",
            "Labels": {},
            "Mountpoint": "",
            "Name": volume["name"],
            "Options": None,
            "Scope": "local",
            "UsageData": {"RefCount": 1, "Size": volume["size"] or 0},
        }
        for volume in usage["volumes"] or ()
    ]
    return {
        "LayersSize": usage["images_size"] or 0,
        "Images": images,
        "Containers": containers,
        "Volumes": volumes,
        "BuildCache": [],
    }


def _named(usage: Mapping[str, Any]) -> Iterator[tuple[Mapping[str, Any], str, str]]:
    """One row for each name of an image, with repository and tag."""
    for image in usage["images"]:
        for repository, tag in [names.split(name) for name in image["names"]] or [(names.NONE, names.NONE)]:
            yield image, repository, tag


async def check(context: Context, request: Request) -> Answer | Streamed | None:
    """``system/check``: the findings of ``store.check``. Only podman can repair."""
    query = request.query
    age = query.text("unreferenced_layer_max_age")
    if age and not _DURATION.fullmatch(age):
        cause = f'time: invalid duration "{age}"'
        raise ApiError(400, f'failed to parse unreferenced_layer_max_age parameter "{age}": {cause}', cause)
    if query.flag("repair") or query.flag("repair_lossy"):
        return await context.pass_on(request)
    scope = "files" if query.flag("quick") else "contents"
    report = await context.store.call(request, "store.check", {"scope": scope})
    found: defaultdict[str, dict[str, list[str]]] = defaultdict(dict)
    harmed = False
    for finding in report["findings"]:
        room = _ROOMS.get(finding["kind"])
        if finding["severity"] not in _HARM:
            continue
        harmed = True
        if room is not None:
            room = f"RO{room}" if finding["store"] and room != "Containers" else room
            text = f"{finding['kind']} {finding['id']}: {finding['detail']}"
            found[room].setdefault(finding["id"], []).append(text)
    parts = ("Layers", "ROLayers", "RemovedLayers", "Images", "ROImages", "RemovedImages", "Containers")
    made: dict[str, Any] = {"Errors": harmed}
    made.update((part, found.get(part)) for part in (*parts, "RemovedContainers"))
    return json_answer(made)
