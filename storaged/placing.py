"""A file put in place among files that people edit, so that nobody's work is lost.

Each begins with a line that has the digest of the rest. A file whose digest is not right was changed here, and one
without the line is somebody else's: both are left as they are, unless told otherwise; then the old file stays beside
the new one. A link in the place of a file (a masked unit) is never touched.
"""

from __future__ import annotations

import hashlib
import os
import re
from itertools import count
from pathlib import Path
from typing import Literal

Outcome = Literal["written", "updated", "unchanged", "kept", "replaced"]

_MARK = re.compile(r"\A# Installed by storaged install-units; sha256 of the rest: ([0-9a-f]{64})\n")


def put(path: Path, text: str, *, force: bool = False) -> Outcome:
    """Write a file with its mark, if nobody else's work is lost by it. Its folders are made.

    Raises:
        OSError: it cannot be read or written.
    """
    whole = _marked(text)
    if path.is_symlink():
        return "kept"
    outcome: Outcome = "written"
    try:
        found = path.read_bytes()
    except FileNotFoundError:
        path.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
    else:
        if found == whole.encode():
            return "unchanged"
        if _is_ours(found):
            outcome = "updated"
        elif force:
            outcome = "replaced"
            _keep(path, found)
        else:
            return "kept"
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with temporary.open("x", encoding="utf-8") as file:
            file.write(whole)
        temporary.chmod(0o644)
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    return outcome


def _keep(path: Path, data: bytes) -> None:
    """Beside it, under the first of ``.old``, ``.old.1`` … that nobody has: what was kept before is kept."""
    for number in count():
        try:
            with path.with_name(f"{path.name}.old{f'.{number}' if number else ''}").open("xb") as file:
                file.write(data)
        except FileExistsError:
            continue
        return


def _marked(text: str) -> str:
    return f"# Installed by storaged install-units; sha256 of the rest: {_digest(text)}\n{text}"


def _is_ours(data: bytes) -> bool:
    """Whether a file is as an installation left it."""
    text = data.decode("utf-8", "replace")
    mark = _MARK.match(text)
    return mark is not None and mark[1] == _digest(text[mark.end() :])


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
