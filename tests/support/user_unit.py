"""The unit files of a user's own service manager."""

from __future__ import annotations

from pathlib import Path

from storaged_client import systemd_units


def enable(config: Path, listen: str) -> None:
    """Install and enable the socket unit, as ``systemctl --user enable`` does."""
    folder = config / "systemd" / "user"
    (folder / "sockets.target.wants").mkdir(parents=True)
    (folder / systemd_units.UNIT).write_text(f"[Socket]\nListenStream={listen}\nSocketMode=0600\n")
    (folder / "sockets.target.wants" / systemd_units.UNIT).symlink_to(folder / systemd_units.UNIT)
