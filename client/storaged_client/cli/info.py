"""``storagectl info``: shows the store, the daemon, problems, and what to do about them."""

from __future__ import annotations

import os
import sys
import time
from typing import TYPE_CHECKING, Any

from ..podman import measures
from . import diagnosis, exits, output
from .flags import Flag
from .invocation import Invocation

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ..contract.plain import ServerInfo

ARGUMENTS = ""
FLAGS = (Flag("format", "Output format: json, table or a Go template", short="f", kind="string"),)

_STARTED_BY = {"systemd": " by systemd", "client": " by a client"}


def run(invocation: Invocation) -> int:
    template, json = output.chosen(invocation.options.text("format"), "info")
    invocation.no_arguments()
    info = invocation.call("server.info")
    if template is not None:
        from . import podman_structs

        output.emit_filled(template, [podman_structs.information(podman_form(info))], {})
        return exits.DONE
    places = _places(invocation, info)
    output.emit(output.pretty(podman_form(info, places), indent=2) if json else render(info, time.time(), places))
    # Under podman's name it answers podman's request, for callers who take another status for a failed command.
    return exits.FOUND if diagnosis.problems(info) and not _as_podman() else exits.DONE


def _as_podman() -> bool:
    return os.path.basename(sys.argv[0]) == "podman"


def _places(invocation: Invocation, info: ServerInfo) -> dict[str, str]:
    """The locations of this user's store by the rules up to containers/storage 1.62 and from 1.63 on, if they differ
    and the daemon serves one of them."""
    from storaged_client import stores
    from storaged_client.errors import StorageConfError

    try:
        found = stores.meant(invocation.store_flags()).graphroots
    except StorageConfError:
        return {}
    places = {rules: os.path.realpath(path) for rules, path in found.items()}
    return places if len(set(places.values())) > 1 and info["graphroot"] in places.values() else {}


def podman_form(info: ServerInfo, places: Mapping[str, str] | None = None) -> dict[str, Any]:
    """podman's ``store`` member (null for what a storage daemon cannot know), and all of ``server.info`` beside it.

    ``problems`` are those on the screen, with the commands to run next; ``not_looked_at`` are scopes of the check;
    ``log`` as ``daemon_log``; ``graphroots`` the store's locations by release of containers/storage, if they differ.
    """
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
    problems = [{"text": each.text, "commands": list(each.commands)} for each in diagnosis.problems(info)]
    return {
        "store": store,
        "storaged": info,
        "problems": problems,
        "not_looked_at": ["files", "contents"],
        "log": daemon_log(info),
        "graphroots": dict(places or {}),
    }


def render(info: ServerInfo, now: float, places: Mapping[str, str] | None = None) -> str:
    """The facts, then every problem with its repair hint, for people."""
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
        ("daemon", f"{daemon}, started {started}{_STARTED_BY.get(info.get('started_by', ''), '')}"),
        ("socket", info["socket"]),
        *(("REST API", _stands(path, info.get("podman_socket"))) for path in info.get("api_sockets", ())),
        *(("log", text) for text in [daemon_log(info)] if text),
        ("settings", _settings(info)),
        ("store", store),
        *(("by the rules", f"of containers/storage {rules}: {path}") for rules, path in (places or {}).items()),
        *(("also reads", path) for path in info["additional_stores"]),
        ("configuration", info["config_file"] or "defaults (no storage.conf)"),
        ("holds", counts),
        ("changes", "allowed" if info["writable"] else f"refused: {info['writable_reason'] or 'reason unknown'}"),
        ("fresh by", "the store's locks" if info["freshness"] == "locks" else "file identity (no usable locks)"),
    ]
    deeper = diagnosis.ours(info, "check --scope contents")
    facts.append(("looked at", f"records, and whether their folders exist; for their contents: {deeper}"))
    lines = [f"{title.ljust(15)}{text}" for title, text in facts]
    problems = diagnosis.problems(info)
    if not problems:
        lines += ["", "Nothing is wrong."]
    else:
        lines += ["", "Wrong", *(f"  {line}" for problem in problems for line in problem.lines())]
    return "".join(f"{output.printable(line)}\n" for line in lines)


def daemon_log(info: ServerInfo) -> str | None:
    """Where the daemon's log is: a file, or the command that shows it; None if that is unknown.

    The file behind its standard error, which the kernel shows to its own user and to root; otherwise the log of daemons
    that clients start.
    """
    from storaged_client import spawn_record, systemd_units

    if info.get("started_by") == "systemd":
        return systemd_units.log_command(info["socket"])
    process = f"/proc/{int(info['pid'])}"
    try:
        with open(f"{process}/cmdline", "rb") as file:
            # The pid of a daemon in a container may be another process's here.
            found = os.readlink(f"{process}/fd/2") if b"storaged" in file.read(4096) else ""
    except OSError:
        return spawn_record.log_path() if spawn_record.is_spawned(info["socket"], info["pid"]) else None
    return found if os.path.isfile(found) else None


def _settings(info: ServerInfo) -> str:
    text = info.get("settings_file") or "defaults (no storaged.toml)"
    return f"{text}, compat = podman" if info.get("compat") == "podman" else text


def _stands(path: str, podman: str | None) -> str:
    """A socket of the REST API, and what is where if it is podman's own path."""
    behind = f"podman's own is {podman}" if podman is not None else "podman answers nowhere"
    return f"{path} (in front of podman: {behind})" if path.endswith("/podman/podman.sock") else path


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def _space(path: str) -> tuple[int | None, int | None]:
    # The socket is local, so the graphroot is, too; this user may still not have access, or it may not exist yet.
    try:
        found = os.statvfs(path)
    except OSError:
        return None, None
    return found.f_blocks * found.f_frsize, (found.f_blocks - found.f_bfree) * found.f_frsize
