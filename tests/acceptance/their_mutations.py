"""Changes by podman's service, podman and buildah, between those of the daemon: none may be lost, or lose any."""

from __future__ import annotations

from tests.support.peers import ToolError

from .mutation_stage import Stage
from .our_mutations import Step
from .should_be import Entry, Known


def service_tag(stage: Stage, where: str) -> None:
    image = stage.rng.choice(list(stage.model.images.values()))
    name = stage.name("service")
    stage.service.change("POST", f"/images/{image.id}/tag", **_split(name))
    stage.model.give(image.id, [name])


def service_untag(stage: Stage, where: str) -> None:
    named = [image for image in stage.model.plain if image.names]
    if not named:
        service_tag(stage, where)
        return
    image = stage.rng.choice(named)
    name = stage.rng.choice(image.names)
    stage.service.change("POST", f"/images/{image.id}/untag", **_split(name))
    stage.model.take(image.id, [name])


def service_remove(stage: Stage, where: str) -> None:
    """By its id; an image with several names, or in use, stays."""
    image = stage.rng.choice(stage.model.plain) if stage.model.plain else None
    parent = stage.model.images.get((image.parent if image else None) or "")
    if image is None or (parent is not None and parent.containers):
        service_tag(stage, where)
        return
    gone = stage.model.remove([image.id], force=False, no_prune=False)
    try:
        stage.service.change("DELETE", f"/images/{image.id}")
    except ToolError as error:
        stage.report.claim(bool(gone.failed), f"{where}: {error}")


def service_list(stage: Stage, where: str) -> None:
    """A list with one image, made by the service."""
    name = stage.name("service-list")
    made = stage.service.change("POST", f"/manifests/{name.replace('/', '%2F')}", images=[])["Id"]
    known = Known(id=made, names=[name], digest=stage.tables().images[made]["digest"], entries={})
    stage.model.add(known)
    if stage.model.plain:
        image = stage.rng.choice(stage.model.plain)
        body = {"operation": "update", "images": [f"containers-storage:{image.id}"]}
        stage.service.change("PUT", f"/manifests/{made}", body=body)
        known.entries = {image.digest: Entry()}


def build(stage: Stage, where: str) -> None:
    """On an image with layers, or on nothing; with a name or without."""
    bases = [image for image in stage.model.plain if image.diff_ids]
    base = stage.rng.choice([None, *bases])
    stage.build(base, tag=stage.rng.choice([None, stage.name("built")]))


def container(stage: Stage, where: str) -> None:
    """buildah takes an image into use."""
    images = [image for image in stage.model.plain if image.diff_ids]
    if not images:
        build(stage, where)
        return
    image = stage.rng.choice(images)
    stage.number += 1
    name = f"container-{stage.number}"
    stage.store.buildah("from", "--pull-never", "--name", name, image.id)
    image.containers.add(name)


def container_remove(stage: Stage, where: str) -> None:
    used = [image for image in stage.model.images.values() if image.containers]
    if not used:
        container(stage, where)
        return
    image = stage.rng.choice(used)
    name = image.containers.pop()
    stage.store.buildah("rm", name)


THEIRS: dict[str, tuple[Step, int]] = {
    "service: tag": (service_tag, 4),
    "service: untag": (service_untag, 2),
    "service: remove": (service_remove, 2),
    "service: manifest create and add": (service_list, 1),
    "podman build": (build, 4),
    "buildah from": (container, 1),
    "buildah rm": (container_remove, 1),
}


def _split(name: str) -> dict[str, str]:
    repository, _, tag = name.rpartition(":")
    return {"repo": repository, "tag": tag}
