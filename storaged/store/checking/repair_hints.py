"""What mends a finding without losing data: commands for a shell, or a sentence where there is no such command.

Commands are given only where they were tried on podman 4.3 and 5.8. Text from the store never enters one unquoted.
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
"""Every command that opens a store mends what it finds on loading: incomplete layers, names borne twice."""

COLLECT: Final = "podman system prune --external (podman 5; while nothing is pulled or built)"
"""Garbage collection of podman up to 5.7 takes what later versions are unpacking for debris (contract §6.2, 8)."""

_MOST_NAMES: Final = 16
_PLAIN: Final = frozenset(string.ascii_letters + string.digits + "/._-:@%+=, ")


def quote(text: str) -> str:
    """One word for a shell: bytes of a file's name that are no UTF-8 as bash, zsh and ksh have them."""
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
    """Copy a file over another one, owner and mode kept."""
    return f"cp -p -- {quote(source)} {quote(target)}"


def make_link(target: str, path: str) -> str:
    """Make a symbolic link anew; one that is there is replaced."""
    return f"ln -sfnT -- {quote(target)} {quote(path)}"


def write(text: str, path: str) -> str:
    """Write a small file anew, without a line feed."""
    return f"printf %s {quote(text)} > {quote(path)}"


def restore(path: str) -> str:
    """There is no command for a broken table."""
    return f"stop every container tool, run none before (podman 4.3 would erase it), and put back {path} from a backup"


def pull(record: ImageRecord) -> str:
    """Fetch an image again: its record stays, the layers and files that are missing are written anew."""
    remote = list(_remote(record.names or ()))
    if remote:
        return f"podman pull {quote(remote[0])}"
    return "load it from an archive or build it again: what is missing is written anew, the record stays"


def keep_names(image: str, names: Iterable[str]) -> str:
    """Give an image these names and no others; podman itself refuses to touch a name that is none."""
    options = "".join(f" --name {quote(name)}" for name in names)
    return f"containers-storage set-names{options} {quote(image)}"


def pull_name(name: str) -> str | None:
    """Fetch an image by a name that somebody remembers."""
    return next((f"podman pull {quote(each)}" for each in _remote((name,))), None)


def make_list_anew(name: str) -> str:
    """A manifest list without readable ``instances.json``: its manifest still names the instances."""
    return (
        f"note the instances its file `manifest` names, then podman rmi {quote(name)}, podman manifest create "
        f"{quote(name)}, and podman manifest add for each"
    )


def replace(state: State, images: Iterable[str]) -> str | None:
    """Remove images and fetch them again: the way where a layer's own record keeps it from being fetched anew.

    None where one of them cannot be fetched again, is used by a container, or there are too many.
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
