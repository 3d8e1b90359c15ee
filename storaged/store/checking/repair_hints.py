"""Repair hints for findings, without data loss: shell commands, or a sentence if there is no such command.

Commands are given only if they were tested with podman 4.3 and 5.8. Text from the store never enters one unquoted.
"""

from __future__ import annotations

import os
import shlex
import string
from collections.abc import Iterable
from itertools import chain
from typing import Final

from storaged.store.checking.state import State
from storaged.store.layout.records import ImageRecord
from storaged.store.layout.references import parse
from storaged_client.contract.errors import InvalidName

OPEN: Final = "podman images"
"""Every command that opens a store repairs incomplete layers and duplicate names while it loads."""

COLLECT: Final = "podman system prune --external (podman 5; while nothing is pulled or built)"
"""The garbage collection of podman up to 5.7 mistakes what later versions are unpacking for debris."""

_MOST_NAMES: Final = 16
_PLAIN: Final = frozenset(string.ascii_letters + string.digits + "/._-:@%+=, ")


def quote(text: str) -> str:
    """Quote one word for a shell: bytes of a file name that are not UTF-8 in the syntax of bash, zsh and ksh."""
    quoted = shlex.quote(text)
    if quoted.isascii():
        return quoted
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        letters = (chr(byte) if chr(byte) in _PLAIN else f"\\x{byte:02x}" for byte in os.fsencode(text))
        return f"$'{''.join(letters)}'"
    return quoted


def remove(path: str) -> str:
    """Remove a file that nobody uses."""
    return f"rm -- {quote(path)}"


def remove_tree(path: str) -> str:
    """Remove a directory that nobody uses."""
    return f"rm -r -- {quote(path)}"


def copy(source: str, target: str) -> str:
    """Copy a file over another one, keeping owner and mode."""
    return f"cp -p -- {quote(source)} {quote(target)}"


def make_link(target: str, path: str) -> str:
    """Create a symbolic link, replacing an existing one."""
    return f"ln -sfnT -- {quote(target)} {quote(path)}"


def write(text: str, path: str) -> str:
    """Write a small file, without a line feed."""
    return f"printf %s {quote(text)} > {quote(path)}"


def restore(path: str) -> str:
    """There is no command for a broken table."""
    return f"start no container tool before (podman 4.3 would erase the store), and restore {path} from a backup"


def pull(record: ImageRecord) -> str:
    """Pull an image again: its record stays, missing layers and files are written again."""
    remote = list(_remote(record.names or ()))
    if remote:
        return f"podman pull {quote(remote[0])}"
    return "load it from an archive or build it again: missing parts are written again, the record stays"


def keep_names(image: str, names: Iterable[str]) -> str:
    """Give an image exactly these names; podman itself refuses to touch an invalid name."""
    options = "".join(f" --name {quote(name)}" for name in names)
    return f"containers-storage set-names{options} {quote(image)}"


def pull_name(name: str) -> str | None:
    """Pull an image by a name that is still known."""
    return next((f"podman pull {quote(each)}" for each in _remote((name,))), None)


def make_list_anew(name: str) -> str:
    """Recreate a manifest list without a readable ``instances.json``: its manifest still names the instances."""
    return (
        f"note the instances its file `manifest` names, then podman rmi {quote(name)}, podman manifest create "
        f"{quote(name)}, and podman manifest add for each"
    )


def replace(state: State, images: Iterable[str]) -> str | None:
    """Remove images and pull them again, if a layer's own record keeps it from being pulled again.

    None if one of them cannot be pulled again or is used by a container, or if there are too many.
    """
    wanted = tuple(images)
    if not wanted or not state.used_images.isdisjoint(wanted):
        return None
    names: list[str] = []
    remote: list[str] = []
    for row in chain.from_iterable(state.records_of.get(image, ()) for image in wanted):
        fetched = list(_remote(row.record.names or ()))
        if row.store or not fetched or len(fetched) != len(row.record.names or ()):
            return None
        names += row.record.names or ()
        remote.append(fetched[0])
    if not remote or len(names) > _MOST_NAMES:
        return None
    return f"podman rmi {' '.join(map(quote, names))} && podman pull {' '.join(map(quote, remote))}"


def _remote(names: Iterable[str]) -> Iterable[str]:
    for name in names:
        try:
            reference = parse(name)
        except InvalidName:
            continue
        if reference.qualified and reference.registry != "localhost":
            yield name
