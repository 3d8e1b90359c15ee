"""The next minor version: a copy of both packages, with one method, one parameter and one member more. And protocol
1.0, which did not have the common parameter ``store``.

Whoever runs with ``PYTHONPATH`` set to the copy is of that version, daemon and client alike.
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path

from tests.e2e.homes import ROOT

NEWER = "99.1.0"
NEWER_PROTOCOL = "1.99"

_CHANGES: Mapping[str, tuple[tuple[str, str | None], ...]] = {
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
        (
            '    _sync("server.ping", server.ping,',
            '    _sync("server.echo", server.ping, reads=False),\n    _sync("server.ping", server.ping,',
        ),
    ),
    "storaged/service/images.py": (("t.Exists(", 't.Exists(since="2020", '),),
}


_BACK: Mapping[str, tuple[tuple[str, str | None], ...]] = {
    "storaged_client/contract/version.py": (('PROTOCOL = "', 'PROTOCOL = "1.0"\n_NEWER = "'),),
    "storaged_client/contract/params.py": (("    store: StatedStore | None = None\n", ""),),
    "storaged/service/service.py": (('"store" in params', '"no store yet" in params'),),
}


def newer(folder: Path) -> str:
    """Make the copy in ``folder``; returns what ``PYTHONPATH`` is to be."""
    return _copy(folder, _CHANGES)


def older(folder: Path) -> str:
    """The same of protocol 1.0."""
    return _copy(folder, _BACK)


def _copy(folder: Path, changed: Mapping[str, tuple[tuple[str, str | None], ...]]) -> str:
    shutil.copytree(ROOT / "storaged", folder / "storaged", ignore=shutil.ignore_patterns("__pycache__"))
    client = ROOT / "client" / "storaged_client"
    shutil.copytree(client, folder / "storaged_client", ignore=shutil.ignore_patterns("__pycache__"))
    for name, changes in changed.items():
        file = folder / name
        text = file.read_text()
        for old, new in changes:
            assert text.count(old) == 1, f"{name} has changed: {old!r}"
            text = text.replace(
                old, new if new is not None else old.replace("\n\n\n", "\n    era: str | None = None\n\n\n", 1)
            )
        file.write_text(text)
    return str(folder)
