"""Colour, and only where it is wanted: on a terminal that has it, and not against NO_COLOR (no-color.org)."""

from __future__ import annotations

import os
import sys

BOLD, DIM, RED, GREEN, YELLOW, CYAN = "1", "2", "31", "32", "33", "36"


def wanted() -> bool:
    """Whether standard output is a terminal that should be painted."""
    return sys.stdout.isatty() and os.environ.get("TERM", "dumb") != "dumb" and not os.environ.get("NO_COLOR")


def width() -> int | None:
    """The columns of the terminal behind standard output; None where it is none."""
    if not sys.stdout.isatty():
        return None
    import shutil

    return shutil.get_terminal_size().columns


def paint(text: str, code: str) -> str:
    """The text in one of the colours; it must be printable already."""
    return f"\x1b[{code}m{text}\x1b[0m" if text else text
