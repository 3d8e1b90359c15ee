"""Checks whether users other than root could change a program, its interpreter, or a folder or link on the way.

A script is as safe as its interpreter (``#!/home/one/env/bin/python``), and a link as safe as the folder it lies in.
If a group may write a folder, its members may put another file there. In a sticky folder only the owner of an entry may
replace it, so only the entry's owner counts.
"""

from __future__ import annotations

import errno
import os
import re
import shutil
import stat
from collections.abc import Iterator
from typing import Final

from attrs import frozen

UNIT_PATH: Final = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin"
"""$PATH of a system unit, systemd.exec(5)."""

_LINKS: Final = 40
_NESTED: Final = 10
"""The depth of nested interpreters; the kernel follows fewer (execve(2))."""
_HEAD: Final = 4096
_TRAMPOLINE: Final = re.compile(rb"\A#!/bin/sh\n'''exec' (?:\"([^\"\n]+)\"|(\S+)) ")
"""The first lines that pip writes if the path of a Python is too long for a ``#!`` line or has a space."""


@frozen
class Foreign:
    """A path that users other than root may change, and ``why``."""

    path: str
    why: str


def foreign(path: str) -> Foreign | None:
    """Find the first path on the way to a program or its interpreter that users other than root may change.

    Returns None if only root may change all of them. A path that does not exist is skipped.

    Raises:
        OSError: a path cannot be examined.
    """
    waiting, nested = [path], 0
    while waiting:
        path = waiting.pop()
        for step, status in _way(path):
            if (why := _why(status)) is not None:
                return Foreign(step, why)
        for interpreter in _interpreters(path):
            nested += 1
            if nested > _NESTED:
                return Foreign(path, "its interpreters are scripts, nested too deeply")
            if not os.path.isabs(interpreter):
                return Foreign(path, f"its interpreter {interpreter} is searched for at run time")
            waiting.append(interpreter)
    return None


def _way(path: str) -> Iterator[tuple[str, os.stat_result]]:
    """Every folder, link and file between / and the target of a path."""
    here, waiting, links = "/", path.split("/")[::-1], 0
    yield here, os.lstat(here)
    while waiting:
        name = waiting.pop()
        if name in ("", "."):
            continue
        if name == "..":
            here = os.path.dirname(here)
            continue
        step = os.path.join(here, name)
        try:
            status = os.lstat(step)
        except FileNotFoundError:
            return
        yield step, status
        if not stat.S_ISLNK(status.st_mode):
            here = step
            continue
        links += 1
        if links > _LINKS:
            raise OSError(errno.ELOOP, os.strerror(errno.ELOOP), path)
        target = os.readlink(step)
        here = "/" if target.startswith("/") else here
        waiting += target.split("/")[::-1]


def _why(status: os.stat_result) -> str | None:
    if status.st_uid:
        return f"uid {status.st_uid} owns it"
    if stat.S_ISLNK(status.st_mode) or (stat.S_ISDIR(status.st_mode) and status.st_mode & stat.S_ISVTX):
        return None
    if status.st_mode & stat.S_IWOTH:
        return "anyone may write it"
    # This covers access control lists, too: stat(2) shows their mask as the group's permissions.
    return f"group {status.st_gid} may write it" if status.st_mode & stat.S_IWGRP else None


def _interpreters(path: str) -> tuple[str, ...]:
    """The interpreters the kernel would start for this file; none for a binary or a missing file."""
    try:
        with open(path, "rb") as file:
            head = file.read(_HEAD)
    except FileNotFoundError:
        return ()
    if not head.startswith(b"#!"):
        return ()
    words = os.fsdecode(head[2:].partition(b"\n")[0]).split() or [""]
    if (found := _TRAMPOLINE.match(head)) is not None:
        return words[0], os.fsdecode(found[1] or found[2])
    if os.path.basename(words[0]) != "env":
        return (words[0],)
    named = next((word for word in words[1:] if not word.startswith("-") and "=" not in word), "")
    return words[0], shutil.which(named, path=UNIT_PATH) or named
