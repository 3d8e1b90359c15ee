"""The terminal: its width, and colour only where it is wanted (no-color.org, force-color.org)."""

from __future__ import annotations

import os
import sys

BOLD, DIM, RED, GREEN, YELLOW, CYAN = "1", "2", "31", "32", "33", "36"


_chosen = "auto"


def choose(when: str | None) -> None:
    """Colour ``always`` or ``never``, whatever the environment says; ``auto`` or None leaves it to that."""
    global _chosen
    _chosen = when or "auto"


def wanted() -> bool:
    """Whether to colour standard output: by ``--color``, else NO_COLOR, else FORCE_COLOR, else on a terminal."""
    if _chosen != "auto":
        return _chosen == "always"
    if os.environ.get("NO_COLOR"):
        return False
    if os.environ.get("FORCE_COLOR"):
        return True
    return _is_terminal() and os.environ.get("TERM", "dumb") != "dumb"


def _is_terminal() -> bool:
    return sys.stdout is not None and sys.stdout.isatty()


def width() -> int | None:
    """The columns of the terminal behind standard output; None if it is not one."""
    if not _is_terminal():
        return None
    import shutil

    return shutil.get_terminal_size().columns


def paint(text: str, code: str) -> str:
    """The text in one of the colours; it must be printable already."""
    return f"\x1b[{code}m{text}\x1b[0m" if text else text
