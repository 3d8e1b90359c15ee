"""Docker's ``inspect`` of an image, made from podman's.

Source: podman ``pkg/api/handlers/utils/images.go`` (``ImageDataToImageInspect``), 5.8, and the wire.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

_CONFIG: Final = (
    *("User", "ExposedPorts", "Env", "Entrypoint", "Cmd", "Volumes", "WorkingDir"),
    *("Labels", "StopSignal"),
)
_NO_TAG: Final = "0001-01-01T00:00:00Z"


def docker_inspect(image: Mapping[str, Any], *, virtual: bool, container: bool) -> dict[str, Any]:
    """Turn ``image``, podman's own ``inspect``, into Docker's; the flags add members that clients of older versions
    get."""
    config = {name: image["Config"][name] for name in _CONFIG if name in image["Config"]}
    made: dict[str, Any] = {
        "Id": f"sha256:{image['Id']}",
        "RepoTags": image["RepoTags"],
        "RepoDigests": image["RepoDigests"],
        "Parent": image["Parent"],
        "Comment": image["Comment"],
        "Created": image["Created"] or _NO_TAG,
    }
    if container:
        made["ContainerConfig"] = _container(image["Id"])
    made |= {
        "DockerVersion": image["Version"],
        "Author": image["Author"],
        "Config": config,
        "Architecture": image["Architecture"],
        "Os": image["Os"],
    }
    if image["Version"]:
        made["OsVersion"] = image["Version"]  # as in podman
    made["Size"] = image["Size"] or 0
    if virtual:
        made["VirtualSize"] = image["Size"] or 0
    driver = image["GraphDriver"]
    rootfs = image["RootFS"]
    made |= {
        "GraphDriver": {"Data": driver["Data"], "Name": driver["Name"]},
        "RootFS": {"Type": rootfs["Type"]} | ({"Layers": rootfs["Layers"]} if rootfs["Layers"] else {}),
        "Metadata": {"LastTagTime": _NO_TAG},
    }
    return made


def _container(image_id: str) -> dict[str, Any]:
    """The container from which Docker once made an image; podman has none and shows an empty one."""
    return {
        "Hostname": image_id[:11],
        "Domainname": "",
        "User": "",
        "AttachStdin": False,
        "AttachStdout": False,
        "AttachStderr": False,
        "Tty": False,
        "OpenStdin": False,
        "StdinOnce": False,
        "Env": None,
        "Cmd": None,
        "Image": "",
        "Volumes": None,
        "WorkingDir": "",
        "Entrypoint": None,
        "OnBuild": None,
        "Labels": None,
    }
