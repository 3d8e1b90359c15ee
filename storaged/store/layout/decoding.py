"""JSON of the store's files: no decoder reads what is nested more deeply than an answer could carry it."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import msgspec

from storaged_client.json_limits import CONTENT_DEPTH, NestedTooDeeply, check_nesting

T = TypeVar("T")


def bounded(decode: Callable[[bytes], T]) -> Callable[[bytes], T]:
    """This decoder, which also raises msgspec.DecodeError for JSON of more than ``CONTENT_DEPTH`` levels.

    Within these no decoder meets the interpreter's recursion limit.
    """

    def decode_bounded(data: bytes) -> T:
        try:
            check_nesting(data, CONTENT_DEPTH)
        except NestedTooDeeply as error:
            raise msgspec.DecodeError(str(error)) from None
        return decode(data)

    return decode_bounded
