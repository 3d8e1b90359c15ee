"""The shapes a sample store can have."""

from __future__ import annotations

from collections.abc import Callable

from attrs import evolve

from .content import Layer
from .mixture import add_list, add_mixture
from .moments import Moment
from .plan import Builder, Plan
from .records import ContainerDraft
from .spec import SampleSpec


def plan_store(spec: SampleSpec, location: str) -> Plan:
    """All records of the store that ``spec`` describes. ``location`` is ``driver@graphroot+runroot``."""
    builder = Builder(spec)
    makers: dict[str, Callable[[Builder, str], None]] = {
        "realistic": add_mixture,
        "distinct": _distinct,
        "shared": _shared,
        "lists": _lists,
        "half_listed": _half_listed,
    }
    makers[spec.shape](builder, location)
    containers = tuple(_container(builder, number) for number in range(spec.containers))
    _fill_layers(builder)
    return Plan(
        images=(tuple(builder.images[0]), tuple(builder.images[1])),
        layers=(tuple(builder.layers[0]), tuple(builder.layers[1])),
        containers=containers,
    )


def _distinct(builder: Builder, location: str) -> None:
    for _ in range(builder.spec.images):
        builder.add(builder.base(1))


def _shared(builder: Builder, location: str) -> None:
    base = builder.base(1)
    for number in range(builder.spec.images):
        builder.add(evolve(base, labels={"number": str(number)}))


def _lists(builder: Builder, location: str) -> None:
    image = builder.add(builder.base(1), names=(builder.name(),))
    for _ in range(builder.spec.images - 1):
        add_list(builder, location, (builder.instance(image),), named=True)


def _half_listed(builder: Builder, location: str) -> None:
    """Untagged images, every second one in a list; ten of them share a list."""
    lists = -(-builder.spec.images // 21)
    images = [builder.add(builder.base(1)) for _ in range(builder.spec.images - lists)]
    listed = images[::2]
    for number in range(lists):
        members = listed[number::lists]
        add_list(builder, location, tuple(builder.instance(image) for image in members), named=True)


def _container(builder: Builder, number: int) -> ContainerDraft:
    """A container on some image: podman's and buildah's alternate; buildah's is volatile where allowed."""
    rng = builder.random
    image = rng.choice([image for image in builder.images[0] if image.recipe is not None])
    recipe = image.recipe
    assert recipe is not None
    buildah = number % 2 == 1
    volatile = buildah and not builder.spec.for_podman_4
    name = f"app-{number}-working-container" if buildah else f"sample_container_{number}"
    moment: Moment = builder.now()
    layer = Layer(
        id=builder.random_id(),
        parent=recipe.top,
        diff_id="",
        size=0,
        blob_digest="",
        blob_size=0,
        gzip=False,
        created=moment.text(),
        names=(f"{name}-layer",),
        volatile=volatile,
        container=True,
    )
    builder.layers[0].append(layer)
    return ContainerDraft(
        id=builder.random_id(),
        name=name,
        image=image.id,
        image_name=image.names[0] if image.names else "",
        layer=layer,
        created=moment,
        buildah=buildah,
        volatile=volatile,
        files={"buildah.json": b"{}"} if buildah else {},
    )


def _fill_layers(builder: Builder) -> None:
    """Layers that no image needs, as interrupted pulls leave them, up to the requested number."""
    missing = builder.spec.layers - sum(map(len, builder.layers))
    while missing > 0:
        depth = min(missing, 20)
        builder.chain(depth)
        missing -= depth
