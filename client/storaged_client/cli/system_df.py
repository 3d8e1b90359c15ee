"""``storagectl df``: shows disk usage with podman's rows for images; ``-`` for what a store cannot know.

Containers are storage containers of all tools: only podman knows whether one runs, and what uses a volume.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from ..podman import measures, names
from . import exits, output, terminal
from .flags import FORMAT, NO_TRUNC, NOHEADING, Flag, UsageError
from .invocation import Invocation

if TYPE_CHECKING:
    from ..contract.plain import ImageUsage, StoreUsage

ARGUMENTS = ""
FLAGS = (Flag("verbose", "Show detailed information on disk usage", short="v"), FORMAT, NO_TRUNC, NOHEADING)

TITLES = {"RawSize": "RAW SIZE", "RawReclaimable": "RAW RECLAIMABLE"}
_LARGEST = 5
_BAR = 24
_REMARKS = 3


class Summary:
    """One line; an unknown number is None."""

    __slots__ = ("active", "kind", "reclaimable", "size", "total")

    def __init__(
        self, kind: str, total: int | None, active: int | None, size: int | None, reclaimable: int | None
    ) -> None:
        self.kind = kind
        self.total = total
        self.active = active
        self.size = size
        self.reclaimable = reclaimable

    @property
    def percent(self) -> int | None:
        if self.size is None or self.reclaimable is None:
            return None
        return int(self.reclaimable / self.size * 100 + 0.5) if self.size > 0 else 0

    @property
    def reclaimable_text(self) -> str:
        return "-" if self.percent is None else f"{measures.brief(self.reclaimable, 4)} ({self.percent}%)"


def run(invocation: Invocation) -> int:
    options = invocation.options
    form, verbose = options.text("format"), options.on("verbose")
    template, json = output.chosen(form, "df")
    if form is not None and verbose:
        raise UsageError("cannot combine --format and --verbose flags")
    if invocation.arguments:
        raise UsageError("`storagectl system df` takes no arguments")
    usage = invocation.call("store.usage")
    heading = not options.on("noheading")
    rows = summaries(usage)
    if template is not None:
        output.emit_filled(template, [struct(row) for row in rows], TITLES if heading else None)
    elif json:
        lines = [output.compact(encoded(row), escape_html=True).rstrip("\n") for row in rows]
        output.emit("[\n" + ",\n".join(f"    {line}" for line in lines) + "\n]\n")
    elif verbose:
        output.emit(render_verbose(usage, time.time(), full=options.on("no-trunc"), heading=heading))
    elif terminal.wanted():
        output.emit(paint(rows, usage["images"]))
    else:
        output.emit(render(rows, heading=heading))
    pending = still_pending(usage)
    for remark in (*([pending] if pending else []), *unmeasurable(usage)):
        output.complain(f"storagectl: {remark}")
    return exits.DONE


def summaries(usage: StoreUsage) -> list[Summary]:
    """podman's three lines. A name is a row of ``images``, and counts as one."""
    images, containers, volumes = usage["images"], usage["containers"], usage["volumes"]
    active = len({image["id"] for image in images if image["containers"]})
    total = sum(len(image["names"]) or 1 for image in images)
    nothing = None if containers else 0
    no_volumes = 0 if volumes == [] else None
    return [
        Summary("Images", total, active, usage["images_size"], usage["images_reclaimable"]),
        Summary("Containers", len(containers), nothing, usage["containers_size"], nothing),
        Summary(
            *("Local Volumes", None if volumes is None else len(volumes)),
            *(no_volumes, usage["volumes_size"], no_volumes),
        ),
    ]


def still_pending(usage: StoreUsage) -> str | None:
    """A sentence about the numbers still being computed."""
    parts = []
    layers = usage["sizes_pending"]
    if layers:
        parts.append(f"{layers} layer{'s' if layers > 1 else ''}")
    containers = sum(container["size_pending"] for container in usage["containers"])
    if containers:
        parts.append(f"{containers} container{'s' if containers > 1 else ''}")
    volumes = sum(volume["size"] is None for volume in usage["volumes"] or [])
    if volumes:
        parts.append(f"{volumes} volume{'s' if volumes > 1 else ''}")
    if not parts:
        return None
    listed = ", ".join((*parts[:-2], " and ".join(parts[-2:])))
    return f"sizes of {listed} are not known yet; numbers that need them are shown as -"


def unmeasurable(usage: StoreUsage) -> list[str]:
    """The containers whose sizes are not available, and why; the first few."""
    found = [container for container in usage["containers"] if container["size_reason"]]
    lines = [
        f"the size of container {container['id'][:12]} is not known: {container['size_reason']}"
        for container in found[:_REMARKS]
    ]
    return lines + [f"and those of {len(found) - _REMARKS} more"] * (len(found) > _REMARKS)


def render(rows: list[Summary], *, heading: bool = True) -> str:
    """podman's table."""
    header = ("TYPE", "TOTAL", "ACTIVE", "SIZE", "RECLAIMABLE")
    return output.table(header, [_cells(row) for row in rows], heading=heading)


def _cells(row: Summary) -> tuple[str, ...]:
    return (row.kind, _number(row.total), _number(row.active), measures.brief(row.size, 4), row.reclaimable_text)


def encoded(row: Summary) -> dict[str, Any]:
    """podman's JSON of one line."""
    raw = {
        "Type": row.kind,
        "Total": row.total,
        "Active": row.active,
        "RawSize": row.size,
        "RawReclaimable": row.reclaimable,
    }
    return {
        **raw,
        "TotalCount": row.total,
        "Size": measures.brief(row.size, 4),
        "Reclaimable": row.reclaimable_text,
    }


def struct(row: Summary) -> dict[str, Any]:
    """The fields for templates."""
    from ..gotemplate.values import Struct, known

    form = encoded(row)
    members = {name: known(value) for name, value in form.items() if name != "TotalCount"}
    printed = ("Type", "Total", "Active", "RawSize", "RawReclaimable")
    return Struct("*system.dfSummary", members, printed=printed, encoded=form)


def render_verbose(usage: StoreUsage, now: float, *, full: bool = False, heading: bool = True) -> str:
    """podman's three tables."""
    length = 64 if full else 12
    images: list[tuple[str, ...]] = [
        (
            *(repository, tag, image["id"][:length], measures.age(image["created"], now).removesuffix(" ago")),
            *(measures.brief(image[part], 4) for part in ("size", "shared", "unique")),
            str(image["containers"]),
        )
        for image in usage["images"]
        for repository, tag in _pairs(image["names"])
    ]
    containers: list[tuple[str, ...]] = [
        (
            *(container["id"][:length], (container["image"] or "")[:length], "-", "-"),
            *(measures.brief(container["size"], 4), measures.age(container["created"], now).removesuffix(" ago")),
            *("-", ",".join(container["names"])),
        )
        for container in usage["containers"]
    ]
    volumes: list[tuple[str, ...]] = [
        (volume["name"], "-", measures.brief(volume["size"], 4)) for volume in usage["volumes"] or []
    ]
    parts: tuple[tuple[str, tuple[str, ...], list[tuple[str, ...]]], ...] = (
        ("Images", _IMAGES, images),
        ("Containers", _CONTAINERS, containers),
        ("Local Volumes", ("VOLUME NAME", "LINKS", "SIZE"), volumes),
    )
    return "\n".join(
        f"{kind} space usage:\n\n{output.table(header, rows, heading=heading)}" for kind, header, rows in parts
    )


_IMAGES = ("REPOSITORY", "TAG", "IMAGE ID", "CREATED", "SIZE", "SHARED SIZE", "UNIQUE SIZE", "CONTAINERS")
_CONTAINERS = ("CONTAINER ID", "IMAGE", "COMMAND", "LOCAL VOLUMES", "SIZE", "CREATED", "STATUS", "NAMES")


def paint(rows: list[Summary], images: list[ImageUsage]) -> str:
    """For a terminal: each size as a bar, with the reclaimable part in yellow; then the images that free most."""
    most = max((row.size or 0 for row in rows), default=0)
    lines = []
    for row in rows:
        length = round(_BAR * (row.size or 0) / most) if most else 0
        length = max(length, 1 if row.size else 0)
        free = round(length * (row.percent or 0) / 100)
        bar = terminal.paint("█" * (length - free), terminal.GREEN) + terminal.paint("█" * free, terminal.YELLOW)
        counts = f"{_number(row.total):>5} {'in all':<7}{_number(row.active):>4} {'in use':<7}"
        lines.append(
            f"{terminal.paint(f'{row.kind:<14}', terminal.BOLD)}{counts}{measures.brief(row.size, 4):>9}  "
            f"{bar}{' ' * (_BAR - length)}  {terminal.paint(row.reclaimable_text, terminal.YELLOW)}"
        )
    idle = [image for image in images if not image["containers"] and image["freed"]]
    largest = sorted(idle, key=lambda image: -(image["freed"] or 0))[:_LARGEST]
    if largest:
        lines += ["", terminal.paint("Removing one of these images frees", terminal.BOLD)]
        lines += [f"  {measures.brief(image['freed'], 4):>9}  {output.printable(_name(image))}" for image in largest]
    return "".join(f"{line.rstrip()}\n" for line in lines)


def _name(image: ImageUsage) -> str:
    return image["names"][0] if image["names"] else f"{names.NONE} {image['id'][:12]}"


def _pairs(all_names: list[str]) -> list[tuple[str, str]]:
    return [names.split(name) for name in all_names] or [(names.NONE, names.NONE)]


def _number(value: int | None) -> str:
    return "-" if value is None else str(value)
