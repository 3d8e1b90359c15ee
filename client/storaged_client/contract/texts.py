"""Checks that a string is text: JSON can spell half of a surrogate pair, which is no character and not valid in
UTF-8."""

from __future__ import annotations

NO_TEXT = "has half of a surrogate pair, which is not a character"


def is_text(value: str) -> bool:
    if value.isascii():
        return True
    try:
        value.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True
