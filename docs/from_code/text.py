"""What the makers of texts share."""

from __future__ import annotations

import re


class NotInTheCode(Exception):
    """A page asks for something that the code does not have (any more)."""


def plain(text: str) -> str:
    """The text as Markdown that shows it unchanged."""
    return re.sub(r"([\\`*_<>\[\]|])", r"\\\1", text)
