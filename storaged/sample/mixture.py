"""A mix of everything that real stores hold, in plausible proportions."""

from __future__ import annotations

from collections.abc import Callable

from attrs import evolve

from .content import OCI_INDEX, Instance, list_bytes, manifest_bytes
from .plan import Builder
from .records import ImageDraft, image_draft, list_draft


def add_mixture(builder: Builder, location: str) -> None:
    """Fill the store; ``location`` is ``driver@graphroot+runroot``."""
    spec, rng = builder.spec, builder.random
    own = spec.images - min(spec.read_only, spec.images - 1)
    lists = own // 12
    depth = _Depth(spec.layers or 2 * spec.images, spec.images - lists)
    kinds = tuple(kind for kind in _KINDS if not (spec.for_podman_4 and kind is _add_empty))
    weights = tuple(_KINDS[kind] for kind in kinds)
    copied = 1 if own < spec.images else 0  # an image of the additional store is tagged in this one, too
    while len(builder.images[0]) < own - lists - copied:
        present = builder.images[0]
        kind = rng.choices(kinds, weights)[0] if present else _add_base
        kind(builder, depth)
    while len(builder.images[1]) < spec.images - own:
        _add_read_only(builder, depth)
    for _ in range(lists):
        _add_random_list(builder, location)


class _Depth:
    """Distributes the requested number of layers over the remaining images."""

    def __init__(self, layers: int, images: int) -> None:
        self._layers = layers
        self._images = images

    def next(self, builder: Builder, *, most: int = 100) -> int:
        made = sum(map(len, builder.layers))
        left = max(1, self._images - sum(map(len, builder.images)))
        mean = max(1.0, (self._layers - made) / left)
        return max(1, min(most, round(builder.random.gammavariate(2, mean / 2))))


def _names(builder: Builder, share: float) -> tuple[str, ...]:
    """No name with probability ``1 - share``, else one, sometimes several."""
    rng = builder.random
    if rng.random() >= share:
        return ()
    return tuple(builder.name() for _ in range(rng.choice((1, 1, 1, 1, 2, 3))))


def _pick(builder: Builder) -> int:
    """An image of the writable store, preferably a late one."""
    count = len(builder.images[0])
    return count - 1 - min(count - 1, int(builder.random.expovariate(0.2)))


def _add_base(builder: Builder, depth: _Depth) -> None:
    builder.add(builder.base(depth.next(builder)), names=_names(builder, 0.7))


def _add_step(builder: Builder, depth: _Depth) -> None:
    """The next image of a build; sometimes it takes over its parent's names, as a rebuild does."""
    images, position = builder.images[0], _pick(builder)
    below = images[position]
    assert below.recipe is not None
    recipe = builder.built_on(below.recipe, layers=_more(builder, below), instructions=1)
    if below.names and builder.random.random() < 0.3:
        images[position] = evolve(below, names=(), former=below.names + below.former)
        builder.add(recipe, names=below.names)
    else:
        builder.add(recipe, names=_names(builder, 0.35))


def _add_leap(builder: Builder, depth: _Depth) -> None:
    """A build without intermediate images: it shares layers but has no parent."""
    below = builder.images[0][_pick(builder)]
    assert below.recipe is not None
    layers = _more(builder, below) and depth.next(builder, most=20)
    recipe = builder.built_on(below.recipe, layers=layers, instructions=layers + 2)
    builder.add(recipe, names=_names(builder, 0.5))


def _add_sibling(builder: Builder, depth: _Depth) -> None:
    """The same layers and history with another configuration: a second possible parent."""
    below = builder.images[0][_pick(builder)]
    assert below.recipe is not None
    recipe = evolve(below.recipe, environment=(*below.recipe.environment, f"TWIN={builder.random_id()}"))
    builder.add(recipe, names=_names(builder, 0.3))


def _add_two_digests(builder: Builder, depth: _Depth) -> None:
    builder.images[0].append(
        image_draft(builder.base(depth.next(builder)), names=_names(builder, 0.3), second_manifest=True)
    )


def _add_pulled(builder: Builder, depth: _Depth) -> None:
    """Pulled through a list of several platforms, which stays as an item of the image."""
    recipe = builder.base(depth.next(builder))
    draft = image_draft(recipe)
    assert dict(draft.items)["manifest"] == manifest_bytes(recipe, recipe.config_bytes())
    index = list_bytes((builder.instance(draft), builder.foreign(), builder.foreign()), oci=not recipe.docker)
    builder.images[0].append(image_draft(recipe, names=_names(builder, 0.6), pulled_list=index))


def _add_empty(builder: Builder, depth: _Depth) -> None:
    """Only a configuration (``FROM scratch`` and a label), and now and then a child of such an image."""
    empty = [image.recipe for image in builder.images[0] if image.recipe is not None and not image.recipe.chain]
    if empty and builder.random.random() < 0.5:
        recipe = builder.built_on(builder.random.choice(empty), layers=0, instructions=1)
    else:
        step = builder.step(empty=True)
        recipe = evolve(builder.base(0), created=step.created, history=(step,))
    builder.add(recipe, names=_names(builder, 0.3))


def _add_digest_only(builder: Builder, depth: _Depth) -> None:
    """Pulled by digest: its only name has no tag."""
    draft = image_draft(builder.base(depth.next(builder)))
    repository = builder.name().rpartition(":")[0]
    builder.images[0].append(evolve(draft, names=(f"{repository}@{draft.manifest_digest}",)))


_KINDS: dict[Callable[[Builder, _Depth], None], int] = {
    _add_base: 18,
    _add_step: 36,
    _add_leap: 10,
    _add_sibling: 10,
    _add_two_digests: 6,
    _add_pulled: 10,
    _add_empty: 4,
    _add_digest_only: 6,
}


def _more(builder: Builder, below: ImageDraft) -> int:
    """Whether the next instruction makes a layer: never above the drivers' limit of depth."""
    room = below.recipe is not None and 0 < len(below.recipe.chain) < 120
    return 1 if room and builder.random.random() < 0.7 else 0


def _add_read_only(builder: Builder, depth: _Depth) -> None:
    """An image of the additional store; the first is also tagged in the writable one, as ``podman tag`` copies it."""
    own = builder.images[1]
    if own and builder.random.random() < 0.5:
        below = builder.random.choice(own).recipe
        assert below is not None
        builder.add(builder.built_on(below, layers=1, instructions=1, store=1), names=_names(builder, 0.5), store=1)
        return
    draft = builder.add(
        builder.base(depth.next(builder), store=1), names=_names(builder, 1.0 if not own else 0.6), store=1
    )
    if len(own) == 1:
        builder.images[0].append(evolve(draft, names=(builder.name(), *draft.names)))


def _add_random_list(builder: Builder, location: str) -> None:
    """A list of local images, unknown ones and other lists; some have no name, some are empty."""
    rng = builder.random
    images = [image for store in builder.images for image in store if not image.is_list]
    lists = [image for image in builder.images[0] if image.is_list]
    untagged = [image for image in images if not image.names] or images
    instances: list[Instance] = []
    for _ in range(rng.choice((0, 1, 1, 2, 3, 5))):
        image = rng.choice(untagged if rng.random() < 0.7 else images)
        instances.append(builder.instance(image, image.digest if rng.random() < 0.2 else None))
    if rng.random() < 0.3:
        instances.append(builder.foreign())
    if lists and rng.random() < 0.25:
        inner = rng.choice(lists)
        manifest = dict(inner.items)["manifest"]
        instances.append(Instance(digest=inner.manifest_digest, size=len(manifest), media_type=OCI_INDEX))
    add_list(builder, location, tuple(instances), named=rng.random() < 0.75)


def add_list(builder: Builder, location: str, instances: tuple[Instance, ...], *, named: bool) -> None:
    """A list as podman leaves it; a duplicate instance counts once."""
    rng = builder.random
    list_id = builder.random_id()
    unique = tuple({instance.digest: instance for instance in instances}.values())
    local = {image.manifest_digest: image.id for store in builder.images for image in store}
    sources = {"": list_id}
    for instance in unique:
        if instance.digest in local:
            sources[instance.digest] = f"containers-storage:[{location}]@{local[instance.digest]}"
        else:
            sources[instance.digest] = f"docker://registry.example.com/app@{instance.digest}"
    draft = list_draft(
        list_id,
        unique,
        sources,
        created=builder.now(),
        names=(builder.name(),) if named else (),
        oci=rng.random() < 0.7 and bool(unique),
        media_type=rng.random() < 0.8,
        annotations={"org.example.build": "nightly <1&2>"} if rng.random() < 0.3 else None,
    )
    builder.images[0].append(draft)
