"""The description of a sample store."""

from __future__ import annotations

from typing import Literal

from attrs import field, frozen, validators

Shape = Literal["realistic", "distinct", "shared", "lists", "half_listed"]
"""``realistic`` is a mix of all that real stores hold. The others are the four shapes for which upstream asked for
figures: untagged images with a layer each; untagged images on one shared top layer; one image named by lists; untagged
images of which every second one is in a list."""

SHAPES: tuple[Shape, ...] = ("realistic", "distinct", "shared", "lists", "half_listed")


@frozen(kw_only=True)
class SampleSpec:
    """A seeded description: equal specs make equal stores, byte for byte except for the roots in ``instances.json``.

    ``images`` counts all records of images.json, including lists; ``read_only`` of them go to the additional store.
    ``layers`` is the minimum number of layer records. ``contents`` says whether the layers exist on disk: ``none`` (no
    folders; sizes are claimed), ``files`` (a small file each and its tar-split, so that tools can copy, mount and check
    the images).
    """

    images: int = field(default=100, validator=validators.ge(1))
    seed: int = 0
    shape: Shape = field(default="realistic", validator=validators.in_(SHAPES))
    driver: Literal["overlay", "vfs"] = "overlay"
    contents: Literal["none", "files"] = "none"
    layers: int = field(default=0, validator=validators.ge(0))
    containers: int = field(default=0, validator=validators.ge(0))
    read_only: int = field(default=0, validator=validators.ge(0))
    for_podman_4: bool = False
    """Without what podman 4.3 does not know (volatile containers) or fails on (images without layers beside a list of
    unknown instances)."""


FLEET_HOST = SampleSpec(images=3_929, layers=43_222, seed=1)
"""As many images and layers as the largest store in public reports."""
