"""The parts of docs/scaling.md that commands write: figures stand between two marks, the words around them stay."""

from __future__ import annotations

import os
import platform
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from pathlib import Path

from storaged_client.contract.version import VERSION

DOCUMENT = Path(__file__).parents[2] / "docs/scaling.md"


def table(heads: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """A Markdown table; numbers are told with three digits."""
    lines = ["| " + " | ".join(heads) + " |", "|" + "---|" * len(heads)]
    lines += ["| " + " | ".join(map(_told, row)) + " |" for row in rows]
    return "\n".join(lines) + "\n"


def _told(value: object) -> str:
    if isinstance(value, float):
        return f"{value:.0f}" if abs(value) >= 100 else f"{value:.3g}"
    return "-" if value is None else str(value)


def write_part(name: str, command: str, text: str, *, document: Path = DOCUMENT) -> None:
    """Put the text between the marks of this name.

    Raises:
        ValueError: the document has no such marks, or not in their order.
    """
    begin, end = f"<!-- {name}: begin -->", f"<!-- {name}: end -->"
    before, found, rest = document.read_text().partition(begin)
    _, ended, after = rest.partition(end)
    if not found or not ended:
        raise ValueError(f"{document} has no lines {begin!r} and {end!r}")
    document.write_text(f"{before}{begin}\n{_head(command)}\n{text}\n{end}{after}")


def _head(command: str) -> str:
    machine = (
        f"CPython {platform.python_version()}, Linux {platform.release().partition('-')[0]}, {os.cpu_count()} cores"
    )
    return f"`{command}`, {datetime.now(UTC):%d %B %Y}, storaged {VERSION}, {machine}.\n"
