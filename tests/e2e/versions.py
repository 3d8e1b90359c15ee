"""The next minor version: a copy of both packages, with one method, one parameter and one member more.

Whoever runs with ``PYTHONPATH`` set to the copy is of that version, daemon and client alike.
"""

from __future__ import annotations

import shutil
from pathlib import Path

from tests.e2e.homes import ROOT

NEWER = "99.1.0"
NEWER_PROTOCOL = "1.99"

_CHANGES = {
    "storaged_client/contract/version.py": (
        ('VERSION = "', f'VERSION = "{NEWER}"\n_OLD = "'),
        ('PROTOCOL = "', f'PROTOCOL = "{NEWER_PROTOCOL}"\n_OLDER = "'),
    ),
    "storaged_client/contract/methods.py": (
        (
            '    Method(name="server.ping",',
            '    Method(name="server.echo", summary="New.", params=p.NoParams, result=t.Empty),\n'
            '    Method(name="server.ping",',
        ),
    ),
    "storaged_client/contract/params.py": (
        ("    manifest: bool = False\n\n\n@frozen(kw_only=True, eq=False, repr=False)\nclass ImagesHistory", None),
    ),
    "storaged_client/contract/types/images.py": (("    exists: bool\n", "    exists: bool\n    since: str\n"),),
    "storaged_client/cli/image_exists.py": (
        ('    return exits.DONE if result["exists"]', '    result["since"]\n    return exits.DONE if result["exists"]'),
    ),
    "storaged/service/registry.py": (
        ('    "server.ping": server.ping,', '    "server.ping": server.ping, "server.echo": server.ping,'),
    ),
    "storaged/service/images.py": (("t.Exists(", 't.Exists(since="2020", '),),
}


def newer(folder: Path) -> str:
    """Make the copy in ``folder``; returns what ``PYTHONPATH`` is to be."""
    shutil.copytree(ROOT / "storaged", folder / "storaged", ignore=shutil.ignore_patterns("__pycache__"))
    client = ROOT / "client" / "storaged_client"
    shutil.copytree(client, folder / "storaged_client", ignore=shutil.ignore_patterns("__pycache__"))
    for name, changes in _CHANGES.items():
        file = folder / name
        text = file.read_text()
        for old, new in changes:
            assert text.count(old) == 1, f"{name} has changed: {old!r}"
            text = text.replace(
                old, new if new is not None else old.replace("\n\n\n", "\n    era: str | None = None\n\n\n", 1)
            )
        file.write_text(text)
    return str(folder)
