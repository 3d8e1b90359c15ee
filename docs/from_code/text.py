"""Helpers for the generators."""

from __future__ import annotations

import json
import re


class NotInTheCode(Exception):
    """A page asks for something that the code does not have (any more)."""


def plain(text: str) -> str:
    """The text as Markdown that shows it unchanged."""
    return re.sub(r"([\\`*_<>\[\]|])", r"\\\1", text)


def literal(value: object) -> str:
    """The value as Python code; strings in double quotes, as ruff would write them."""
    return json.dumps(value) if isinstance(value, str) else repr(value)
