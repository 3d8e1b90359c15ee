"""Why an image cannot be removed now: what keeps it, and how to end that."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from storaged.operations.container_list import removal_command
from storaged.operations.query_context import QueryContext
from storaged.snapshot.model import Container, Image, Snapshot
from storaged_client.contract.errors import ImageInUse, Leased, MultipleNames, ReadOnlyImage, StoragedError

_LISTED: Final = 20
"""The maximum number of containers, names or leases in an error."""


def why_not_removable(snapshot: Snapshot, image: Image, view: QueryContext, *, force: bool) -> StoragedError | None:
    """The error of a removal of the whole image, None if it can be removed.

    With ``force``, containers of other tools than podman do not count: they are removed with it. podman's own are in
    its database, and only podman can remove them from there.
    """
    if image.read_only:
        return ReadOnlyImage(
            f'cannot remove read-only image "{image.id}": it is in an additional image store; remove it on the '
            "store's own host",
            id=image.id,
        )
    containers = [snapshot.container_by_id[used_by] for used_by in image.containers]
    holding = [container for container in containers if not force or container.owner == "podman"]
    if holding:
        return _in_use(image, holding, force)
    leases = view.leases.get(image.id, ())
    if leases:
        return Leased(
            f"image {image.id[:12]} is held by lease {leases[0]}; wait until its client releases it or disconnects",
            images=[image.id],
            leases=list(leases[:_LISTED]),
        )
    return None


def several_names(image: Image, names: Sequence[str], by: str) -> MultipleNames:
    """The error if an image with several names was addressed by none of them."""
    return MultipleNames(
        f'unable to delete image "{image.id}" by {by} with more than one tag ([{" ".join(names[:_LISTED])}]): '
        "please force removal, or give the names",
        id=image.id,
        names=list(names[:_LISTED]),
    )


def _in_use(image: Image, holding: Sequence[Container], force: bool) -> ImageInUse:
    first = holding[0]
    name = first.record.names[0] if first.record.names else first.id[:12]
    owner = first.owner if first.owner != "unknown" else "an unknown tool"
    if force:
        hint = f"only podman can remove its own containers: `{removal_command(first)}` does it"
    else:
        hint = f"`{removal_command(first)}` removes the container"
    more = f" and {len(holding) - 1} more" if len(holding) > 1 else ""
    # podman's complete sentence first, which scripts compare; it is the same for its own containers.
    return ImageInUse(
        f"image used by {first.id}: image is in use by a container: consider listing external containers and "
        f"force-removing image: it is {name}, made by {owner}{more}; {hint}",
        id=image.id,
        containers=[
            {
                "id": container.id,
                "name": container.record.names[0] if container.record.names else None,
                "owner": container.owner,
                "command": removal_command(container),
            }
            for container in holding[:_LISTED]
        ],
    )
