"""Edits a raw record member by member; members that are not changed keep their bytes.

::

    {"id":"…","names":["a"],"flags":{"x":1},"new-in-2030":[1]}
     ╰──────╯ ╰───────────╯ ╰─────────────╯ ╰───────────────╯
     each member: its name and the bytes of its value, in their order

A new member goes where Go's struct has it, before the first known member that follows there. Values are written like
Go's ``encoding/json``: compact, maps sorted by key, ``<``, ``>``, ``&``, U+2028 and U+2029 escaped, empty values
omitted.

Go matches member names in any case, and of two members with the same name takes the last. A record where that matters
cannot be edited here without changing what Go reads, so it is refused.

Source: containers/storage ``images.go`` (type Image), ``layers.go`` (type Layer), 1.43 to 1.63.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, Final

import msgspec

from storaged.store.layout.decoding import bounded
from storaged_client.json_limits import CONTENT_DEPTH, check_nesting

IMAGE: Final = (
    "id",
    "digest",
    "names",
    "names-history",
    "layer",
    "mapped-layers",
    "metadata",
    "big-data-names",
    "big-data-sizes",
    "big-data-digests",
    "created",
    "flags",
)
"""The members of an image record in Go's order."""

LAYER: Final = (
    "id",
    "names",
    "parent",
    "metadata",
    "mountlabel",
    "created",
    "compressed-diff-digest",
    "compressed-size",
    "diff-digest",
    "diff-size",
    "toc-digest",
    "compression",
    "uidset",
    "gidset",
    "flags",
    "uidmap",
    "gidmap",
    "big-data-names",
)
"""The members of a layer record in Go's order."""

_ALWAYS: Final = frozenset({"id", "created"})
_members = bounded(msgspec.json.Decoder(dict[str, msgspec.Raw]).decode)


class Uneditable(ValueError):
    """The record, or its new state, cannot be written so that Go reads what was meant."""


def edit(raw: bytes, changes: Mapping[str, Any], order: Sequence[str]) -> bytes:
    """Change these members of a record; one that becomes None or empty is omitted. ``order`` is Go's.

    Raises:
        Uneditable: the record repeats a member, or has one that differs from a known one only in case; a member
            is not in ``order``; a value is not JSON.
    """
    before = members(raw, order)
    after = dict(before)
    for name, value in changes.items():
        if name not in order:
            raise Uneditable(f"{name!r} is not a member of such a record")
        after = _put(after, name, encode(value) if name in _ALWAYS or not _is_empty(value) else None, order)
    return raw if after == before else emit(after)


def create(values: Mapping[str, Any], order: Sequence[str]) -> bytes:
    """Make a new record of these members, in Go's order, without empty ones.

    Raises:
        Uneditable: as :func:`edit`.
    """
    return edit(b"{}", {name: values[name] for name in (*order, *values) if name in values}, order)


def set_flag(raw: bytes, flag: str, order: Sequence[str]) -> bytes:
    """Set ``flags.<flag>`` to true; other flags keep their bytes.

    Raises:
        Uneditable: as :func:`edit`, or ``flags`` is not an object.
    """
    found = members(raw, order)
    try:
        flags = _members(found["flags"]) if found.get("flags", b"null") != b"null" else {}
    except msgspec.MsgspecError as error:
        raise Uneditable(f"its flags are not an object: {error}") from None
    texts = {name: bytes(value) for name, value in flags.items()}
    texts[flag] = b"true"
    return emit(_put(found, "flags", emit(dict(sorted(texts.items()))), order))


def members(raw: bytes, order: Sequence[str]) -> dict[str, bytes]:
    """The members of an editable record, each with the exact bytes of its value.

    Raises:
        Uneditable: as :func:`edit`.
    """
    try:
        found = {name: bytes(value) for name, value in _members(raw).items()}
        # The last call of the hook is the one for the record itself.
        pairs = json.loads(raw, object_pairs_hook=lambda pairs: [name for name, _ in pairs])
    except ValueError as error:
        raise Uneditable(f"it is not a JSON object: {error}") from None
    if len(pairs) != len(found):
        twice = next(name for name in found if pairs.count(name) > 1)
        raise Uneditable(f"it has the member {twice!r} twice")
    for name in found:
        if name not in order and name.casefold() in order:
            raise Uneditable(f"it has a member {name!r}, which other tools take for {name.casefold()!r}")
    return found


def emit(texts: Mapping[str, bytes]) -> bytes:
    """The compact object with these members, in this order."""
    return b"{" + b",".join([encode(name) + b":" + value for name, value in texts.items()]) + b"}"


def encode(value: Any) -> bytes:
    """Encode a value like Go.

    Raises:
        Uneditable: it is not a JSON value, or a string that is not Unicode.
    """
    try:
        text = json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"), sort_keys=True)
        # These characters occur only in strings, where the escape means the same.
        for letter in "<>&\u2028\u2029":
            if letter in text:
                text = text.replace(letter, f"\\u{ord(letter):04x}")
        data = text.encode("utf-8")
        check_nesting(data, CONTENT_DEPTH)
        return data
    except (TypeError, ValueError, RecursionError) as error:
        raise Uneditable(f"a value cannot be written: {error}") from None


def _put(texts: dict[str, bytes], name: str, value: bytes | None, order: Sequence[str]) -> dict[str, bytes]:
    if value is None:
        return {other: text for other, text in texts.items() if other != name}
    if name in texts:
        return {**texts, name: value}
    later = frozenset(order[order.index(name) + 1 :])
    placed: dict[str, bytes] = {}
    for other, text in texts.items():
        if other in later:
            placed.setdefault(name, value)
        placed[other] = text
    placed.setdefault(name, value)
    return placed


def _is_empty(value: Any) -> bool:
    return value is None or value is False or value == 0 or (isinstance(value, str | list | tuple | dict) and not value)
