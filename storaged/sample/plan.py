"""Turns a description into the records of a store, using only a seeded generator."""

from __future__ import annotations

import random

from attrs import evolve, field, frozen

from storaged_client.times import NANOSECONDS

from .content import (
    DOCKER_MANIFEST,
    OCI_MANIFEST,
    File,
    Instance,
    Layer,
    Recipe,
    Step,
    digest_of,
    layer_id,
    tar_of,
)
from .moments import Moment
from .records import ContainerDraft, ImageDraft, image_draft
from .spec import SampleSpec

_START = 1_700_000_000 * NANOSECONDS
_OFFSETS = (0, 0, 0, 0, 60, 120, 330, -480)


@frozen(kw_only=True)
class Plan:
    """The records of a future store: index 0 is the writable store, 1 the additional one."""

    images: tuple[tuple[ImageDraft, ...], tuple[ImageDraft, ...]]
    layers: tuple[tuple[Layer, ...], tuple[Layer, ...]]
    containers: tuple[ContainerDraft, ...] = field(default=())


class Builder:
    """Makes layers, recipes and names, each different from all others of the same seed."""

    def __init__(self, spec: SampleSpec) -> None:
        self.spec = spec
        self.random = random.Random(f"{spec.seed}/{spec.shape}/{spec.images}")
        self.layers: tuple[list[Layer], list[Layer]] = ([], [])
        self.images: tuple[list[ImageDraft], list[ImageDraft]] = ([], [])
        self._made = 0
        self._ns = _START

    def random_id(self) -> str:
        """64 hexadecimal digits, as lists, containers and their layers have them."""
        return self.random.randbytes(32).hex()

    def now(self) -> Moment:
        """A later instant than any before, mostly in UTC, with up to nine digits of fraction."""
        self._ns += self.random.randrange(1, 3_600 * NANOSECONDS)
        if self.random.random() < 0.2:
            self._ns -= self._ns % NANOSECONDS
            self._ns += NANOSECONDS
        return Moment(ns=self._ns, offset_minutes=self.random.choice(_OFFSETS))

    def layer(self, parent: Layer | None, store: int = 0, *, gzip: bool = False) -> Layer:
        """A new layer on ``parent``; with contents on disk, its id is their real hash."""
        self._made += 1
        rng = self.random
        created = self.now()
        size = 1_536 + rng.randrange(4_096)
        file = None
        if self.spec.contents == "files":
            text = f"seed {self.spec.seed} layer {self._made}\n" * rng.randrange(1, 8)
            file = File(name=f"layer-{self._made:06d}", data=text.encode(), mtime=created.ns // NANOSECONDS)
            tar = tar_of(file)
            diff_id, size, gzip = digest_of(tar), len(tar), False
        else:
            diff_id = digest_of(f"{self.spec.seed}/{self._made}".encode())
            size = 512 * max(3, int(rng.lognormvariate(10, 2)))
        made = Layer(
            id=layer_id(parent.id if parent else None, diff_id),
            parent=parent.id if parent else None,
            diff_id=diff_id,
            size=size,
            blob_digest=digest_of(b"gzip " + diff_id.encode()) if gzip else diff_id,
            blob_size=max(64, size // 3) if gzip else size,
            gzip=gzip,
            created=created.text(),
            file=file,
        )
        self.layers[store].append(made)
        return made

    def chain(self, depth: int, on: tuple[Layer, ...] = (), store: int = 0, *, gzip: bool = False) -> tuple[Layer, ...]:
        """``on`` and ``depth`` new layers above it, base first."""
        chain = list(on)
        for _ in range(depth):
            chain.append(self.layer(chain[-1] if chain else None, store, gzip=gzip))
        return tuple(chain)

    def step(self, *, empty: bool = False) -> Step:
        """One instruction of a build."""
        self._made += 1
        verb = f"ENV STEP={self._made}" if empty else f"COPY part-{self._made} /"
        return Step(
            created=self.now(),
            created_by=f"/bin/sh -c #(nop) {verb}",
            comment=self.random.choice(("", "", "FROM localhost/base:1", "buildkit.dockerfile.v0")),
            author=self.random.choice(("", "", "", "ops <ops@example.com>")),
            empty_layer=empty,
        )

    def base(self, depth: int, store: int = 0) -> Recipe:
        """A pulled image: its own chain, one instruction per layer and a few without."""
        rng = self.random
        docker = rng.random() < 0.4
        steps = [self.step() for _ in range(depth)]
        for _ in range(rng.randrange(3)):
            steps.insert(rng.randrange(len(steps) + 1), self.step(empty=True))
        architecture, variant = rng.choice(
            (("amd64", ""), ("amd64", ""), ("arm64", "v8"), ("arm", "v7"), ("s390x", ""))
        )
        return Recipe(
            created=steps[-1].created if steps else self.now(),
            history=tuple(steps),
            chain=self.chain(depth, store=store, gzip=rng.random() < 0.7),
            labels=self.labels(),
            docker=docker,
            architecture=architecture,
            variant=variant,
            author=rng.choice(("", "Base Images <base@example.com>")),
            healthcheck=("CMD-SHELL", "true") if docker and rng.random() < 0.2 else (),
        )

    def built_on(self, below: Recipe, *, layers: int, instructions: int, store: int = 0) -> Recipe:
        """``instructions`` more on ``below``, of which ``layers`` (at most all) make a layer.

        With one instruction, ``below`` becomes its parent by podman's rule. Times of the inherited history may be
        written in another offset: the same instants, so it is still the parent.
        """
        rng = self.random
        inherited = below.history
        if rng.random() < 0.3:
            offset = rng.choice(_OFFSETS)
            inherited = tuple(
                step if step.created is None else evolve(step, created=evolve(step.created, offset_minutes=offset))
                for step in inherited
            )
        added = tuple(self.step(empty=number >= layers) for number in range(instructions))
        return evolve(
            below,
            created=added[-1].created,
            history=inherited + added,
            chain=self.chain(layers, below.chain, store),
            labels=self.labels(),
            environment=(*below.environment, f"STEP={self._made}"),
        )

    def labels(self) -> dict[str, str] | None:
        """None, no labels, or some; now and then labels that break careless parsers."""
        rng = self.random
        kind = rng.random()
        if kind < 0.2:
            return None
        labels = {"org.opencontainers.image.revision": f"{rng.randrange(16**8):08x}"}
        if kind < 0.4:
            labels |= {"maintainer": "Ünïcode 資料 <a&b>", "a=b": "c=d", "empty": "", "": "no key"}
        if kind < 0.45:
            labels["io.example.long"] = "x" * 5_000
        return labels

    def name(self) -> str:
        """A full reference that no other image has."""
        self._made += 1
        registry = self.random.choice(("localhost", "localhost/team", "quay.io/org/unit", "registry.example.com:5000"))
        return f"{registry}/app-{self._made % 97}:v{self._made}"

    def instance(self, image: ImageDraft, digest: str | None = None) -> Instance:
        """The descriptor of an image in a list, by its last written manifest unless ``digest`` is given."""
        recipe = image.recipe
        assert recipe is not None
        return Instance(
            digest=digest or image.manifest_digest,
            size=len(dict(image.items)["manifest"]),
            media_type=DOCKER_MANIFEST if recipe.docker else OCI_MANIFEST,
            architecture=recipe.architecture,
            os=recipe.os,
            variant=recipe.variant,
        )

    def foreign(self) -> Instance:
        """The descriptor of an image that is not in this store."""
        return Instance(
            digest="sha256:" + self.random_id(),
            size=self.random.randrange(400, 4_000),
            media_type=OCI_MANIFEST,
            architecture=self.random.choice(("amd64", "arm64", "ppc64le")),
        )

    def add(
        self, recipe: Recipe, names: tuple[str, ...] = (), former: tuple[str, ...] = (), store: int = 0
    ) -> ImageDraft:
        """Record an image of this recipe."""
        draft = image_draft(recipe, names=names, former=former)
        self.images[store].append(draft)
        return draft
