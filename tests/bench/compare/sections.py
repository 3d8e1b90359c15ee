"""How the page is divided: which cases are told together, and what a reader must know of them."""

from __future__ import annotations

from collections.abc import Sequence

from . import commands, containerd, flat, floors, listing, questions, typed

SECTIONS: tuple[tuple[str, str, Sequence[str]], ...] = (
    (
        "Listing over the socket",
        "Untagged images with a layer each (`distinct`), untagged images on one layer (`shared`), one image named by "
        "so many lists (`lists`), untagged images of which every other one is in a list (`half_listed`), and a mix as "
        "real stores are (`realistic`). The echoes answer each line with the bytes of our reply: one by two "
        "system calls, one by anyio on trio, on which storaged runs.",
        (listing.ALL, listing.DANGLING),
    ),
    ("Filters", "", (questions.KEY, questions.VALUE, questions.GLOB, questions.SHORT)),
    (
        "One image by its name",
        "Podman is asked `exists`, for the last one `inspect`; *why* is a question that it cannot answer. "
        "`server.ping` is storaged's answer to nothing at all.",
        (questions.RESOLVE, questions.EXISTS, questions.WHY, questions.INSPECT),
    ),
    (
        "Small and large stores",
        "The same three questions in two daemons at once, each beside its own ping.",
        tuple(flat.CASES),
    ),
    (
        "The whole store, and changes",
        "`store.usage` is podman's `system df`. For `manifests.list` podman is asked list by list, those it refuses "
        "left out. A tag is given and taken again; both flush to the disk as they do.",
        (questions.USAGE, questions.LISTS, questions.TAG, questions.UNTAG),
    ),
    (
        "Typed objects in Python",
        "The limits are the same reply received and thrown away, and received and parsed by the standard library.",
        (typed.TYPED, typed.READ),
    ),
    (
        "Commands, as whole processes",
        "Podman and buildah run in a root of Debian sid that `nsenter` enters for each command; what that adds is the "
        "first table, and it is taken off no figure.",
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
        "As many images with the same names, digests and labels, asked in raw bytes by grpcio. containerd's rows say "
        "less: name, labels and the descriptor of the manifest. A Get of one, beside our `images.resolve`, tells "
        "what the library and the way cost alone.",
        (containerd.LIST, containerd.GET),
    ),
    (
        "What the system itself asks",
        "The work behind an answer in this process, beside the same work done barely.",
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
