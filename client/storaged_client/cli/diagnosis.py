"""Problems of a daemon and its store, and the commands to run next, from ``server.info`` only."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from typing import TYPE_CHECKING

from storaged_client import address, systemd_units, version_mismatch
from storaged_client.contract.version import VERSION
from storaged_client.errors import ClientError

from .invocation import stale_text

if TYPE_CHECKING:
    from ..contract.plain import Flaw, ServerInfo

_MOST = 20
"""The maximum number of flaws shown: after a disk failure, a store may have thousands."""


class Problem:
    """One problem: a sentence, details, and the commands to run next."""

    __slots__ = ("commands", "details", "intent", "text")

    def __init__(self, text: str, *commands: str, details: tuple[str, ...] = (), intent: str = "repair it") -> None:
        self.text = text
        self.commands = commands
        self.details = details
        self.intent = intent

    def lines(self) -> list[str]:
        return [
            self.text,
            *(f"  {detail}" for detail in self.details),
            *(f"  to {self.intent}: {command}" for command in self.commands),
        ]


def ours(info: ServerInfo, command: str) -> str:
    """A command of storagectl that reaches the same daemon."""
    try:
        found = address.find(None)
    except ClientError:
        found = ""
    own = "" if info["socket"] == found else f"--socket {shlex.quote(info['socket'])} "
    return f"storagectl {own}{command}"


def _podmans(info: ServerInfo, command: str) -> str:
    """A command of podman for the same store."""
    flags = ("--root", info["graphroot"], "--runroot", info["runroot"], "--storage-driver", info["driver"])
    return shlex.join(("podman", *flags, *command.split()))


def problems(info: ServerInfo) -> list[Problem]:
    """Every problem, the daemon's before the store's."""
    return [
        *_daemon(info),
        *_refusal(info),
        *_freshness(info),
        *_evidence(info),
        *_flaws(info, info["flaws"]),
        *_half_made(info),
    ]


def _daemon(info: ServerInfo) -> Iterator[Problem]:
    socket = info["socket"]
    if info["version"] != VERSION:
        text = f"the daemon is version {info['version']}, this program {VERSION}"
        yield Problem(text, version_mismatch.replacement(socket), intent="replace it")
    if info.get("started_by") == "client" and (start := systemd_units.start_command(socket)) is not None:
        yield Problem(
            f"a client started this daemon, though {systemd_units.UNIT} is enabled",
            f"storaged stop --socket {shlex.quote(socket)} && {start}",
            intent="let the unit serve",
        )


def _refusal(info: ServerInfo) -> Iterator[Problem]:
    if info["writable"] or info.get("read_only"):
        return
    reason = info["writable_reason"] or "reason unknown"
    path = shlex.quote(info["graphroot"])
    if "does not exist" in reason:
        yield Problem(f"there is no store yet: {reason}", _podmans(info, "info"), intent="make it")
    elif "use podman" in reason:
        # Another driver, or a kind of store that is read-only here.
        command = _podmans(info, "image --help")
        yield Problem(f"nothing can be changed here: {reason}", command, intent="change it anyway")
    else:
        command = f"namei -l {path}; findmnt -T {path}"
        yield Problem(f"nothing can be changed here: {reason}", command, intent="see why")


def _freshness(info: ServerInfo) -> Iterator[Problem]:
    if info["freshness"] != "locks" and info["images"] + info["layers"] + info["containers"]:
        yield Problem(
            "changes of other tools are noticed by the files' identity alone: "
            "lock files are missing or unreadable, or the file system is remote",
            f"findmnt -T {shlex.quote(info['graphroot'])}; {_podmans(info, 'info')}",
            intent="see the file system, and create the lock files",
        )
    stale = info["stale"]
    if not stale:
        return
    pid = (stale.get("holder") or {}).get("pid")
    if stale.get("reason") == "unreadable":
        command, intent = ours(info, "check"), "see how to repair it"
    elif pid is not None:
        command, intent = f"ps -fp {int(pid)}", "see who that is"
    else:
        command, intent = ours(info, "info"), "see whether it has"
    healing = "it resolves itself when the writer is done or the file is valid again"
    yield Problem(stale_text(stale), command, details=(healing,), intent=intent)


def _evidence(info: ServerInfo) -> Iterator[Problem]:
    if info["unreadable_evidence"]:
        yield Problem("unreadable evidence: until it is gone, no untagged image counts as dangling")
        yield from _flaws(info, info["unreadable_evidence"])


def _flaws(info: ServerInfo, flaws: list[Flaw]) -> Iterator[Problem]:
    for flaw in flaws[:_MOST]:
        image = f"{flaw['image'][:12]}: " if flaw["image"] else ""
        text = f"{flaw['name']}: {image}{flaw['detail']}"
        details = (f"file: {flaw['file']}",) if flaw["file"] else ()
        if flaw["command"]:
            own = flaw["command"].removeprefix("storagectl ")
            yield Problem(text, flaw["command"] if own == flaw["command"] else ours(info, own), details=details)
        else:
            yield Problem(text, ours(info, "check"), details=details, intent="see how to repair it")
    if len(flaws) > _MOST:
        yield Problem(f"and {len(flaws) - _MOST} more", ours(info, "check"), intent="see them all")


def _half_made(info: ServerInfo) -> Iterator[Problem]:
    if info["half_made"]:
        ids = " ".join(id_[:12] for id_ in info["half_made"][:_MOST])
        more = len(info["half_made"]) - _MOST
        yield Problem(
            f"incomplete, hidden: {ids}{f' and {more} more' if more > 0 else ''}",
            ours(info, "check"),
            details=("a tool is writing them now, or died while writing them",),
            intent="look closer if they stay",
        )
