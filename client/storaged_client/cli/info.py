"""``storagectl info``: which store, which daemon, what is wrong, what to do."""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING, Any

from storaged_client.contract.version import VERSION

from . import exits, measures, output
from .flags import Flag
from .invocation import Invocation, stale_text

if TYPE_CHECKING:
    from .wire import Flaw, Info

ARGUMENTS = ""
FLAGS = (Flag("format", "Output format: json, table or a Go template", short="f", kind="string"),)


def run(invocation: Invocation) -> int:
    template = output.template(invocation.options.text("format"), "info")
    json = template is None and output.json_wanted(invocation.options.text("format"))
    invocation.no_arguments()
    result: Any = invocation.call("server.info")
    if template is not None:
        from . import podman_structs

        output.emit_filled(template, [podman_structs.information(podman_form(result))], {})
        return exits.DONE
    output.emit(output.pretty(podman_form(result), indent=2) if json else render(result, time.time()))
    return exits.DONE


def podman_form(info: Info) -> dict[str, Any]:
    """podman's ``store`` member (what a storage daemon cannot know is null), and all of ``server.info`` beside it."""
    allocated, used = _space(info["graphroot"])
    store = {
        "configFile": info["config_file"],
        "containerStore": {"number": info["containers"], "paused": None, "running": None, "stopped": None},
        "graphDriverName": info["driver"],
        "graphOptions": None,
        "graphRoot": info["graphroot"],
        "graphRootAllocated": allocated,
        "graphRootUsed": used,
        "graphStatus": None,
        "imageCopyTmpDir": None,
        "imageStore": {"number": info["images"] + info["manifest_lists"] + len(info["half_made"])},
        "runRoot": info["runroot"],
        "transientStore": None,
        "volumePath": None,
    }
    return {"store": store, "storaged": info}


def render(info: Info, now: float) -> str:
    """The facts, then every problem with what mends it, for people."""
    counts = ", ".join(
        _count(number, noun)
        for number, noun in (
            (info["images"], "image"),
            (info["manifest_lists"], "manifest list"),
            (info["layers"], "layer"),
            (info["containers"], "container"),
        )
    )
    store = f"{info['graphroot']} (driver {info['driver']}, runroot {info['runroot']})"
    started = measures.age(info["started"], now)
    daemon = f"storaged {info['version']} (protocol {info['protocol']}), pid {info['pid']}, {info['backend']}"
    facts = [
        ("daemon", f"{daemon}, started {started}"),
        ("socket", info["socket"]),
        ("store", store),
        *(("also reads", path) for path in info["additional_stores"]),
        ("configuration", info["config_file"] or "defaults (no storage.conf)"),
        ("holds", counts),
        ("changes", "allowed" if info["writable"] else f"refused: {info['writable_reason'] or 'reason unknown'}"),
        ("fresh by", "the store's locks" if info["freshness"] == "locks" else "file identity (no usable locks)"),
    ]
    lines = [f"{title.ljust(15)}{text}" for title, text in facts]
    problems = _problems(info)
    if not problems:
        lines += ["", "Nothing is wrong."]
    else:
        lines += ["", "Wrong", *(f"  {line}" for line in problems)]
    return "".join(f"{output.printable(line)}\n" for line in lines)


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def replacement(socket: str) -> str:
    """The command after which the daemon behind a socket is of the version installed."""
    from storaged_client import skew

    return skew.replacement(socket)


def _problems(info: Info) -> list[str]:
    lines = []
    if info["version"] != VERSION:
        lines += [f"the daemon is version {info['version']}, this program {VERSION}"]
        lines += [f"  to replace it: {replacement(info['socket'])}"]
    if info["stale"]:
        lines += [stale_text(info["stale"]), "  it heals itself when the writer is done or the file is whole again"]
    if info["unreadable_evidence"]:
        lines.append("unreadable evidence: until it is gone, no untagged image counts as dangling")
        lines += [f"  {line}" for flaw in info["unreadable_evidence"] for line in _flaw(flaw)]
    for flaw in info["flaws"]:
        lines += _flaw(flaw)
    if info["half_made"]:
        ids = " ".join(id_[:12] for id_ in info["half_made"])
        lines += [
            f"half made, hidden: {ids}",
            "  a tool is writing them now, or died while it did: if they stay, `podman system check` looks further",
        ]
    return lines


def _flaw(flaw: Flaw) -> list[str]:
    image = f"{flaw['image'][:12]}: " if flaw["image"] else ""
    lines = [f"{flaw['name']}: {image}{flaw['detail']}"]
    if flaw["file"]:
        lines.append(f"  file: {flaw['file']}")
    if flaw["command"]:
        lines.append(f"  to mend it: {flaw['command']}")
    return lines


def _space(path: str) -> tuple[int | None, int | None]:
    # The socket is local, so is the graphroot; it may still be closed to this user, or not there yet.
    try:
        found = os.statvfs(path)
    except OSError:
        return None, None
    return found.f_blocks * found.f_frsize, (found.f_blocks - found.f_bfree) * found.f_frsize
