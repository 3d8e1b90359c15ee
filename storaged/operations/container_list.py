"""``containers.list``: storage containers, and the command that removes each."""

from __future__ import annotations

import shlex
from typing import Literal, cast

from storaged.snapshot.model import Container, Snapshot
from storaged_client.contract.types import ContainerList, ContainerSummary, Timestamp

Owner = Literal["podman", "buildah", "cri-o", "unknown"]


def list_containers(snapshot: Snapshot) -> ContainerList:
    """All containers of all tools, in the order of the store."""
    return ContainerList(containers=tuple(_summary(container) for container in snapshot.containers))


def removal_command(container: Container) -> str:
    """The command of the tool that made it; for external ones podman's, which works on any."""
    name = shlex.quote(container.record.names[0] if container.record.names else container.id)
    match container.owner:
        case "buildah":
            return f"buildah rm {name}"
        case "cri-o":
            return f"crictl rm {shlex.quote(container.id)}"
        case "podman":
            return f"podman rm {name}"
        case _:
            return f"podman rm --force {shlex.quote(container.id)}"


def _summary(container: Container) -> ContainerSummary:
    record = container.record
    return ContainerSummary(
        id=container.id,
        names=record.names or (),
        image=record.image or None,
        layer=record.layer or None,
        created=cast("Timestamp", record.created),
        owner=cast("Owner", container.owner),
        volatile=container.volatile,
    )
