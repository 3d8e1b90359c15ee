"""Limits the nesting depth of JSON in the store's files to what an answer can carry."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import msgspec

from storaged_client.json_limits import CONTENT_DEPTH, NestedTooDeeply, check_nesting

T = TypeVar("T")


def bounded(decode: Callable[[bytes], T]) -> Callable[[bytes], T]:
    """Wrap a decoder so that it raises msgspec.DecodeError for JSON with more than ``CONTENT_DEPTH`` levels.

    Up to that depth no decoder reaches the interpreter's recursion limit.
    """

    def decode_bounded(data: bytes) -> T:
        try:
            check_nesting(data, CONTENT_DEPTH)
        except NestedTooDeeply as error:
            raise msgspec.DecodeError(str(error)) from None
        return decode(data)

    return decode_bounded
