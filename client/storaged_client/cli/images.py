"""``storagectl images``: podman's listing, one row per name."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from ..podman import measures, names
from . import exits, output
from .flags import FORMAT, NO_TRUNC, NOHEADING, QUIET, Flag, Options, UsageError
from .invocation import Invocation

if TYPE_CHECKING:
    from ..contract.plain import ImageSummary

SORTS = ("created", "id", "repository", "size", "tag")
ARGUMENTS = "[IMAGE]"
FLAGS = (
    Flag("all", "Show all images (default hides intermediate images)", short="a"),
    Flag("digests", "Show digests"),
    Flag("filter", "Filter output based on conditions provided", short="f", kind="list"),
    Flag("history", "Display the image name history"),
    Flag("sort", "Sort by created, id, repository, size, tag (default created)", kind="string", choices=SORTS),
    FORMAT,
    QUIET,
    NO_TRUNC,
    NOHEADING,
)

_ROW = ("id", "names", "created", "size", "read_only", "damage")
_JSON = (*_ROW, "parent", "digest", "digests", "names_history", "labels", "containers", "dangling")


class Row:
    """One line of the listing: an image with one of its names."""

    __slots__ = ("created", "image", "repository", "tag")

    def __init__(self, image: ImageSummary, repository: str, tag: str) -> None:
        self.image = image
        self.repository = repository
        self.tag = tag
        self.created = _unix(image["created"])


def run(invocation: Invocation) -> int:
    options = invocation.options
    template, json = output.chosen(options.text("format"), "images")
    images = invocation.pages("images.list", params(options, invocation.arguments), "images")
    rows = ordered(images, options.text("sort") or "created")
    if json:  # podman's order: JSON before -q, and -q before a template
        text = render_json(rows)
    elif options.on("quiet"):
        text = render_ids(rows, options.on("no-trunc"))
    elif template is not None:
        from . import podman_structs

        now, full = time.time(), options.on("no-trunc")
        structs = [
            podman_structs.image(row.image, row.repository, row.tag, row.created, now, full=full) for row in rows
        ]
        output.emit_filled(template, structs, None if options.on("noheading") else podman_structs.IMAGE_TITLES)
        return exits.DONE
    else:
        text = render_table(rows, options, time.time())
    output.emit(text)
    return exits.DONE


def params(options: Options, arguments: list[str]) -> dict[str, Any]:
    """The request: only the members that the output needs.

    Raises:
        UsageError: more than one argument, or an argument together with filters.
    """
    filters = list(options.many("filter"))
    if len(arguments) > 1:
        raise UsageError(f"accepts at most 1 arg(s), received {len(arguments)}")
    if arguments and filters:
        raise UsageError("cannot specify an image and a filter(s)")
    filters += [f"reference={name}" for name in arguments]
    form = options.text("format")
    fields = list(_JSON if form else _ROW)
    if form is not None and output.is_template(form):
        from . import podman_structs

        fields = [*_ROW, *podman_structs.image_fields(form)]
    if options.on("digests"):
        fields.append("digest")
    if options.on("history"):
        fields.append("names_history")
    # podman hides intermediate images unless the flag or exactly this filter asks for them.
    everything = options.on("all") or "intermediate=true" in filters
    return {"filters": filters, "all": everything, "fields": sorted(set(fields))}


def ordered(images: list[ImageSummary], sort: str) -> list[Row]:
    """The rows as podman sorts them; equal rows keep the order of the store.

    ``created`` is newest first, by whole seconds; ``repository`` sorts by the tag within one repository.
    """
    rows = [Row(image, *pair) for image in images for pair in names.shown(image["names"])]
    if sort == "created":
        rows.sort(key=lambda row: -row.created)
    elif sort == "size":
        rows.sort(key=lambda row: row.image["size"] or 0)
    elif sort == "id":
        rows.sort(key=lambda row: row.image["id"])
    elif sort == "tag":
        rows.sort(key=lambda row: row.tag)
    else:
        rows.sort(key=lambda row: (row.repository, row.tag))
    return rows


def render_ids(rows: list[Row], full: bool) -> str:
    """Each id once, in the order of the rows."""
    ids = dict.fromkeys(row.image["id"] for row in rows)
    return "".join(f"{output.identifier(id_, full)}\n" for id_ in ids)


def render_table(rows: list[Row], options: Options, now: float) -> str:
    """podman's table; the column R/O appears if the last image is read-only, DAMAGE if any is damaged."""
    full = options.on("no-trunc")
    digests, history = options.on("digests"), options.on("history")
    read_only = bool(rows) and any(row.image["read_only"] for row in rows)
    damaged = any(row.image["damage"] for row in rows)
    header = ["REPOSITORY", "TAG", *(["DIGEST"] if digests else []), "IMAGE ID", "CREATED", "SIZE"]
    header += ["HISTORY"] * history + ["R/O"] * read_only + ["DAMAGE"] * damaged
    lines = []
    for row in rows:
        image = row.image
        line = [row.repository, row.tag]
        if digests:
            line.append(image["digest"] or names.NONE)
        line.append(output.identifier(image["id"], full))
        line += [measures.age(image["created"], now), measures.size(image["size"])]
        if history:
            line.append(", ".join(image["names_history"]) or names.NONE)
        if read_only:
            line.append("true" if image["read_only"] else "false")
        if damaged:
            line.append(image["damage"]["name"] if image["damage"] else "")
        lines.append(tuple(line))
    return output.table(tuple(header), lines, heading=not options.on("noheading"))


def render_json(rows: list[Row]) -> str:
    """podman's array: one object per row, its members in podman's order and form."""
    return output.pretty([_object(row) for row in rows], escape_html=True)


def _object(row: Row) -> dict[str, Any]:
    image = row.image
    labels = image["labels"]
    result: dict[str, Any] = {
        "Id": image["id"],
        "ParentId": image["parent"] or "",
        "RepoTags": None,
        "RepoDigests": names.repository_digests(image["names"], image["digests"]),
        "Size": image["size"],
        "SharedSize": 0,
        "VirtualSize": image["size"],
        "Labels": dict(sorted(labels.items())) if labels else labels,
        "Containers": image["containers"],
    }
    present = {
        "ReadOnly": image["read_only"],
        "Dangling": image["dangling"],
        "Digest": image["digest"],
        "History": image["names_history"],
        "Names": image["names"],
    }
    result.update((name, value) for name, value in present.items() if value)
    result["Created"] = row.created
    result["CreatedAt"] = measures.utc(row.created)
    if image["damage"]:
        result["Damage"] = image["damage"]
    return result


def _unix(created: str) -> int:
    # An invalid time in a record is damage of that image, which then sorts as the oldest.
    try:
        return measures.unix(created)
    except ValueError:
        return measures.GO_ZERO
