"""Parses digests, ``algorithm:encoded``, and verifies bytes against them.

Records and manifests may have digests with algorithms that are newer than this program. They are kept and compared as
they are. Their contents cannot be verified, which is not damage.

Source: OCI image specification ``descriptor.md`` (grammar of digests).
"""

from __future__ import annotations

import hashlib
import re
from typing import TYPE_CHECKING, Final, Literal

if TYPE_CHECKING:
    from hashlib import _Hash

_FORM: Final = re.compile(r"[a-z0-9]+(?:[+._-][a-z0-9]+)*:[a-zA-Z0-9=_-]+")
_HEX: Final = re.compile(r"[0-9a-f]+")
UPSTREAM: Final = frozenset({"sha256", "sha384", "sha512"})
"""The algorithms that containers/storage accepts, as of 1.64; any other in an image record makes its whole table
fail."""

_NAMES: Final = {
    name.replace("_", "-"): name for name in hashlib.algorithms_guaranteed if not name.startswith("shake_")
}


def is_digest(text: str) -> bool:
    """Whether it is a digest: with the right length if the algorithm is known here, with any length otherwise."""
    if not _FORM.fullmatch(text):
        return False
    hasher = hasher_of(text)
    encoded = text.partition(":")[2]
    if hasher is None:
        return True
    return len(encoded) == 2 * hasher.digest_size and _HEX.fullmatch(encoded) is not None


def hasher_of(text: str) -> _Hash | None:
    """The hash function for this digest's algorithm; None if it is not known here."""
    name = _NAMES.get(text.partition(":")[0])
    return None if name is None else hashlib.new(name, usedforsecurity=False)


def verify(text: str, data: bytes) -> Literal["same", "other", "not verifiable"]:
    """Compare bytes with a digest."""
    hasher = hasher_of(text)
    if hasher is None:
        return "not verifiable" if is_digest(text) else "other"
    hasher.update(data)
    return "same" if hasher.hexdigest() == text.partition(":")[2] else "other"
