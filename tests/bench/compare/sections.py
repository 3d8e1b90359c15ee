"""The sections of the page: the cases of each, and its introduction."""

from __future__ import annotations

from collections.abc import Sequence

from . import commands, containerd, flat, floors, listing, questions, typed

SECTIONS: tuple[tuple[str, str, Sequence[str]], ...] = (
    (
        "Listing over the socket",
        "The stores: untagged images with a layer each (`distinct`), untagged images on one layer (`shared`), one "
        "image named by that many lists (`lists`), untagged images of which every second one is in a list "
        "(`half_listed`), and a mix like that of real stores (`realistic`). The echoes answer each line with the "
        "bytes of our reply: one with two system calls, one with anyio on trio, on which storaged runs.",
        (listing.ALL, listing.DANGLING),
    ),
    ("Filters", "", (questions.KEY, questions.VALUE, questions.GLOB, questions.SHORT)),
    (
        "One image by its name",
        "podman's request is `exists`, and `inspect` in the last table; it has nothing like *why*. `server.ping` "
        "is a request without work.",
        (questions.RESOLVE, questions.EXISTS, questions.WHY, questions.INSPECT),
    ),
    (
        "Small and large stores",
        "The same three requests to two daemons at once, each compared with its own ping.",
        tuple(flat.CASES),
    ),
    (
        "The whole store, and changes",
        "`store.usage` is podman's `system df`. For `manifests.list` podman is asked for each list, except those "
        "it refuses. A tag is set and removed again; both programs flush to the disk as usual.",
        (questions.USAGE, questions.LISTS, questions.TAG, questions.UNTAG),
    ),
    (
        "Typed objects in Python",
        "The limits are receiving the same reply and discarding it, and receiving it and parsing it with the "
        "standard library.",
        (typed.TYPED, typed.READ),
    ),
    (
        "Commands, as whole processes",
        "podman and buildah run in a Debian sid root that `nsenter` enters for each command. The first table "
        "shows the cost of that; it is not subtracted from any figure.",
        (
            commands.ENTERING,
            commands.IMAGES,
            commands.DANGLING,
            commands.LABEL,
            commands.SHORT,
            commands.EXISTS,
            commands.INSPECT,
            commands.USAGE,
            commands.LISTED,
        ),
    ),
    (
        "Beside containerd",
        "As many images with the same names, digests and labels, requested as raw bytes by grpcio. containerd's "
        "rows contain less: name, labels and the descriptor of the manifest. A Get of one image, beside our "
        "`images.resolve`, shows the cost of the library and the transport alone.",
        (containerd.LIST, containerd.GET),
    ),
    (
        "Lower bounds",
        "The work behind an answer, in this process, compared with the bare minimum of the same work.",
        (floors.LOOK, floors.LOAD, floors.DIGESTS, floors.START),
    ),
)
PLOTS = {
    "Listing over the socket": ("listing", "dangling"),
    "One image by its name": ("ratios",),
    "Commands, as whole processes": ("commands",),
    "Beside containerd": ("containerd",),
}
"""The plots of a section, by the names of their files."""
